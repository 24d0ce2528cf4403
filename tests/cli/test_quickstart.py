"""The quickstart of each task: its configuration, its folder, and its teacher if it has one."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from nas_tf.cli import quickstart
from nas_tf.config import load
from nas_tf.runs import Run, filenames
from tests.prepared import few_scenes

TINY = (
    "stage_one.epochs=1",
    "stage_one.views=1",
    "stage_one.batch=128",
    "threads=1",
    "search.trials=1",
)


@pytest.fixture
def searched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[tuple[Any, ...]]:
    """Records the searches that are started instead of running them."""
    started: list[tuple[Any, ...]] = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        quickstart, "conduct", lambda *given, **more: started.append((*given, more))
    )
    return started


@pytest.mark.parametrize(
    ("arguments", "folder"),
    [((), "runs/quickstart-detection"), (("--out", "boxes"), "boxes")],
)
def test_detection_has_a_configuration_and_a_folder_of_its_own(
    arguments: tuple[str, ...], folder: str, searched: list
) -> None:
    command = ["search.trials=2", "--task", "detection", *arguments]
    assert CliRunner().invoke(quickstart.command, command).exit_code == 0
    ((name, settings, where, more),) = searched
    assert (name, settings, where) == ("quickstart_detection", ["search.trials=2"], Path(folder))
    assert more == {"workers": 1, "resume": False}
    Path(folder).mkdir(parents=True)
    (Path(folder) / filenames.RUN).touch()
    CliRunner().invoke(quickstart.command, command)
    assert searched[-1][-1]["resume"]


def test_restoration_is_searched_by_gradient_in_a_folder_of_its_own(searched: list) -> None:
    assert CliRunner().invoke(quickstart.command, ["--task", "restoration"]).exit_code == 0
    ((name, settings, where, _),) = searched
    assert (name, settings) == ("shapes_denoise", [])
    assert where == Path("runs/quickstart-restoration")
    assert load(name).search.oracle == "gradient"


def test_segmentation_is_usual_and_has_a_teacher(searched: list) -> None:
    teacher = Path("runs/quickstart-teacher")
    teacher.mkdir(parents=True)
    (teacher / "result.json").touch()
    CliRunner().invoke(quickstart.command, [])
    (name, settings, where, _), *_ = searched
    assert (name, where) == ("quickstart", Path("runs/quickstart"))
    assert settings == [f"teacher={teacher / 'last.keras'}"]


@pytest.mark.slow
def test_detection_searches_writes_a_report_and_resumes_by_the_same_command(
    tmp_path: Path,
) -> None:
    command = [sys.executable, "-m", "nas_tf", "quickstart", "--task", "detection", *TINY]
    env = {**os.environ, "NAS_TF_CACHE": str(few_scenes("shapes_boxes"))}
    subprocess.run(command, cwd=tmp_path, env=env, check=True)
    again = subprocess.run(command, cwd=tmp_path, env=env, check=True, stderr=subprocess.PIPE)
    assert "all 1 trials of runs/quickstart-detection have ended" in again.stderr.decode()
    run = Run(tmp_path / "runs" / "quickstart-detection")
    assert (run.folder / filenames.REPORT).exists()
    (trial,) = run.completed
    assert 0 < trial.score < 1
    assert "ap50" in trial.stages[0].metrics
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == ["quickstart-detection"]
