"""``nas-tf study`` as a process: killed, resumed, and read by a person."""

import signal
import subprocess
import time
from pathlib import Path

import pytest

from nas_tf.runs.study import RESULTS, Study
from tests.cli.command import COMMAND, nas_tf
from tests.prepared import few_scenes

SMALL = (
    *("study", "shapes_auxcell", "network.width=8", "network.alpha=0.35", "network.weights=null"),
    *("stage_one.views=1", "stage_one.epochs=2", "stage_one.batch=100", "stage_one.crop=[64,64]"),
    *("space={name: auxcell, blocks: 1, branches: 1}", "threads=1", "precision=float32"),
    *("--count", "4", "--epochs-times", "2", "--try", "stage_one.epochs=1", "--out", "study"),
)
LINES = 12
SCORED = LINES + 4 * 5
"""The trainings, and with them the scores of four genotypes without training."""


def test_mistakes_are_one_line(tmp_path: Path) -> None:
    for more, line in (
        (("--try", " "), "--try is empty, expected overrides such as stage_one.epochs=1"),
        (("--try", "stage_one.epoch=1"), "stage_one.epoch"),
        (("--against", ""), "--against is empty, expected overrides such as stage_one.epochs=1"),
        (
            ("--against", "stage_two.epochs=2", "--epochs-times", "5"),
            "--against and --epochs-times are given, expected one of them",
        ),
        (("--try", "space=dpc"), "setting 'space=dpc' is of another space or data set"),
    ):
        done = nas_tf("study", "shapes_auxcell", *more, "--out", "study", cwd=tmp_path)
        assert done.returncode == 2
        (error,) = done.stderr.splitlines()
        assert line in error
    assert not (tmp_path / "study").exists()


def test_the_parts_of_a_cell_are_printed(tmp_path: Path) -> None:
    lines = nas_tf("sample", "dpc", "--parts-of", "aspp", cwd=tmp_path).stdout.splitlines()
    assert len(lines) == 31
    assert lines[4] == '[[0,"pool_1x1"]]'
    done = nas_tf("sample", "auxcell", "--parts-of", "aspp", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr == "nas-tf: --parts-of is given with space auxcell, expected dpc\n"
    done = nas_tf("sample", "dpc", "--parts-of", "aspp", "--seed", "1", cwd=tmp_path)
    assert done.stderr == "nas-tf: --count or --seed is given, expected neither with --parts-of\n"


@pytest.mark.slow
def test_a_killed_study_is_resumed_and_its_settings_are_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NAS_TF_CACHE", str(few_scenes()))
    with subprocess.Popen([*COMMAND, *SMALL], cwd=tmp_path, stderr=subprocess.DEVNULL) as study:
        path, deadline = tmp_path / "study" / RESULTS, time.monotonic() + 300
        while time.monotonic() < deadline and not path.exists():
            time.sleep(0.02)
        study.send_signal(signal.SIGKILL)
    before = path.read_bytes()
    done = nas_tf(*SMALL, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert path.read_bytes().startswith(before)
    assert f"of {SCORED} scores" in done.stderr
    assert f"{LINES} of {LINES} trainings are done." in done.stdout
    head, *rows = done.stdout.splitlines()
    assert head.split()[0] == "setting"
    assert [row.split("  ")[0] for row in rows[:3]] == [
        *("as configured", "stage_one.epochs=1", "longer training"),
    ]
    assert (tmp_path / "study/study.csv").read_text().count("\n") == 9
    assert all((tmp_path / "study" / name).exists() for name in ("study.svg", "ranks.svg"))
    assert len(Study(tmp_path / "study").results) == SCORED
    done = nas_tf(*SMALL, "network.width=4", cwd=tmp_path)
    assert "study was started with network.width=8, now it is 4" in done.stderr
