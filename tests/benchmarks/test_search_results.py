"""The page of results, from invented runs."""

import re
from pathlib import Path

import pytest

from tests.benchmarks.scripts import script
from tests.runs.made import made, reranked


@pytest.mark.slow
def test_a_page_of_two_runs_is_whole(tmp_path: Path) -> None:
    runs = [
        made(tmp_path / "learnt", trials=30),
        made(tmp_path / "drawn", trials=30, oracle="RandomOracle", trend=0.0, seed=2),
    ]
    reranked(runs[0])
    options = ("--title", "Two runs", "--machine", "any", "--out", tmp_path / "docs" / "both")
    done = script("search_results", *(run.folder for run in runs), *options, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "docs" / "both.md").read_text()
    pictures = re.findall(r"\]\((.*?)\)", text)
    assert len(pictures) == len(set(pictures)) > 10
    written = {path for path in (tmp_path / "docs").rglob("*.*") if path.name != "both.md"}
    tables = {tmp_path / "docs" / "both" / run.folder.name / "trials.csv" for run in runs}
    tables.add(tmp_path / "docs" / "both" / "learnt" / "longer.csv")
    assert written == {tmp_path / "docs" / picture for picture in pictures} | tables
    assert "both/learnt/reranking.svg" in pictures
    for run in runs:
        assert f"Command: `{run.info.command}`" in text
        for trial in run.best(5):
            assert f"| {trial.reward:.4f} |" in text
            assert f"| {trial.genotype} |" in text
