"""The page of results, from invented runs."""

import re
import subprocess
import sys
from pathlib import Path

from tests.runs.made import made

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "search_results.py"


def test_a_page_of_two_runs_is_whole(tmp_path: Path) -> None:
    runs = [
        made(tmp_path / "learnt", trials=30),
        made(tmp_path / "drawn", trials=30, oracle="RandomOracle", trend=0.0, seed=2),
    ]
    done = subprocess.run(
        [
            *(sys.executable, str(SCRIPT), *(str(run.folder) for run in runs)),
            *("--title", "Two runs", "--machine", "any", "--out", str(tmp_path / "docs" / "both")),
        ],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "docs" / "both.md").read_text()
    pictures = re.findall(r"\]\((.*?)\)", text)
    assert len(pictures) == len(set(pictures)) > 10
    kept = {path for path in (tmp_path / "docs").rglob("*.*") if path.name != "both.md"}
    tables = {tmp_path / "docs" / "both" / run.folder.name / "trials.csv" for run in runs}
    assert kept == {tmp_path / "docs" / one for one in pictures} | tables
    for run in runs:
        assert f"Command: `{run.about['command']}`" in text
        for trial in run.best(5):
            assert f"| {trial.reward:.4f} |" in text
            assert f"| {trial.genotype} |" in text
