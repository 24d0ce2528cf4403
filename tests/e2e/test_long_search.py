"""Thousands of trials: no slower at the end, memory flat, folder and report of bounded size."""

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import linear_regression, quantiles

import pytest

from nas_tf.report import page
from nas_tf.runs import Run, filenames
from tests.runs.made import made
from tests.sampling import times

ROOT = Path(__file__).parents[2]
BATCH = 16  # trials between two updates of the policy


def searched(kind: str, folder: Path, trials: int) -> dict[str, list[float]]:
    command = [sys.executable, str(ROOT / "tests/e2e/long_search.py"), kind, str(folder)]
    done = subprocess.run(
        [*command, str(trials)],
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "PYTHONMALLOC": "malloc"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture
def folder() -> Iterator[Path]:
    """Creates a folder in memory where possible: the time a disk takes for a file varies."""
    memory = Path("/dev/shm")
    fits = memory.is_dir() and shutil.disk_usage(memory).free > 2**28
    with tempfile.TemporaryDirectory(dir=memory if fits else None) as place:
        yield Path(place)


def slope(memory: Sequence[float]) -> float:
    """Returns the MiB that a thousand trials add once everything is imported and traced."""
    later = memory[len(memory) // 4 :]
    return 1000 * linear_regression(range(len(later)), later).slope


def check_cost(measures: dict[str, list[float]]) -> None:
    """Checks that the policy costs little, by processor time where others disturb the clock."""
    seconds, own = measures["seconds"][100:], measures["processor"][100:]
    assert sum(seconds) / len(seconds) <= 0.1
    batches = [sum(own[first : first + BATCH]) / BATCH for first in range(0, len(own), BATCH)]
    assert max(batches) <= 0.1, "one update of the policy and the trials that it learns from"
    assert usual(sorted(own)[-len(own) // BATCH :]) <= 0.25, "the update alone"
    first, last = measures["resident"][999], measures["resident"][-1]
    assert last - first < 0.08 * first, "KerasTuner's trials take some 4 kB each"


def usual(times: Sequence[float]) -> float:
    """Returns the lower quartile of times: other processes add to the upper part."""
    return quantiles(times, n=4)[0]


def slowdown(measures: dict[str, list[float]]) -> float:
    """Returns the time of the last two hundred trials, relative to those of another search.

    They took turns with that search, whose first ten trials trace the controller.
    """
    return usual(measures["processor"][-200:]) / usual(measures["started"][-200:])


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ("kind", "trials"), [("oracle", times(10_000, 1500)), ("run", times(2000, 1000))]
)
def test_thousands_of_trials_are_as_quick_at_the_end(
    kind: str, trials: int, folder: Path, record_property: Callable[[str, object], None]
) -> None:
    """Takes turns with a search that has just started, so that neither has the better machine.

    The best of three counts, as other tests run at the same time; ``run`` writes a run's folder.
    """
    slower: list[float] = []
    while not slower or (min(slower) > 1.1 and len(slower) < 3):
        place = folder / str(len(slower))
        measures = searched(kind, place, trials)
        slower.append(slowdown(measures))
    record_property("last trials by those of another search", [round(item, 3) for item in slower])
    assert min(slower) <= 1.1
    added = slope(measures["allocated"])
    record_property("MiB a thousand trials", round(added, 2))
    assert added < 10
    if kind == "run":
        check_folder(place / "run", folder / "few", trials)
    else:
        check_cost(measures)


def check_folder(folder: Path, place: Path, count: int) -> None:
    """Checks that thousands of trials are complete, their folder and report of bounded size."""
    run = Run(folder)
    assert len(run.trials) == len(run.to_frame()) == count
    few = made(place, trials=50)
    assert page.write(run).stat().st_size < 2 * page.write(few).stat().st_size
    found = [path.relative_to(run.folder) for path in run.folder.rglob("*") if path.is_file()]
    trials = [
        item for item in found if item.parts[0] == filenames.TRIALS or "trial_" in item.parts[0]
    ]
    assert len(trials) == 2 * count, "a trial is a record here, and one of the oracle's"
    assert len(found) - len(trials) < 40
