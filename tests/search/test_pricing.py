"""The effect of costs on rewards, and the source of latency."""

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas_tf import latency, spaces
from nas_tf.config.schema import Goal, Goals
from nas_tf.errors import ConfigError, WeightsError
from nas_tf.latency import Table
from nas_tf.networks import Blueprint
from nas_tf.runs import TrialRecord
from nas_tf.search import preflight, pricing
from nas_tf.training import from_config
from nas_tf.training.guards import UnknownCost
from tests.training.evaluated import experiment

ARCH1 = spaces.resolve("arch1")
COSTS = st.floats(1e-3, 1e12)
PENALTY = st.builds(Goal, goal=COSTS, exponent=st.floats(0.01, 3))


def result(score: float, **more: Any) -> TrialRecord:
    return TrialRecord.of(ARCH1, score, **more)


def test_the_reward_as_documented() -> None:
    targets = Goals(latency_ms=Goal(goal=20), madds=Goal(goal=1e9, exponent=0.5))
    reward = pricing.reward(targets, result(0.5, latency_ms=40.0, madds=4_000_000_000))
    assert reward == pytest.approx(0.5 * 2**-0.07 * 4**-0.5)
    assert pricing.reward(targets, result(0.5, latency_ms=20.0, madds=10)) == 0.5
    assert pricing.reward(Goals(), result(0.5, latency_ms=40.0)) == 0.5


def test_a_floor_has_no_penalty() -> None:
    failed = result(0.05, madds=10, failed=True)
    assert pricing.reward(Goals(madds=Goal(goal=1)), failed) == 0.05


def test_a_penalty_on_a_negative_score_is_refused() -> None:
    goals = Goals(madds=Goal(goal=10))
    with pytest.raises(ConfigError) as caught:
        pricing.reward(goals, result(-0.25, madds=5))
    assert str(caught.value) == (
        "search.goals.madds is set, and a penalty would raise a score of -0.25: expected scores "
        "of 0 or more, or limits.madds instead of the goal"
    )
    assert pricing.reward(Goals(), result(-0.25, madds=50)) == -0.25
    failed = result(-0.25, madds=50, failed=True)
    assert pricing.reward(goals, failed) == -0.25


@pytest.mark.parametrize(
    ("score_range", "refused"), [((-math.inf, 0.0), True), ((0.0, math.inf), False)]
)
def test_goals_of_a_task_with_negative_scores_are_refused_before_a_search(
    score_range: tuple[float, float], refused: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = SimpleNamespace(name="denoising", score_range=score_range)
    monkeypatch.setattr(from_config, "task_for", lambda config: task)
    passed = SimpleNamespace(before_search=id, encoder_weights=id)
    monkeypatch.setattr(preflight, "preflight", passed)
    preflight.check(experiment())
    config = experiment(search={"goals": {"params": {"goal": 1e6}}})
    if not refused:
        preflight.check(config)
        return
    with pytest.raises(ConfigError) as caught:
        preflight.check(config)
    assert str(caught.value) == (
        "search.goals.params is set, and a penalty would raise scores of denoising down to -inf: "
        "expected scores of 0 or more, or limits.params instead of the goal"
    )


@given(st.floats(0, 1), PENALTY, COSTS, st.floats(1, 1e3))
def test_a_penalty_applies_beyond_the_goal_and_grows(
    score: float, target: Goal, cost: float, times: float
) -> None:
    targets = Goals(latency_ms=target)
    cheap = pricing.reward(targets, result(score, latency_ms=cost))
    costly = pricing.reward(targets, result(score, latency_ms=cost * times))
    assert 0 <= costly <= cheap <= score
    assert (cheap == score) == (cost <= target.goal or score == 0) or cheap == pytest.approx(score)


def table(blueprints: list[Blueprint]) -> Table:
    from nas_tf.networks.fused import ops

    return Table(
        "a processor", 1, "2.15.1", {op: 0.5 for blueprint in blueprints for op in ops(blueprint)}
    )


def test_a_table_predicts_latency_and_an_unknown_cost_fails_the_candidate(tmp_path: Path) -> None:
    config = experiment(search={"latency": str(tmp_path / "here.json")})
    first, *others = pricing.sample(config, 20)
    (tmp_path / "here.json").write_text(table([first]).to_json())
    predict = pricing.latency_of(config)
    assert predict(first) == latency.read(tmp_path / "here.json").predict(first) > 0
    with pytest.raises(UnknownCost, match=r"is missing \d+ operations"):
        [predict(other) for other in others]


@pytest.mark.slow
def test_samples_are_settled_and_of_the_scored_size() -> None:
    config = experiment()
    first, again = (list(pricing.sample(config, 3)) for _ in range(2))
    assert first == again
    assert {item.input_size for item in first} == {(64, 64)}
    (wide,) = pricing.sample(config, 1, size=(32, 96))
    assert wide.input_size == (32, 96)
    assert pricing.operations(config, (32, 96)) != pricing.operations(config)


def test_tflite_needs_somebody_who_measures() -> None:
    config = experiment(search={"latency": "tflite"})
    with pytest.raises(ConfigError) as caught:
        pricing.latency_of(config)
    assert str(caught.value) == (
        "search.latency is tflite, which the commands measure; in Python expected a table's path, "
        "or SearchHyperModel(…, latency=…) that returns a blueprint's milliseconds"
    )
    assert pricing.latency_of(config, lambda blueprint: 3.0)(None) == 3.0
    assert pricing.latency_of(experiment()) is None


@pytest.mark.slow
def test_files_that_are_missing_are_reported_before_a_search(tmp_path: Path) -> None:
    path = tmp_path / "here.json"
    config = experiment(search={"latency": str(path)})
    with pytest.raises(ConfigError, match=r"^latency table .* does not exist: nas-tf profile-ops"):
        preflight.check(config)
    preflight.check(config, latency=lambda blueprint: 1.0)
    path.write_text(table([]).to_json())
    with pytest.raises(ConfigError, match=r"here.json is missing \d+ operations"):
        preflight.check(config)
    path.write_text(table(list(pricing.sample(config, pricing.SAMPLED))).to_json())
    preflight.check(config)
    with pytest.raises(WeightsError, match="no such file"):
        preflight.check(experiment(teacher=str(tmp_path / "none.keras")))


@pytest.mark.slow
def test_random_candidates_can_be_predicted_from_the_fixed_sample() -> None:
    """The check before a search also holds for the other candidates of the space."""
    config = experiment()
    predict = pricing.table_latency(table(list(pricing.sample(config, pricing.SAMPLED))))
    times = [predict(item) for item in pricing.sample(config, 100, seed=9)]
    assert max(times) > 10
