"""The mutations of ``tests/mutation_list.py`` can be applied, and a survivor is one."""

import shutil
from pathlib import Path

import pytest

from tests.mutation_list import MUTATIONS, Mutation
from tests.mutations import ROOT, survives


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda item: item.name)
def test_a_mutation_has_its_place_and_its_tests(mutation: Mutation) -> None:
    text = (ROOT / mutation.path).read_text(encoding="utf-8")
    assert text.count(mutation.old) == 1
    compile(text.replace(mutation.old, mutation.new), mutation.path, "exec")
    assert all((ROOT / path).exists() for path in mutation.tests)


@pytest.mark.parametrize(("new", "is_alive"), [("2 + 2", True), ("5", False)])
def test_a_mutation_survives_if_the_tests_pass(tmp_path: Path, new: str, is_alive: bool) -> None:
    (tmp_path / "four.py").write_text("FOUR = 4\n")
    (tmp_path / "test_four.py").write_text(
        "from four import FOUR\n\ndef test_four() -> None:\n    assert FOUR == 4\n"
    )
    shutil.copy(ROOT / "setup.py", tmp_path)
    mutation = Mutation("four", "four.py", "4", new, ("test_four.py",))
    assert survives(mutation, tmp_path) == is_alive
    assert (tmp_path / "four.py").read_text() == "FOUR = 4\n", "put back"
