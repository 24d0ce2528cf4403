"""The calls of a worker to its chief, through a real server."""

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.cheap_search import Cheap
from tests.e2e.processes import free_port, identity, wait_for
from tests.tuner_oracles.searches import GOAL, finish, place, score, space
from tuner_oracles import RandomOracle, is_worker
from tuner_oracles.distributed import search, serve
from tuner_oracles.durable import DurableOracle
from tuner_oracles.ledger import COMPLETE
from tuner_oracles.tokens import SpaceError
from tuner_oracles.worker import ChiefLost, SearchComplete, SteadyClient

TRIALS = 3


@pytest.fixture
def chief(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DurableOracle]:
    """Serves an oracle until its search has ended, however a test ends."""
    variables = {"TUNER_ID": "w", "ORACLE_IP": "127.0.0.1", "ORACLE_PORT": str(free_port())}
    for name, value in variables.items():
        monkeypatch.setenv(f"KERASTUNER_{name}", value)
    oracle = place(RandomOracle(GOAL, TRIALS, hyperparameters=space(), seed=1), tmp_path)
    server = threading.Thread(target=serve, args=(oracle,), daemon=True)
    server.start()
    yield oracle
    oracle.stop_reason = "the test has ended"
    oracle._retry_queue.clear()
    server.join(60)
    assert not server.is_alive()


@pytest.fixture
def worker(chief: DurableOracle) -> SteadyClient:
    return SteadyClient(chief, 60, Path(chief._project_dir))


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_a_chief_reports_the_last_end_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also if the last worker has left before the chief looks again."""
    port = free_port()
    for name, value in identity("chief", port).items():
        monkeypatch.setenv(name, value)
    oracle = place(RandomOracle(GOAL, 1, hyperparameters=space(), seed=1), tmp_path)
    oracle.hello("w")
    trial = oracle.create_trial("w")
    ended: list[int] = []
    server = threading.Thread(
        target=serve, args=(oracle, 60, lambda: ended.append(len(oracle.end_order))), daemon=True
    )
    server.start()
    wait_for(lambda: listens(port))
    with oracle._lock:
        finish(oracle, trial, 0.5)
        oracle.leave("w")
    server.join(60)
    assert not server.is_alive()
    assert ended == [1]


@pytest.mark.parametrize(
    ("ip", "port", "line"),
    [
        ("127.0.0.1", "taken", "can't listen at 127.0.0.1:{taken}: Address already in use"),
        ("192.0.2.1", "8000", "can't listen at 192.0.2.1:8000: Cannot assign requested address"),
        ("127.0.0.1", "70000", "can't listen at 127.0.0.1:70000: "),
        ("127.0.0.1", "abc", "KERASTUNER_ORACLE_PORT is 'abc', expected a number"),
    ],
)
def test_an_address_that_no_chief_can_listen_at_is_reported_with_the_reason(
    ip: str, port: str, line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = str(other.getsockname()[1])
        monkeypatch.setenv("KERASTUNER_ORACLE_IP", ip)
        monkeypatch.setenv("KERASTUNER_ORACLE_PORT", taken if port == "taken" else port)
        oracle = place(RandomOracle(GOAL, TRIALS, hyperparameters=space(), seed=1), tmp_path)
        with pytest.raises((OSError, ValueError)) as error:
            serve(oracle)
    assert line.format(taken=taken) in str(error.value)


def test_a_worker_that_ends_leaves(chief: DurableOracle, worker: SteadyClient) -> None:
    with worker.alive():
        trial = worker.create_trial("w")
        worker.update_trial(trial.trial_id, {"score": score(trial.hyperparameters.values)})
        trial.status = "COMPLETED"
        worker.end_trial(trial)
        assert chief.leases.present() == ["w"]
    assert chief.leases.present() == []
    assert chief.trials["0"].status == "COMPLETED"


def test_an_interrupted_worker_releases_its_trial(
    chief: DurableOracle, worker: SteadyClient
) -> None:
    def interrupted() -> None:
        with worker.alive():
            worker.create_trial("w")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert chief._assignments["0"] == 0
    assert list(chief._retry_queue) == ["0"]
    assert chief.leases.present() == []


def test_the_chief_receives_the_reason_of_a_failure(
    chief: DurableOracle, worker: SteadyClient
) -> None:
    with worker.alive():
        trial = worker.create_trial("w")
        trial.status, trial.message = "FAILED", "Traceback\nValueError: no such layer"
        worker.end_trial(trial)
    assert chief.trials["0"].message == "Traceback\nValueError: no such layer"


def test_a_worker_refuses_late_hyperparameters_of_its_trial(
    chief: DurableOracle, worker: SteadyClient
) -> None:
    with worker.alive():
        trial = worker.create_trial("w")
        trial.hyperparameters.Choice("late", [5, 6])
        trial.status = "COMPLETED"
        with pytest.raises(SpaceError, match="not every build asks for 'late', so"):
            worker.end_trial(trial)
    assert list(chief.end_order) == []


def test_heartbeats_count_while_the_oracle_is_busy(
    chief: DurableOracle, worker: SteadyClient
) -> None:
    with worker.alive():
        before = chief.leases._ends["w"]
        with chief._lock:
            worker.patiently(worker._method("beat"), worker._identity)
        assert chief.leases._ends["w"] > before


def test_a_worker_ends_soon_once_an_absent_chief_has_run_as_many_trials(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in identity("worker-0", free_port()).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("tuner_oracles.worker._COMPLETE_SECONDS", 0.2)
    oracle = place(RandomOracle(GOAL, TRIALS, hyperparameters=space(), seed=1), tmp_path)

    def call(timeout: float = 0.5) -> None:
        client = SteadyClient(oracle, timeout, tmp_path)
        client.patiently(client._method("hello"), client._identity)

    with pytest.raises(ChiefLost, match=r"has not answered for 0\.5 s"):
        call()
    (tmp_path / COMPLETE).write_text(f"{TRIALS - 1}\n")
    with pytest.raises(ChiefLost):
        call()
    (tmp_path / COMPLETE).write_text(f"{TRIALS}\n")
    since = time.monotonic()
    with pytest.raises(SearchComplete):
        call(timeout=60)
    assert time.monotonic() - since < 30


def test_a_chief_removes_the_mark_and_leaves_it_after_the_last_trial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    for name, value in identity("chief", port).items():
        monkeypatch.setenv(name, value)
    oracle = RandomOracle(GOAL, 1, hyperparameters=space(), seed=1)
    tuner = Cheap(oracle, directory=str(tmp_path), project_name="search")
    mark = tmp_path / "search" / COMPLETE
    mark.write_text("1\n")
    chief = threading.Thread(target=search, args=(tuner,), kwargs={"timeout": 60}, daemon=True)
    chief.start()
    wait_for(lambda: listens(port))
    assert not mark.exists()
    oracle.hello("w")
    finish(oracle, oracle.create_trial("w"), 0.5)
    oracle.leave("w")
    chief.join(60)
    assert not chief.is_alive()
    assert mark.read_text() == "1\n"


@pytest.mark.parametrize(
    ("name", "expected"), [(None, False), ("chief", False), ("worker-0", True)]
)
def test_only_workers_are_workers(
    name: str | None, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    variables = {"TUNER_ID": name, "ORACLE_IP": "127.0.0.1", "ORACLE_PORT": "8000"}
    for variable, value in variables.items():
        monkeypatch.delenv(f"KERASTUNER_{variable}", raising=False)
        if name is not None:
            monkeypatch.setenv(f"KERASTUNER_{variable}", str(value))
    assert is_worker() == expected
