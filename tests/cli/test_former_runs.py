"""A run's folder that version 0.1.0 wrote is read by every command, and resumes.

Its search was ``nas-tf search small.yaml --oracle evolution --trials 3 --out run``; pictures and
the weights of all but the best trial were removed.
"""

import json
import shutil
import tarfile
from pathlib import Path

import pytest

from nas_tf.runs import Run
from tests.cli.command import nas_tf
from tests.prepared import few_scenes

SMALL = """\
space: auxcell
data: {name: shapes}
network: {width: 2, alpha: 0.35, weights: null}
stage_one: {epochs: 1, views: 1, batch: 128, crop: [64, 64]}
stage_two: null
"""
BEST = "[[[0,0],[0,2],[1,4]],[0,[1,1,0,5],[2,3,4,0],[2,0,5,3]]]"
RESUME = ("search", "small.yaml", "--oracle", "evolution", "--out", "run", "--resume")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the run and the configuration of its search."""
    monkeypatch.setenv("COLUMNS", "160")
    with tarfile.open(Path(__file__).parents[1] / "runs" / "of_0_1_0.tar.gz") as archive:
        archive.extractall(tmp_path, filter="data")
    (tmp_path / "small.yaml").write_text(SMALL)
    return tmp_path


def printed(*arguments: str, cwd: Path) -> str:
    done = nas_tf(*arguments, cwd=cwd)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_is_read_by_the_commands_of_runs(place: Path) -> None:
    assert Run(place / "run").info.nas_tf == "0.1.0"
    assert "run: auxcell on shapes, EvolutionOracle, seed 1\n" in printed(
        "status", "run", cwd=place
    )
    assert BEST in printed("best", "run", cwd=place).splitlines()[1]
    shown = printed("show", "run", "--no-drawing", cwd=place)
    assert f"{BEST}\nblock 1: a cell on the stride-4 tap + a cell on the stride-4 tap\n" in shown
    assert "\ndeployed: 86,815 parameters, " in shown
    assert printed("report", "run", cwd=place) == "run/report.html\n"
    assert "auxcell on shapes" in (place / "run" / "report.html").read_text()
    shutil.copytree(place / "run", place / "other")
    assert "other" in printed("compare", "run", "other", cwd=place)


def test_another_space_is_refused_in_a_line(place: Path) -> None:
    for override, line in (
        ("space.blocks=4", "space.blocks=3, now it is 4: give space.blocks=3, or another folder"),
        ("space=dpc", "space=auxcell, now it is dpc: give space=auxcell, or another folder"),
    ):
        done = nas_tf(*RESUME, override, "--trials", "9", cwd=place)
        assert done.returncode == 2
        assert done.stderr.startswith(f"nas-tf: run was started with {line}")
        assert done.stderr.count("\n") == 1


@pytest.mark.slow
def test_it_is_exported_and_resumed(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAS_TF_CACHE", str(few_scenes()))
    output = printed("export", "run", "--to", "savedmodel", "--out", "out", cwd=place)
    assert "100.00%" in output
    about = json.loads((place / "run" / "run.json").read_text())
    printed(*RESUME, "--trials", "4", cwd=place)
    run = Run(place / "run")
    assert [trial.trial for trial in run.trials] == ["0", "1", "2", "3"]
    assert (run.info.space, run.info.max_trials) == ("auxcell", 4)
    assert run.info.created == about["created"]
