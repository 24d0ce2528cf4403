"""The page of transfer, from a network and trainings that hardly trained."""

import csv
import re
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest

from benchmarks import transfer as benchmark
from tests.benchmarks.scripts import script
from tests.cli.command import nas_tf
from tests.cli.test_training import NETWORK, SMALL
from tests.prepared import few_scenes

TINY = (
    *("network.width=8", "network.alpha=0.35", "network.weights=null"),
    *("full_training.stages.0.batch=100", "full_training.stages.0.crop=[64,64]"),
)


transfer = partial(script, "transfer")


def in_this_process(command: list[str], *, check: bool) -> None:
    """Runs ``python -m nas_tf`` and its arguments as the command line here."""
    assert command[1:3] == ["-m", "nas_tf"]
    done = nas_tf(*command[3:], cwd=Path.cwd())
    assert check
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_both_ways_are_trained_and_reported_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NAS_TF_CACHE", str(few_scenes()))
    monkeypatch.setattr(benchmark, "subprocess", SimpleNamespace(run=in_this_process))
    (tmp_path / "small.yaml").write_text(SMALL)
    options = ("--config", "small.yaml", "full_training.stages.0.epochs=1", "--out", "runs/first")
    assert nas_tf("train", NETWORK, *options, cwd=tmp_path).returncode == 0
    arguments = ("run", "runs/first", *TINY, "--out", "out", "--epochs", "depth=1,pose=1")
    done = transfer(*arguments, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (tmp_path / "docs").mkdir()
    again = transfer(*arguments, cwd=tmp_path)
    assert (again.returncode, again.stdout) == (0, ""), "what is trained is not trained again"
    other = transfer(*arguments[:-1], "depth=2,pose=1", cwd=tmp_path)
    assert other.stderr == "out/depth-transferred is by another command, expected another --out\n"
    reported = transfer("tell", "--out", "out", "--docs", "docs", cwd=tmp_path)
    assert reported.returncode == 0, reported.stderr
    with (tmp_path / "docs" / "transfer.csv").open() as file:
        rows = {(row["task"], row["figure"]): row for row in csv.DictReader(file)}
    assert {"rmse", "rmse_log", "abs_rel", "sqr_rel", "delta1", "delta2", "delta3"} == {
        figure for task, figure in rows if task == "depth"
    }
    assert 0 <= float(rows["pose", "pckh@0.5"]["transferred"]) <= 1
    text = (tmp_path / "docs" / "transfer.md").read_text()
    for picture in re.findall(r"\]\((\w+\.png)\)", text):
        assert (tmp_path / "docs" / picture).stat().st_size > 1000
    assert text.count(".png)") == 2
    assert "    nas-tf finetune runs/first --task depth --config shapes_depth " in text
    assert f"    nas-tf train '{NETWORK}' " in text


def test_an_unknown_task_is_one_line(tmp_path: Path) -> None:
    done = transfer("run", "runs/first", "--out", "out", "--epochs", "sound=3", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr == "--epochs has 'sound=3', expected some of depth=NUMBER, pose=NUMBER\n"
