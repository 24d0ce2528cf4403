"""Trials as KerasTuner receives them, under failures, restarts and full disks."""

import json
import shutil
import time
from pathlib import Path
from typing import Any

import keras_tuner as kt
import pytest

from tests.e2e.disk import small_files
from tests.tuner_oracles.dense import data, tuner
from tests.tuner_oracles.searches import GOAL, drive, finish, made, outcome, place, score, space
from tuner_oracles import PPOOracle, RandomOracle, search
from tuner_oracles.ledger import LedgerError, Unwritable


def fail(
    oracle: Any, trial: Any, status: str = "INVALID", message: str = "Traceback\nboom"
) -> None:
    trial.status, trial.message = status, message
    oracle.end_trial(trial)


def test_retries_then_failure(tmp_path: Path) -> None:
    oracle = made(tmp_path, 2, max_retries_per_trial=2)
    for _ in range(3):
        trial = oracle.create_trial("a")
        assert trial.trial_id == "0"
        fail(oracle, trial)
    assert oracle.trials["0"].status == "FAILED"
    assert oracle.trials["0"].message == "Traceback\nboom"
    assert oracle.create_trial("a").trial_id == "1"


def test_a_retry_starts_without_the_metrics_of_the_failed_run(tmp_path: Path) -> None:
    oracle = made(tmp_path, 2, max_retries_per_trial=1)
    trial = oracle.create_trial("a")
    oracle.update_trial(trial.trial_id, {"score": 0.9})
    fail(oracle, trial)
    trial = oracle.create_trial("a")
    assert not trial.metrics.exists("score")
    finish(oracle, trial, 0.2)
    assert oracle.trials["0"].score == 0.2


def test_too_many_failures_in_a_row_stop_the_search(tmp_path: Path) -> None:
    oracle = made(tmp_path, 10, max_consecutive_failed_trials=3)
    finish(oracle, oracle.create_trial("a"), 0.5)
    for _ in range(2):
        fail(oracle, oracle.create_trial("a"))
    with pytest.warns(UserWarning, match="stops: 3 trials failed in a row; the last: boom"):
        fail(oracle, oracle.create_trial("a"))
    assert oracle.create_trial("a").status == "STOPPED"
    assert oracle.stop_reason == "3 trials failed in a row; the last: boom"
    again = made(tmp_path, 10, max_consecutive_failed_trials=3)
    drive(again)
    assert len(again.trials) == 10, "a resumed search tries again"


@pytest.mark.parametrize(
    "message", ["refused: 9 layers", "Traceback\n\nkt.FailedTrialError: refused: 9 layers\n"]
)
def test_refused_trials_are_no_failures_in_a_row(tmp_path: Path, message: str) -> None:
    oracle = made(tmp_path, 20, max_consecutive_failed_trials=3)
    for _ in range(5):
        fail(oracle, oracle.create_trial("a"), message=message)
    for _ in range(2):
        fail(oracle, oracle.create_trial("a"))
        fail(oracle, oracle.create_trial("a"), message=message)
    assert oracle.stop_reason is None
    with pytest.warns(UserWarning, match="stops: 3 trials failed in a row; the last: connection"):
        fail(oracle, oracle.create_trial("a"), message="connection refused: by the host")
    assert {trial.status for trial in oracle.trials.values()} == {"FAILED"}


def test_retried_runs_do_not_hide_failures(tmp_path: Path) -> None:
    given = {"max_retries_per_trial": 1, "max_consecutive_failed_trials": 3}
    oracle = made(tmp_path, 10, **given)
    for _ in range(5):
        fail(oracle, oracle.create_trial("a"))
    with pytest.warns(UserWarning, match="stops: 3 trials failed in a row; the last: boom"):
        fail(oracle, oracle.create_trial("a"))
    assert [trial.status for trial in oracle.trials.values()] == ["FAILED"] * 3


def test_an_end_reported_again_after_the_chief_died_counts_once(tmp_path: Path) -> None:
    before = made(tmp_path, 2, max_retries_per_trial=1)
    trial = before.create_trial("a")
    fail(before, trial)
    oracle = made(tmp_path, 2, max_retries_per_trial=1)
    fail(oracle, trial)
    assert oracle.trials["0"].status == "INVALID"
    again = oracle.create_trial("b")
    assert again.trial_id == "0"
    oracle.end("a", "0", "INVALID", "Traceback\nboom")
    assert oracle.trials["0"].status == "RUNNING", "another worker has it by now"
    finish(oracle, again, 0.5)
    assert oracle.trials["0"].score == 0.5


def test_completed_without_an_objective_is_a_failure(tmp_path: Path) -> None:
    oracle = made(tmp_path)
    trial = oracle.create_trial("a")
    trial.status = "COMPLETED"
    oracle.end_trial(trial)
    assert oracle.trials["00"].status == "FAILED"
    assert oracle.trials["00"].message == "no score was reported"
    with pytest.raises(ValueError, match="Objective value missing"):
        oracle.update_trial(oracle.create_trial("a").trial_id, {"other": 1.0})
    assert oracle.create_trial("b").status == "RUNNING", "an error leaves no lock behind"


def test_a_record_that_can_t_be_written_has_no_effect(tmp_path: Path) -> None:
    oracle = made(tmp_path, 5)
    drive(oracle, 1)
    size = (tmp_path / "search/ledger.jsonl").stat().st_size
    with small_files(size + 10), pytest.raises(Unwritable):
        oracle.create_trial("tuner0")
    assert list(oracle.trials) == ["0"]
    trial = oracle.create_trial("tuner0")
    size = (tmp_path / "search/ledger.jsonl").stat().st_size
    with small_files(size + 10), pytest.raises(Unwritable):
        oracle.update_trial(trial.trial_id, {"score": 0.9})
    assert not oracle.trials["1"].metrics.exists("score")


def test_unknown_trials_are_refused(tmp_path: Path) -> None:
    oracle = made(tmp_path)
    with pytest.raises(ValueError, match="there is no trial '77' in"):
        oracle.update_trial("77", {"score": 1.0})


def test_a_search_has_started_before_its_tuner_is_saved(tmp_path: Path) -> None:
    tuner(RandomOracle("val_loss", 2, seed=1), tmp_path).save()
    again = tuner(RandomOracle("val_loss", 2, seed=1), tmp_path)
    assert again.oracle.create_trial("tuner0").trial_id == "0"


def test_a_search_started_by_another_oracle_is_refused(tmp_path: Path) -> None:
    x, y = data()
    stock = tuner(kt.oracles.RandomSearchOracle("val_loss", 1), tmp_path)
    stock.search(x, y, validation_data=(x, y), epochs=1, verbose=0)
    with pytest.raises(LedgerError, match=r"has no ledger.jsonl: it was deleted, or .* by an or"):
        tuner(RandomOracle("val_loss", 2), tmp_path)
    drive(made(tmp_path / "ours"), 1)
    with pytest.raises(LedgerError, match="started with oracle 'RandomOracle', now it is 'PPOOra"):
        drive(place(PPOOracle(GOAL, 9, hyperparameters=space(), seed=1), tmp_path / "ours"), 1)


@pytest.mark.parametrize("content", ["", "{]", "3", "\xff"])
def test_a_tuners_damaged_file_is_repaired(tmp_path: Path, content: str) -> None:
    x, y = data()
    search(tuner(RandomOracle("val_loss", 1, seed=1), tmp_path), x, y, validation_data=(x, y))
    (tmp_path / "search/tuner0.json").write_text(content, encoding="latin-1")
    assert len(tuner(RandomOracle("val_loss", 1, seed=1), tmp_path).oracle.trials) == 1


@pytest.mark.parametrize("left", [0, 1, 4])
def test_a_ledger_that_lost_its_end_is_refused(tmp_path: Path, left: int) -> None:
    drive(made(tmp_path, 5))
    path = tmp_path / "search/ledger.jsonl"
    lines, records = path.read_bytes().splitlines(keepends=True), 1 + 3 * left
    path.write_bytes(b"".join(lines[: records if left else 0]))
    more = f" and {4 - left} more" if left < 4 else ""
    with pytest.raises(
        LedgerError, match=f"cut short: the outcome of trial_{left}{more} is missing; put"
    ):
        made(tmp_path, 5).get_best_trials()
    for number in range(left, 5):
        shutil.rmtree(tmp_path / f"search/trial_{number}")
    again = made(tmp_path, 5)
    drive(again)
    assert [trial.status for trial in again.trials.values()] == ["COMPLETED"] * 5


def test_a_ledger_that_lost_the_end_of_a_trial_only_is_refused(tmp_path: Path) -> None:
    drive(made(tmp_path, 2))
    path = tmp_path / "search/ledger.jsonl"
    path.write_bytes(path.read_bytes()[:-2])
    with pytest.raises(LedgerError, match="was cut short: the outcome of trial_1 is missing; put"):
        made(tmp_path, 2).get_best_trials()


class Scored(kt.engine.base_tuner.BaseTuner):
    """Runs no training: a trial is its score."""

    def run_trial(self, trial: kt.engine.trial.Trial, **_: Any) -> dict[str, float]:
        return {"score": score(trial.hyperparameters.values)}


@pytest.mark.parametrize("room", range(0, 1500, 300))
def test_a_full_disk_ends_the_search_and_is_no_trials_failure(tmp_path: Path, room: int) -> None:
    drive(made(tmp_path, 9), 3)
    size = (tmp_path / "search/ledger.jsonl").stat().st_size
    scored = Scored(made(tmp_path, 9), directory=str(tmp_path), project_name="search")
    with small_files(size + room), pytest.raises(Unwritable, match="free some space, then run"):
        search(scored, verbose=0)
    again = Scored(made(tmp_path, 9), directory=str(tmp_path), project_name="search")
    search(again, verbose=0)
    assert [trial.status for trial in again.oracle.trials.values()] == ["COMPLETED"] * 9


def test_files_of_trials_are_written_for_people(tmp_path: Path) -> None:
    oracle = made(tmp_path, 3)
    drive(oracle)
    for trial_id, values, status, result in outcome(oracle):
        state = json.loads((tmp_path / f"search/trial_{trial_id}/trial.json").read_text())
        assert (state["status"], state["score"]) == (status, result)
        assert state["hyperparameters"]["values"] == values
    state = json.loads((tmp_path / "search/oracle.json").read_text())
    assert state["end_order"] == ["0", "1", "2"]


def test_the_file_of_all_trials_lags_behind_a_little_and_not_at_the_end(tmp_path: Path) -> None:
    oracle, lag = made(tmp_path, 400), []
    path = tmp_path / "search/oracle.json"
    for _ in range(400):
        trial = oracle.create_trial("a")
        finish(oracle, trial, 0.5)
        lag.append(len(oracle.end_order) - len(json.loads(path.read_text())["end_order"]))
    assert 0 < max(lag) <= 4
    assert lag[:30] == [0] * 30
    assert lag[-1] == 0


def test_trial_files_lost_at_the_end_are_written_again(tmp_path: Path) -> None:
    drive(made(tmp_path, 3))
    path = tmp_path / "search/trial_2/trial.json"
    content = path.read_text()
    path.unlink()
    made(tmp_path, 3).get_best_trials()
    assert path.read_text() == content


def test_folders_that_are_not_folders_are_refused() -> None:
    oracle = RandomOracle(GOAL, 1, hyperparameters=space())
    oracle._set_project_dir("gs://bucket", "search")
    with pytest.raises(LedgerError, match="'gs://bucket', expected a local or mounted folder"):
        oracle.create_trial("a")


def test_several_objectives(tmp_path: Path) -> None:
    goals = [kt.Objective("score", "max"), kt.Objective("cost", "min")]
    oracle = place(RandomOracle(goals, 5, hyperparameters=space(), seed=1), tmp_path)
    for number in range(5):
        trial = oracle.create_trial("a")
        good = score(trial.hyperparameters.values)
        metrics = {"score": good, "cost": number / 10}
        metrics[oracle.objective.name] = oracle.objective.get_value(metrics)
        oracle.update_trial(trial.trial_id, metrics)
        trial.status = "COMPLETED"
        oracle.end_trial(trial)
    sums = {
        trial.trial_id: number / 10 - score(trial.hyperparameters.values)
        for number, trial in enumerate(oracle.trials.values())
    }
    assert oracle.get_best_trials()[0].trial_id == min(sums, key=sums.get)


def test_after_the_deadline_running_trials_end_and_none_is_proposed(tmp_path: Path) -> None:
    oracle = made(tmp_path, 10)
    trial = oracle.create_trial("a")
    oracle.deadline = time.monotonic()
    assert oracle.create_trial("b").status == "STOPPED"
    assert not oracle.over()
    finish(oracle, trial, 0.5)
    assert oracle.create_trial("a").status == "STOPPED"
    assert oracle.over()
    again = made(tmp_path, 10)
    drive(again)
    assert len(again.trials) == 10
