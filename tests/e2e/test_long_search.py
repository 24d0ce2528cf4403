"""Thousands of trials: no slower at the end, memory flat, folder and report of bounded size."""

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import linear_regression, quantiles

import pytest

from nas_tf.report import page
from nas_tf.runs import Run, layout
from tests.runs.made import made

ROOT = Path(__file__).parents[2]


def searched(kind: str, folder: Path, trials: int) -> dict[str, list[float]]:
    command = [sys.executable, str(ROOT / "tests/e2e/long_search.py"), kind, str(folder)]
    done = subprocess.run(
        [*command, str(trials)],
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def slope(memory: Sequence[float]) -> float:
    """MiB that a thousand trials add, once everything is imported and traced."""
    later = memory[len(memory) // 4 :]
    return 1000 * linear_regression(range(len(later)), later).slope


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_ten_thousand_trials(tmp_path: Path) -> None:
    told = searched("oracle", tmp_path, 10_000)
    seconds, own = told["seconds"][100:], sorted(told["processor"][100:])
    assert own[int(0.99 * len(own))] <= 0.2, "the processor's seconds: another test may run beside"
    assert sum(seconds) / len(seconds) <= 0.1
    first, last = told["memory"][999], told["memory"][-1]
    assert last - first < 0.08 * first, "KerasTuner's trials take some 4 kB each"


def usual(times: Sequence[float]) -> float:
    """Of a hundred trials; what a busy machine adds is in the upper part."""
    return quantiles(times, n=4)[0]


@pytest.mark.slow
def test_two_thousand_trials_are_as_quick_at_the_end(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """Against a yardstick, and the best of three: beside it other tests come and go."""
    slower = []
    for attempt in range(3):
        told = searched("oracle", tmp_path / str(attempt), 2000)
        first, last = (
            usual(told["processor"][part]) / usual(told["yardstick"][part])
            for part in (slice(10, 110), slice(-100, None))  # the first ones trace the controller
        )
        slower.append(last / first)
        if slower[-1] <= 1.1:
            break
    record_property("last hundred trials by the first", [round(one, 3) for one in slower])
    assert min(slower) <= 1.1
    added = slope(told["memory"])
    record_property("MiB a thousand trials", round(added, 2))
    assert added < 10


@pytest.mark.slow
def test_two_thousand_trials_of_a_run(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """Beside a candidate's training a folder's keeping is nothing, and stays so."""
    told = searched("run", tmp_path, 2000)
    added = slope(told["memory"])
    record_property("MiB a thousand trials", round(added, 2))
    assert added < 10
    spent = told["processor"][10:]
    slower = usual(spent[-100:]) - usual(spent[:100])
    record_property("milliseconds more a trial", round(1000 * slower, 2))
    assert slower < 0.01

    run = Run(tmp_path / "run")
    assert len(run.trials) == len(run.to_frame()) == 2000
    few = made(tmp_path / "few", trials=50)
    assert page.write(run).stat().st_size < 2 * page.write(few).stat().st_size
    kept = [path.relative_to(run.folder) for path in run.folder.rglob("*") if path.is_file()]
    trials = [one for one in kept if one.parts[0] == layout.TRIALS or "trial_" in one.parts[0]]
    assert len(trials) == 2 * 2000, "a trial is a record here, and one of the oracle's"
    assert len(kept) - len(trials) < 40
