"""Workers and their trials: a silent or dead worker loses its trial, a late result counts."""

from pathlib import Path

import pytest

from tests.tuner_oracles.searches import finish, made


def test_of_a_worker_presumed_dead_only_a_score_counts(tmp_path: Path) -> None:
    oracle = made(tmp_path, 2)
    for status, ends in (("FAILED", False), ("COMPLETED", False)):
        trial = oracle.create_trial("a")
        oracle.hello("a")
        oracle.end("a", trial.trial_id, status, None)
        assert (oracle.trials["0"].score is not None) is ends, status
    oracle.update_trial("0", {"score": 0.5})
    oracle.end("a", "0", "COMPLETED", None)
    assert oracle.trials["0"].score == 0.5


def test_a_released_trial_is_resumed_and_no_death_is_counted(tmp_path: Path) -> None:
    oracle = made(tmp_path, 2, max_deaths_per_trial=2)
    for _ in range(3):
        assert oracle.create_trial("a").trial_id == "0"
        oracle.release("a")
        oracle.release("a")
    assert oracle.create_trial("a").trial_id == "0"
    oracle.hello("a")
    assert oracle.create_trial("a").trial_id == "0"
    oracle.hello("a")
    assert oracle.trials["0"].message == "the process that ran it died 2 times"


def test_a_tuner_asking_twice_gets_its_trial_again(tmp_path: Path) -> None:
    oracle = made(tmp_path)
    assert oracle.create_trial("a").trial_id == oracle.create_trial("a").trial_id
    assert len(oracle.trials) == 1


def test_a_worker_that_starts_again_returns_its_trial(tmp_path: Path) -> None:
    oracle = made(tmp_path, max_deaths_per_trial=2)
    lost = oracle.create_trial("a")
    oracle.hello("a")
    assert oracle.create_trial("b").trial_id == lost.trial_id
    oracle.hello("b")
    assert oracle.trials[lost.trial_id].status == "FAILED"
    assert oracle.trials[lost.trial_id].message == "the process that ran it died 2 times"


def test_a_silent_worker_loses_its_trial_and_its_late_result_still_counts(tmp_path: Path) -> None:
    now = [0.0]
    oracle = made(tmp_path, 2, heartbeat_timeout=10)
    oracle.leases._clock = lambda: now[0]
    oracle.hello("a")
    lost = oracle.create_trial("a")
    stock = oracle.create_trial("stock")
    now[0] = 9.0
    oracle.beat("a")
    now[0] = 18.0
    oracle.reap()
    assert "a" in oracle.ongoing_trials
    now[0] = 20.0
    oracle.reap()
    assert list(oracle.ongoing_trials) == ["stock"], "stock workers promise no heartbeat"
    assert oracle.create_trial("b").trial_id == lost.trial_id
    finish(oracle, lost, 0.25)
    finish(oracle, lost, 0.75)
    finish(oracle, stock, 0.5)
    assert [trial.score for trial in oracle.trials.values()] == [0.25, 0.5]
    assert not oracle.ongoing_trials
    assert oracle.over()


def test_a_worker_with_heartbeats_idles_while_others_may_lose_their_trials(tmp_path: Path) -> None:
    oracle = made(tmp_path, 1)
    trial = oracle.create_trial("a")
    oracle.hello("b")
    assert oracle.create_trial("b").status == "IDLE"
    assert oracle.create_trial("stock").status == "STOPPED"
    finish(oracle, trial, 0.5)
    assert oracle.create_trial("b").status == "STOPPED"


def test_a_chief_started_again_waits_long_for_holders_of_trials_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    oracle = made(tmp_path, 3)
    finish(oracle, oracle.create_trial("done"), 0.5)
    oracle.create_trial("busy")
    for name, value in (("TUNER_ID", "chief"), ("ORACLE_IP", "::1"), ("ORACLE_PORT", "1")):
        monkeypatch.setenv(f"KERASTUNER_{name}", value)
    now = [0.0]
    oracle = made(tmp_path, 3, heartbeat_timeout=120)
    oracle.leases._clock = lambda: now[0]
    oracle.get_trial("0")
    assert sorted(oracle.leases.present()) == ["busy", "done"]
    now[0] = 31.0
    oracle.reap()
    assert oracle.leases.present() == ["busy"]
    now[0] = 119.0
    oracle.leases.extend_all()
    now[0] = 148.0
    oracle.reap()
    assert oracle.leases.present() == ["busy"], "no worker could call before the chief listened"
    now[0] = 150.0
    oracle.reap()
    assert not oracle.leases.present()
    assert not oracle.ongoing_trials


def test_a_trial_that_waits_while_the_chief_is_killed_is_not_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Worker b dies and takes the trial of a, who fell silent: its own waits when all restart."""
    for name, value in (("TUNER_ID", "chief"), ("ORACLE_IP", "127.0.0.1"), ("ORACLE_PORT", "1")):
        monkeypatch.setenv(f"KERASTUNER_{name}", value)
    oracle = made(tmp_path, 2)
    for worker in ("a", "b"):
        oracle.hello(worker)
        oracle.create_trial(worker)
    oracle.leave("a")
    oracle.hello("b")
    assert oracle.create_trial("b").trial_id == "0"
    oracle._ledger.close()
    again = made(tmp_path, 2)
    again.reload()
    assert [trial.trial_id for trial in again.ongoing_trials.values()] == ["0"]
    finish(again, again.trials["0"], 0.5)
    assert not again.over()
    finish(again, again.create_trial("b"), 0.25)
    assert [trial.score for trial in again.trials.values()] == [0.5, 0.25]
    assert again.over()
