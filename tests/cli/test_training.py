"""evaluate, train, train-teacher and finetune."""

import json
import os
import pty
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.cli.command import COMMAND, nas_tf
from tests.prepared import few_scenes
from tests.training.evaluated import SIMPLE

NETWORK = str(SIMPLE)

SMALL = """\
space: {name: auxcell, blocks: 1, branches: 1}
data: {name: shapes}
network: {width: 8, alpha: 0.35, weights: null}
stage_one: {epochs: 1, views: 1, batch: 64, crop: [64, 64]}
stage_two: {batch: 64}
full_training:
  stages:
    - {epochs: 2, batch: 100, crop: [64, 64]}
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with the small configuration, and few prepared scenes."""
    folder = tmp_path_factory.mktemp("place")
    (folder / "small.yaml").write_text(SMALL)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NAS_TF_CACHE", str(few_scenes()))
        patch.setenv("COLUMNS", "160")
        yield folder


@pytest.mark.slow
def test_evaluate_prints_the_reward_stage_by_stage(place: Path) -> None:
    done = nas_tf("trial", NETWORK, "--config", "small.yaml", "--out", "out/arch1.json", cwd=place)
    assert done.returncode == 0, done.stderr
    record = json.loads((place / "out" / "arch1.json").read_text())
    lines = done.stdout.splitlines()
    first, second = record["stages"]
    assert lines[0].startswith(f"stage 1: score {first['reward']:.4f} after 2 steps, loss ")
    assert lines[3].startswith(f"stage 2: score {second['reward']:.4f} after 2 steps, loss ")
    assert lines[-1].startswith(f"reward {record['reward']:.4f}, {record['params']:,} parameters")


@pytest.mark.slow
def test_the_live_line_shows_rate_and_time_left(place: Path) -> None:
    reading_end, writing_end = pty.openpty()
    child = subprocess.Popen(
        [*COMMAND, "trial", NETWORK, "--config", "small.yaml", "stage_two=null"],
        cwd=place,
        stdout=subprocess.DEVNULL,
        stderr=writing_end,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "120"},
    )
    os.close(writing_end)
    output = b""
    while True:
        try:
            read = os.read(reading_end, 4096)
        except OSError:
            break
        output += read
    assert child.wait() == 0
    text = output.decode()
    for part in ("stage 1", "2/2", "/s", "loss", "left"):
        assert part in text


@pytest.mark.slow
def test_train_is_stopped_and_resumes_to_a_table_and_a_plot(place: Path) -> None:
    arguments = ["train", NETWORK, "--config", "small.yaml", "--out", "runs/arch1"]
    child = subprocess.Popen(
        [*COMMAND, *arguments],
        cwd=place,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    printed = ""
    while "epoch 1:" not in printed:
        printed += child.stderr.readline()
    child.send_signal(signal.SIGINT)
    out, rest = child.communicate(timeout=200)
    assert child.returncode == 130, rest
    assert "stopped; the same command resumes the training in runs/arch1" in rest
    assert out == ""
    done = nas_tf(*arguments, cwd=place)
    assert done.returncode == 0, done.stderr
    assert "resuming after step" in done.stderr
    assert done.stdout.splitlines()[0].split() == ["class", "iou", "accuracy", "share"]
    assert "val split, last weights: mean_iou " in done.stdout
    for name in ("last.keras", "best.keras", "history.csv", "predictions.png", "result.json"):
        assert (place / "runs" / "arch1" / name).stat().st_size
    other = nas_tf(*arguments, "seed=2", cwd=place)
    assert other.returncode == 2
    assert other.stderr.splitlines()[-1] == (
        "nas-tf: runs/arch1 was started with seed=1, now it is 2: give seed=1, or another folder "
        "(runs/arch1/config.yaml says what it was)"
    )


@pytest.mark.slow
def test_a_trained_network_is_finetuned_on_another_task(place: Path) -> None:
    first = ["train", NETWORK, "--config", "small.yaml", "--out", "runs/arch2"]
    assert nas_tf(*first, "full_training.stages.0.epochs=1", cwd=place).returncode == 0
    wide = SMALL.replace("width: 8, alpha: 0.35", "width: null, alpha: 1.0")
    background = "task: {background: background}\n"
    (place / "wide.yaml").write_text(wide + background)  # it applies to segmentation only
    done = nas_tf(
        *("finetune", "runs/arch2", "--task", "depth", "--config", "wide.yaml"),
        "full_training.stages.0.epochs=1",
        cwd=place,
    )
    assert done.returncode == 0, done.stderr
    assert "rmse" in done.stdout
    network = yaml.safe_load((place / "runs/arch2-depth/config.yaml").read_text())["network"]
    assert (network["width"], network["alpha"]) == (8, 0.35), "the settings of the trained network"
    assert (place / "runs" / "arch2-depth" / "last.keras").exists()


@pytest.mark.slow
def test_a_trained_teacher_teaches(place: Path) -> None:
    done = nas_tf(
        *("train-teacher", "--config", "small.yaml", "--genotype", NETWORK, "--width", "12"),
        "full_training.stages.0.epochs=1",
        cwd=place,
    )
    assert done.returncode == 0, done.stderr
    taught = "teacher=runs/small-teacher/last.keras"
    assert done.stdout.splitlines()[-1] == f"use it with {taught}"
    arguments = ("trial", NETWORK, "--config", "small.yaml", "stage_two=null")
    with_it = nas_tf(*arguments, taught, cwd=place)
    assert with_it.returncode == 0, with_it.stderr
    assert with_it.stdout != nas_tf(*arguments, cwd=place).stdout


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (
            ["train", NETWORK, "--config", "small.yaml", "stage_one.epoch=2"],
            "override stage_one.epoch=2: key stage_one.epoch is unknown, did you mean epochs?",
        ),
        (
            ["train", NETWORK, "--config", "small.yaml", "full_training.stages.0.epochs=-1"],
            "override full_training.stages.0.epochs=-1: expected an integer of 1 or more",
        ),
        (
            ["trial", NETWORK, "--config", "small.yaml", "teacher=none.keras"],
            "teacher PLACE/none.keras: no such file, expected a Keras model or SavedModel; "
            "nas-tf train-teacher makes one",
        ),
        (
            ["train", NETWORK, "--config", "small.yaml", "network.weights=none.h5"],
            "weights PLACE/none.h5: no such file, expected weights of mobilenet_v2 of alpha "
            "0.35 as Keras saves them",
        ),
        (
            ["train", "dpc-top1", "--config", "small.yaml"],
            "dpc-top1 belongs to space dpc, not to auxcell (blocks=1, branches=1)",
        ),
        (
            ["finetune", "nowhere", "--task", "depth", "--config", "small.yaml"],
            "nowhere holds no genotype.json, expected a folder that nas-tf train wrote",
        ),
    ],
)
def test_mistakes_are_one_line_before_any_compute(
    place: Path, arguments: list[str], line: str
) -> None:
    out = ["--out", "refused"] if arguments[0] == "train" else []
    done = nas_tf(*arguments, *out, cwd=place)
    assert done.stderr == f"nas-tf: {line.replace('PLACE', str(place))}\n"
    assert (done.stdout, done.returncode) == ("", 2)
    assert not (place / "refused").exists()
