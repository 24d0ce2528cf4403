"""Whole searches under costs: refusals, penalties, and the rewards that the oracle receives."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras_tuner as kt
import pandas
import pytest

import tuner_oracles
from nas_tf import spaces
from nas_tf.errors import ConfigError
from nas_tf.networks import Blueprint, cost
from nas_tf.runs import Run
from nas_tf.search import SearchHyperModel, TwoStageTuner
from nas_tf.search.hypermodel import OBJECTIVE
from tests.training.evaluated import experiment

pytestmark = pytest.mark.usefixtures("cache_folder")
TRIALS = 12


def searched(
    folder: Path,
    trials: int,
    latency: Callable[[Blueprint], float] | None = None,
    **sections: Any,
) -> tuple[Run, kt.Oracle]:
    config = experiment(stage_two=None, **sections)
    model = SearchHyperModel.of(config, spaces.get(config.space), latency=latency)
    oracle = tuner_oracles.RandomOracle(OBJECTIVE, trials, seed=3)
    tuner = TwoStageTuner(model, oracle, directory=folder, project_name="run")
    tuner.search(verbose=0)
    return Run(folder / "run"), oracle


def thousandths(blueprint: Blueprint) -> float:
    """A latency that is known exactly."""
    return cost(blueprint.deployed()).madds / 1e6


def test_beyond_a_hard_limit_nothing_is_trained_and_the_oracle_learns_a_failure(
    tmp_path: Path,
) -> None:
    run, oracle = searched(
        tmp_path, TRIALS, lambda blueprint: 41.25, limits={"latency_ms": 40, "failure_score": 0.03}
    )
    assert len(run.trials) == TRIALS
    for trial in run.trials:
        assert (trial.status, trial.stages, trial.reward) == ("failed", (), 0.03)
        assert trial.stopped == "41.25 ms of latency, the limit is 40 ms"
        assert trial.latency_ms == 41.25
    assert not (tmp_path / "run" / "weights").exists()
    assert {trial.status for trial in oracle.trials.values()} == {"FAILED"}
    assert oracle.stop_reason is None


@pytest.mark.slow
def test_a_soft_target_changes_the_reward_and_not_the_score(tmp_path: Path) -> None:
    goals = {"latency_ms": {"goal": 1.0, "exponent": 0.5}}
    run, oracle = searched(tmp_path, 3, thousandths, search={"goals": goals})
    assert len(run.completed) == 3
    for trial in run.completed:
        assert trial.latency_ms == trial.madds / 1e6 > 1
        assert trial.score == trial.stages[-1].score
        assert trial.reward == pytest.approx(trial.score * trial.latency_ms**-0.5)
        assert oracle.trials[trial.trial].score == trial.reward
    frame = pandas.read_csv(tmp_path / "run" / "trials.csv")
    assert {"reward", "score", "params", "madds", "latency_ms"} <= set(frame.columns)
    assert (frame.reward < frame.score).all()
    assert run.pareto("latency_ms") == run.pareto("madds")


def test_a_table_that_is_missing_is_one_line_before_the_run_is_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^latency table .*none.json does not exist"):
        searched(tmp_path, 2, search={"latency": str(tmp_path / "none.json")})
    assert not (tmp_path / "run" / "run.json").exists()


@pytest.mark.slow
def test_the_gate_compares_scores(tmp_path: Path) -> None:
    config = experiment(
        search={"goals": {"params": {"goal": 1.0, "exponent": 3.0}}}, gate={"policy": "paper"}
    )
    model = SearchHyperModel.of(config, spaces.get(config.space))
    oracle = tuner_oracles.RandomOracle(OBJECTIVE, 1, seed=3)
    TwoStageTuner(model, oracle, directory=tmp_path, project_name="run").search(verbose=0)
    (trial,) = Run(tmp_path / "run").completed
    (line,) = (tmp_path / "run" / "gate.jsonl").read_text().splitlines()
    assert json.loads(line)["reward"] == trial.stages[0].score
    assert trial.reward == pytest.approx(trial.score * trial.params**-3.0)


@pytest.mark.slow
def test_kerastuners_own_tuners_receive_penalised_rewards(tmp_path: Path) -> None:
    config = experiment(stage_two=None, search={"goals": {"params": {"goal": 1.0}}})
    model = SearchHyperModel.of(config, spaces.get(config.space), latency=thousandths)
    tuner = kt.RandomSearch(
        model, OBJECTIVE, max_trials=1, seed=4, directory=tmp_path, project_name="kt"
    )
    tuner.search(verbose=0)
    (trial,) = tuner.oracle.trials.values()
    metrics = {
        name: trial.metrics.get_best_value(name)
        for name in ("val_reward", "score", "params", "latency_ms", "madds")
    }
    assert metrics["val_reward"] == pytest.approx(metrics["score"] * metrics["params"] ** -0.07)
    assert metrics["latency_ms"] == metrics["madds"] / 1e6
