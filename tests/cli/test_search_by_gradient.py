"""``nas-tf search`` by gradient: its lines, and how it treats a run that is there."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from nas_tf.cli import data, export
from nas_tf.cli.search import _epoch_line, command
from nas_tf.config import dump
from nas_tf.runs import Run
from tests.prepared import shared_cache
from tests.search.test_gradient import config


@pytest.fixture(autouse=True)
def cache() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NAS_TF_CACHE", str(shared_cache()))
        yield


@pytest.mark.slow
def test_a_run_is_written_refused_and_resumed(tmp_path: Path) -> None:
    file = tmp_path / "denoise.yaml"
    file.write_text(dump(config(gradient={"epochs": 2})))
    arguments = [str(file), "--out", str(tmp_path / "run")]
    first = CliRunner().invoke(command, arguments)
    assert first.exit_code == 0, first.exception
    assert "training the super-net in" in first.output
    assert "epoch 2: loss" in first.output
    refused = CliRunner().invoke(command, arguments)
    assert "holds a run of 1 trials: add --resume" in str(refused.exception)
    done = CliRunner().invoke(command, [*arguments, "--resume"])
    assert done.exit_code == 0, done.exception
    assert "1 trials in" in done.output
    assert "epoch" not in done.stderr.partition("resuming")[2].partition("up to epoch 2")[2]
    exported = CliRunner().invoke(export.command, [str(tmp_path / "run")])
    assert "none of trial epoch-2 alone, expected a training of its" in str(exported.exception)
    workers = CliRunner().invoke(command, [*arguments, "--resume", "--workers", "2"])
    assert "one super-net in one process, expected no --workers" in str(workers.exception)


def test_a_number_of_trials_is_refused() -> None:
    done = CliRunner().invoke(command, ["shapes_denoise", "--trials", "3"])
    assert "--trials is 3 and search.oracle is gradient" in str(done.exception)
    assert "expected gradient.epochs=N" in str(done.exception)


def test_the_line_of_an_epoch_has_its_figures() -> None:
    row = {
        **{"epoch": 7, "loss": 0.123456, "psnr": 25.432, "ssim": 0.7001, "entropy": 0.98765},
        **{"path": "0-1-1", "probability": 0.25, "seconds": 61.4},
    }
    assert _epoch_line(row) == (
        "epoch 7: loss 0.1235, PSNR 25.43, SSIM 0.7001, entropy 0.988, path 0-1-1 (0.250), 61 s"
    )


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of small pictures in sub-folders, described by ``nas-tf data init``."""
    folder, rng = tmp_path_factory.mktemp("my photos"), np.random.default_rng(3)
    for number in range(8):
        path = folder / ("rome", "oslo")[number % 2] / f"IMG ({number}).png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (20, 24 + number, 3), np.uint8)).save(path)
    done = CliRunner().invoke(data.init, [str(folder)])
    assert done.exit_code == 0, done.exception
    options = "degradation.noise.sigma=25 gradient.batch=2"
    assert f"data.name='folder:{folder}' {options}\n" in done.output
    return folder


@pytest.mark.parametrize(
    ("oracle", "channels"), [pytest.param("gradient", 3, marks=pytest.mark.slow), ("random", 1)]
)
def test_own_photographs_are_searched_after_one_command(
    oracle: str, channels: int, photographs: Path, tmp_path: Path
) -> None:
    """Batches have their default sizes, which are limited to the number of pictures."""
    file = tmp_path / "denoise.yaml"
    small = config(gradient={"epochs": 1, "warmup_epochs": 0, "batch": 6})
    file.write_text(dump(small))
    options = [f"data.name=folder:{photographs}", f"task.channels={channels}"]
    options += ["data.view.crop=[16,16]", "stage_one.epochs=1", "stage_one.views=1"]
    options += ["stage_two=null", f"search.oracle={oracle}", "search.trials=1"]
    done = CliRunner().invoke(command, [str(file), *options, "--out", str(tmp_path / "run")])
    assert done.exit_code == 0, done.exception
    run = Run(tmp_path / "run")
    assert [trial.status for trial in run.trials] == ["completed"]
    assert (run.info.outputs, run.settings["data.view.resize"]) == (channels, "none")
