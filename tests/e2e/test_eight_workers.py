"""A search of eight workers, one of them slow, while workers and the chief are killed."""

import random
import sys
import time
from pathlib import Path

import pytest

from tests.e2e.processes import free_port, results, runs, start, trials, wait_for
from tests.e2e.warm import Warm

TRIALS, SECONDS, SLOWER = 160, 1.0, 10
WORKERS = [f"worker-{number}" for number in range(8)]
PAUSE = 3.0
"""The seconds between two kills of a worker."""


@pytest.mark.slow
def test_eight_workers_outlast_kills_of_workers_and_of_the_chief(tmp_path: Path) -> None:
    port, rng = free_port(), random.Random(7)

    def begin(name: str) -> Warm:
        seconds = SECONDS * (SLOWER if name == WORKERS[-1] else 1)
        return start(tmp_path, TRIALS, seconds, "heartbeat_timeout=10", name=name, port=port)

    chief, workers = begin("chief"), {name: begin(name) for name in WORKERS}
    wait_for(lambda: results(tmp_path))
    began = time.monotonic()
    chief_dies_at, killed = [TRIALS // 3, 2 * TRIALS // 3], []
    while (done := len(results(tmp_path))) < TRIALS - len(WORKERS):
        time.sleep(PAUSE)
        if chief_dies_at and done >= chief_dies_at[0]:
            chief_dies_at.pop(0)
            chief.kill()
            chief = begin("chief")
        killed.append(rng.choice(WORKERS[:-1]))
        workers[killed[-1]].kill()
        workers[killed[-1]] = begin(killed[-1])
    assert chief.wait(120) == 0, chief.errors
    took = time.monotonic() - began
    assert {worker.wait(60) for worker in workers.values()} == {0}

    assert not chief_dies_at, "the chief died twice"
    assert len(killed) >= 5
    found = trials(tmp_path)
    assert [status for *_, status, _ in found] == ["COMPLETED"] * TRIALS
    assert 0 <= len(runs(tmp_path)) - TRIALS <= len(killed), "only lost trials run again"
    shares = {name: sum(run[1] == name for run in runs(tmp_path)) for name in WORKERS}
    assert shares[WORKERS[-1]] < min(shares[name] for name in WORKERS[:-1])
    least = TRIALS * SECONDS / (len(WORKERS) - 1 + 1 / SLOWER)
    sys.stdout.write(
        f"{TRIALS} trials of {SECONDS:g} s: {took:.1f} s, {least:.1f} s without any loss; "
        f"{len(killed)} kills of workers, {len(runs(tmp_path)) - TRIALS} trials run again\n"
    )
    assert took < 6 * least
