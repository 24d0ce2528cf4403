"""The notebooks of the documentation were run, and their cells run."""

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest

from tests.prepared import few_scenes
from tests.test_house import ROOT

NOTEBOOKS = sorted((ROOT / "docs").rglob("*.ipynb"))
OF_MACHINES = (str(Path.home()), tempfile.gettempdir(), str(ROOT))


def cells(path: Path) -> list[dict[str, Any]]:
    content = json.loads(path.read_text(encoding="utf-8"))
    return [cell for cell in content["cells"] if cell["cell_type"] == "code"]


def test_there_are_notebooks() -> None:
    assert NOTEBOOKS


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_cell_was_run_in_order_and_shows_something(path: Path) -> None:
    found = cells(path)
    assert [cell["execution_count"] for cell in found] == list(range(1, len(found) + 1))
    for cell in found:
        kinds = {output["output_type"] for output in cell["outputs"]}
        assert kinds
        assert "error" not in kinds
    text = path.read_text(encoding="utf-8")
    assert not [words for words in OF_MACHINES if words in text]


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_cell_runs(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their lines for IPython are left out."""
    monkeypatch.setenv("NAS_TF_CACHE", str(few_scenes()))
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for cell in cells(path):
        lines = "".join(cell["source"]).splitlines()
        source = "\n".join(line for line in lines if not line.startswith("%"))
        exec(compile(source, path.name, "exec"), names)
    assert names["score"].result["mean_iou"] > 0
