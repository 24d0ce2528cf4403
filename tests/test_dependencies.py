"""What the packages import is what setup.py asks for, by itself and not through another."""

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
    "serving": ("serving", "litert", "onnx"),
    "tuner_oracles": (),
}
"""The extras whose packages a package may import beside the core's."""
PROVIDED = packages_distributions()


def asked() -> dict[str, set[str]]:
    """Names of the distributions that setup.py lists, of the core under an empty name."""
    tree = ast.parse((ROOT / "setup.py").read_text(encoding="utf-8"))
    values = {
        node.targets[0].id: ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and node.targets[0].id in ("CORE", "EXTRAS")
    }
    lists = {"": values["CORE"], **values["EXTRAS"]}
    return {
        name: {canonicalize_name(Requirement(item).name) for item in ones}
        for name, ones in lists.items()
    }


def foreign(path: Path) -> set[str]:
    """Top-level modules that a file imports and that are neither Python's nor ours."""
    tops = {name.split(".")[0] for name in imports(path)}
    return tops - set(sys.stdlib_module_names) - set(PACKAGES)


@pytest.mark.parametrize("package", PACKAGES)
def test_every_import_is_asked_for(package: str) -> None:
    lists = asked()
    accepted = lists[""].union(*(lists[extra] for extra in MAY_NEED[package]))
    for path in sorted((ROOT / package).rglob("*.py")):
        for module in foreign(path):
            found = {canonicalize_name(name) for name in PROVIDED.get(module, [module])}
            assert found & accepted, f"{path.relative_to(ROOT)} imports {module}"


def test_what_an_extra_brings_is_there_to_be_tested() -> None:
    lists = asked()
    extras = set().union(*(lists[extra] for ones in MAY_NEED.values() for extra in ones))
    assert extras - lists["serving"] <= lists["dev"]
    assert "tensorflow-addons" in lists[""]
