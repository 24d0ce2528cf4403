"""Searches of real processes that are killed: nothing is lost, nothing counts twice."""

import random
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.e2e.processes import (
    ROOT,
    SCRIPT,
    free_port,
    hold,
    kill_at_random,
    records,
    release,
    results,
    runs,
    start,
    trials,
    wait_for,
    wait_until_held,
)
from tests.sampling import times

CLUSTER = ("heartbeat_timeout=10",)


@pytest.mark.slow
def test_kills_change_nothing(tmp_path: Path) -> None:
    undisturbed = tmp_path / "undisturbed"
    assert start(undisturbed, 300, 0.0).wait() == 0
    disturbed, rng = tmp_path / "disturbed", random.Random(3)
    for _ in range(times(30, 6)):
        kill_at_random(start(disturbed, 300, 0.0), disturbed, rng)
    assert len(results(disturbed)) < 300, "the kills came while it ran"
    assert start(disturbed, 300, 0.0).wait() == 0
    assert len(trials(disturbed)) == 300
    assert trials(disturbed) == trials(undisturbed)


@pytest.mark.slow
def test_a_kill_before_the_first_trial_and_one_within_change_nothing(tmp_path: Path) -> None:
    undisturbed = tmp_path / "undisturbed"
    assert start(undisturbed, 20, 0.0).wait() == 0
    folder = tmp_path / "disturbed"
    hold(folder, "search")
    first = start(folder, 20, 0.0)
    wait_until_held(folder, "search")
    first.kill()
    first.wait()
    assert (folder / "search" / "tuner0.json").exists()
    assert [record["kind"] for record in records(folder)] == ["begin"]
    release(folder)
    second = start(folder, 20, 0.05)
    wait_for(lambda: len(results(folder)) >= 8)
    second.kill()
    second.wait()
    assert start(folder, 20, 0.0).wait() == 0
    assert trials(folder) == trials(undisturbed)


@pytest.mark.slow
def test_ctrl_c_is_no_death(tmp_path: Path) -> None:
    hold(tmp_path, "tuner0")
    process = start(tmp_path, 6, 0.0)
    wait_until_held(tmp_path, "tuner0")
    process.send_signal(signal.SIGINT)
    assert process.wait() != 0
    assert records(tmp_path)[-1]["kind"] == "release"
    release(tmp_path)
    assert start(tmp_path, 6, 0.0).wait() == 0
    assert len(trials(tmp_path)) == 6


@pytest.mark.slow
def test_ctrl_c_at_any_moment_changes_nothing_in_a_notebook(tmp_path: Path) -> None:
    """Interrupts a hundred times, runs the cell again after each, and ends in a new process."""
    undisturbed = tmp_path / "undisturbed"
    assert start(undisturbed, 420, 0.0).wait() == 0
    folder = tmp_path / "disturbed"
    # A trial takes a millisecond or more, so a fast machine is interrupted as often as a slow one.
    assert start(folder, 400, 0.001, "interrupts=100").wait() == 0
    log = (folder / "alone.log").read_text()
    assert int(log.rpartition("interrupted ")[2].split()[0]) >= 30
    assert start(folder, 420, 0.0).wait() == 0
    assert trials(folder) == trials(undisturbed)


@pytest.mark.slow
def test_a_trial_that_kills_its_process_is_given_up(tmp_path: Path) -> None:
    for died in range(3):
        process = start(tmp_path, 3, 60)
        wait_for(lambda died=died: len(runs(tmp_path)) > died)
        process.kill()
        process.wait()
    assert start(tmp_path, 3, 0.0).wait() == 0
    assert [(status, score is None) for *_, status, score in trials(tmp_path)] == [
        ("FAILED", True),
        ("COMPLETED", False),
        ("COMPLETED", False),
    ]
    assert results(tmp_path)[0]["message"] == "the process that ran it died 3 times"


@pytest.mark.slow
def test_a_killed_worker_and_a_killed_chief(tmp_path: Path) -> None:
    port, count, seconds = free_port(), 60, 0.5
    names = ["worker-0", "worker-1", "worker-2"]
    chief = start(tmp_path, count, seconds, *CLUSTER, name="chief", port=port)
    workers = {
        name: start(tmp_path, count, seconds, *CLUSTER, name=name, port=port) for name in names
    }
    wait_for(lambda: len(results(tmp_path)) >= 10)
    hold(tmp_path, "worker-1")
    wait_until_held(tmp_path, "worker-1")
    workers["worker-1"].kill()
    release(tmp_path)
    wait_for(lambda: len(results(tmp_path)) >= 20)
    chief.kill()
    chief.wait()
    since, had = time.monotonic(), len(results(tmp_path))
    time.sleep(2)
    assert len(results(tmp_path)) == had
    chief = start(tmp_path, count, seconds, *CLUSTER, name="chief", port=port)
    workers["worker-1"].wait()
    workers["worker-1"] = start(tmp_path, count, seconds, *CLUSTER, name="worker-1", port=port)
    wait_for(lambda: len(results(tmp_path)) >= had + 6)
    assert time.monotonic() - since < 60, "recovery"
    assert chief.wait(120) == 0
    assert [worker.wait(30) for worker in workers.values()] == [0, 0, 0]
    found = trials(tmp_path)
    assert len(found) == count
    assert {status for *_, status, _ in found} == {"COMPLETED"}
    again = len(runs(tmp_path)) - count
    assert again == 1, "only what the killed worker ran was run again"


@pytest.mark.slow
def test_trials_that_kill_their_worker_do_not_end_the_search(tmp_path: Path) -> None:
    """Two such trials die as often as they may: more than a worker may restart in a row."""
    given = ('deadly=["0","1"]', "max_deaths_per_trial=2")
    launched = launch(tmp_path, 4, 0.0, *given, restarts=2, workers=1)
    _, errors = launched.communicate(timeout=400)
    assert launched.returncode == 0, errors
    assert [status for *_, status, _ in trials(tmp_path)] == ["FAILED"] * 2 + ["COMPLETED"] * 2
    assert {result["message"] for result in results(tmp_path) if result["status"] == "FAILED"} == {
        "the process that ran it died 2 times"
    }


@pytest.mark.slow
def test_a_finished_search_that_is_resumed_ends_soon(tmp_path: Path) -> None:
    """Uses the default timeout, and a worker fewer than before."""
    for workers in (2, 1):
        since = time.monotonic()
        launched = launch(tmp_path, 3, 0.0, workers=workers)
        launched.communicate(timeout=300)
        assert launched.returncode == 0
    assert time.monotonic() - since < 100, "heartbeat_timeout is 120 s"


@pytest.mark.slow
def test_a_chief_does_not_wait_for_the_dead_nor_a_late_worker_for_it(tmp_path: Path) -> None:
    """All workers die when the last trial has ended, before they learn that they may stop."""
    port = free_port()
    chief = start(tmp_path, 4, 0.3, *CLUSTER, name="chief", port=port)
    workers = [
        start(tmp_path, 4, 0.3, *CLUSTER, name=f"worker-{index}", port=port) for index in range(2)
    ]
    wait_for(lambda: len(results(tmp_path)) >= 3)
    for worker in workers:
        worker.kill()
        worker.wait()
    if len(results(tmp_path)) < 4:
        rest = start(tmp_path, 4, 0.0, *CLUSTER, name="worker-9", port=port)
        wait_for(lambda: len(results(tmp_path)) == 4)
        rest.kill()
        rest.wait()
    assert chief.wait(30) == 0
    late = start(tmp_path, 4, 0.0, *CLUSTER, "timeout=2", name="worker-1", port=port)
    assert late.wait(60) == 0, "its chief has ended, and so has the search"
    assert "worker-1 ends, as its chief has: all 4 trials have run" in late.errors


@pytest.mark.slow
def test_chief_and_worker_time_out(tmp_path: Path) -> None:
    port = free_port()
    alone = ("heartbeat_timeout=3", "timeout=2")
    chief = start(tmp_path, 4, 0.0, *alone, name="chief", port=port)
    assert chief.wait() != 0
    line = (tmp_path / "chief.log").read_text().splitlines()[-1]
    assert line == (
        "TimeoutError: no worker has called for 2 s and trials are left: start this again, "
        "with workers, to resume"
    )
    worker = start(tmp_path, 4, 0.0, *alone, name="worker-0", port=port)
    assert worker.wait() != 0
    line = (tmp_path / "worker-0.log").read_text().splitlines()[-1]
    assert line.endswith(
        f"ChiefLost: the chief at 127.0.0.1:{port} has not answered for 2 s: start it again with "
        "the same directory, then this worker"
    )


@pytest.mark.slow
def test_a_chief_whose_disk_is_full_ends_and_its_worker_waits_for_another(tmp_path: Path) -> None:
    port = free_port()
    chief = start(tmp_path, 20, 0.1, *CLUSTER, name="chief", port=port)
    worker = start(tmp_path, 20, 0.1, *CLUSTER, name="worker-0", port=port)
    wait_for(lambda: len(results(tmp_path)) >= 2)
    limit = (tmp_path / "search" / "ledger.jsonl").stat().st_size + 700
    resource.prlimit(chief.pid, resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    assert chief.wait(60) != 0
    log = (tmp_path / "chief.log").read_text()
    assert "can't be written: " in log.splitlines()[-1]
    assert "Exception calling application" not in log
    chief = start(tmp_path, 20, 0.0, *CLUSTER, name="chief", port=port)
    assert [chief.wait(120), worker.wait(30)] == [0, 0]
    assert [status for *_, status, _ in trials(tmp_path)] == ["COMPLETED"] * 20


def launch(
    folder: Path, count: int, seconds: float, *more: str, workers: int = 2, restarts: int = 5
) -> subprocess.Popen:
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "tuner_oracles", "--workers", str(workers)),
            *("--restarts", str(restarts), str(SCRIPT), str(folder), str(count), str(seconds)),
            *more,
        ],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
def test_launched_stopped_and_launched_again(tmp_path: Path) -> None:
    hold(tmp_path, "worker-0", "worker-1")
    first = launch(tmp_path, 12, 0.0)
    wait_until_held(tmp_path, "worker-0", "worker-1")
    first.send_signal(signal.SIGINT)
    _, errors = first.communicate(timeout=120)
    assert first.returncode == 130
    assert errors.splitlines()[-1] == "stopped; run the same command again to resume"
    kinds = [record["kind"] for record in records(tmp_path)]
    assert kinds.count("release") == 2, "the end of the processes is no death of the trials"
    release(tmp_path)
    second = launch(tmp_path, 12, 0.0)
    second.communicate(timeout=300)
    assert second.returncode == 0
    found = trials(tmp_path)
    assert len(found) == 12
    assert {status for *_, status, _ in found} == {"COMPLETED"}
