"""A search by gradient as users run it: killed at any moment, it ends with the same network."""

import csv
import random
import shutil
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

EPOCHS, KILLS, DAMAGES = 3, times(10, 2), range(times(12, 3))
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


@pytest.fixture(scope="module")
def half(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A search that was killed after two epochs."""
    folder = tmp_path_factory.mktemp("half")
    process, table = start(folder), folder / "run" / filenames.SUPERNET
    wait_for(lambda: table.exists() and len(table.read_text().splitlines()) > 2, 300)
    process.kill()
    return folder


@pytest.fixture(scope="module")
def undisturbed(half: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The same search, resumed."""
    return finished(shutil.copytree(half, tmp_path_factory.mktemp("undisturbed") / "half"))


@pytest.mark.parametrize("seed", DAMAGES)
def test_a_damaged_file_is_named_or_changes_nothing(
    half: Path, undisturbed: Run, tmp_path: Path, seed: int
) -> None:
    folder, rng = shutil.copytree(half, tmp_path / "damaged"), random.Random(seed)
    paths = sorted(path for path in (folder / "run").rglob("*") if path.is_file())
    path = rng.choice([path for path in paths if path.stat().st_size])
    content = bytearray(path.read_bytes())
    content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    path.write_bytes(content if rng.random() < 0.5 else content[: rng.randrange(len(content))])
    (folder / "log.txt").unlink()
    process = start(folder)
    if process.wait(300) != 0:
        last = process.errors.strip().splitlines()[-1]
        named = path.relative_to(folder)
        assert last.startswith("nas-tf: "), f"{named}\n{process.errors}"
        assert str(named) in last, f"{named}\n{process.errors}"
        shutil.copy(half / named, path)
    run = finished(folder)
    if path.parent.name != filenames.TRIALS:
        assert [trial.genotype for trial in run.trials] == [
            trial.genotype for trial in undisturbed.trials
        ]
    if path.name != filenames.SUPERNET:
        assert figures(run) == figures(undisturbed)
