"""A search by gradient as users run it: killed at any moment, it ends with the same network."""

import csv
import random
import time
from pathlib import Path

import numpy as np
import pytest

from nas_tf.config import dump
from nas_tf.runs import Run, filenames
from tests.e2e.processes import wait_for
from tests.e2e.warm import Warm
from tests.prepared import few_scenes
from tests.sampling import times
from tests.search.test_gradient import config

EPOCHS, KILLS = 3, times(10, 2)
pytestmark = pytest.mark.slow


def start(folder: Path) -> Warm:
    settings = {"epochs": EPOCHS, "warmup_epochs": 1, "batch": 20, "save_minutes": 1e-4}
    (folder / "denoise.yaml").write_text(dump(config(gradient=settings, threads=1)))
    return Warm(
        *("command", folder, "search", "denoise.yaml", "--out", "run", "--resume"),
        env={"NAS_TF_CACHE": str(few_scenes("shapes_clean"))},
        log=folder / "log.txt",
        out=True,
    )


def finished(folder: Path) -> Run:
    process = start(folder)
    assert process.wait(900) == 0, process.errors
    return Run(folder / "run")


def saved_steps(folder: Path) -> set[str]:
    """Returns the names of the files of the checkpoints, which contain the number of steps."""
    return {path.name for path in (folder / "run" / "checkpoints").rglob("*.index")}


def kill(folder: Path, rng: random.Random) -> None:
    """Kills a search once it has written a checkpoint or ended, or as it starts."""
    process, before = start(folder), saved_steps(folder)
    if rng.random() < 0.8:
        wait_for(lambda: saved_steps(folder) - before or process.poll() is not None, 300)
    time.sleep(rng.uniform(0.0, 1.0))
    process.kill()


def figures(run: Run) -> list[dict[str, str]]:
    """Returns the rows of the super-net's table without what a clock measured."""
    with (run.folder / filenames.SUPERNET).open() as file:
        return [{**row, "seconds": ""} for row in csv.DictReader(file)]


def architectures(run: Run) -> str:
    return (run.folder / filenames.ARCHITECTURE).read_text()


def test_killed_again_and_again_it_ends_with_the_same_weights(tmp_path: Path) -> None:
    undisturbed, killed = tmp_path / "undisturbed", tmp_path / "killed"
    undisturbed.mkdir()
    killed.mkdir()
    expected, rng = finished(undisturbed), random.Random(3)
    for _ in range(KILLS):
        kill(killed, rng)
    run = finished(killed)
    assert [(trial.trial, trial.genotype, trial.score) for trial in run.trials] == [
        (trial.trial, trial.genotype, trial.score) for trial in expected.trials
    ]
    assert len(run.trials) > 1
    assert figures(run) == figures(expected)
    assert len(figures(run)) == EPOCHS
    architectures = [
        (each.folder / filenames.ARCHITECTURE).read_text() for each in (run, expected)
    ]
    assert architectures[0] == architectures[1]
    names = [path.name for path in (expected.folder / filenames.WEIGHTS).iterdir()]
    assert len(names) == 1
    own, other = (np.load(each.folder / filenames.WEIGHTS / names[0]) for each in (run, expected))
    assert own.files == other.files
    for name in own.files:
        np.testing.assert_array_equal(own[name], other[name])
