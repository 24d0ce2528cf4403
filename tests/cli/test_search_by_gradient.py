"""``nas-tf search`` by gradient: its lines, and how it treats a run that is there."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from nas_tf.cli import export
from nas_tf.cli.search import _epoch_line, command
from nas_tf.config import dump
from tests.prepared import shared_cache
from tests.search.test_gradient import config


@pytest.fixture(autouse=True)
def cache() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NAS_TF_CACHE", str(shared_cache()))
        yield


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
