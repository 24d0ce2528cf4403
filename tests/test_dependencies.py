"""setup.py requires what the packages import, directly and not through another package."""

import ast
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.test_house import PACKAGES, ROOT, imports

MAY_NEED = {
    "nas_tf": ("optuna", "bayesian"),
    "serving": ("serving", "litert", "onnx", "demo"),
    "tuner_oracles": (),
}
"""The extras whose packages a package may import in addition to the core's."""
PROVIDED = packages_distributions()


def required() -> dict[str, set[str]]:
    """Returns the distributions that setup.py requires, of the core under an empty name."""
    tree = ast.parse((ROOT / "setup.py").read_text(encoding="utf-8"))
    values = {
        node.targets[0].id: ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and node.targets[0].id in ("CORE", "EXTRAS")
    }
    lists = {"": values["CORE"], **values["EXTRAS"]}
    return {
        name: {canonicalize_name(Requirement(item).name) for item in requirements}
        for name, requirements in lists.items()
    }


def foreign(path: Path) -> set[str]:
    """Returns imported top-level modules that are neither Python's nor this repository's."""
    tops = {name.split(".")[0] for name in imports(path)}
    return tops - set(sys.stdlib_module_names) - set(PACKAGES)


@pytest.mark.parametrize("package", PACKAGES)
def test_every_import_is_required(package: str) -> None:
    lists = required()
    accepted = lists[""].union(*(lists[extra] for extra in MAY_NEED[package]))
    for path in sorted((ROOT / package).rglob("*.py")):
        for module in foreign(path):
            found = {canonicalize_name(name) for name in PROVIDED.get(module, [module])}
            assert found & accepted, f"{path.relative_to(ROOT)} imports {module}"


def test_packages_of_extras_are_installed_for_tests() -> None:
    lists = required()
    extras = set().union(*(lists[extra] for names in MAY_NEED.values() for extra in names))
    assert extras - lists["serving"] <= lists["dev"]
    assert "tensorflow-addons" in lists[""]
