"""Turns costs into penalties: predicts a candidate's latency, and computes its reward.

The score is the task's own figure. The reward that the oracle learns from is

    reward = score · Π (cost / goal) ^ -exponent    over the goals that the cost exceeds

(MnasNet's weighted product, arXiv 1807.11626, without a bonus for costs below a goal). It would
raise a negative score, so such scores are refused together with goals. A candidate beyond a hard
limit is not trained and fails.
"""

import random
from collections.abc import Iterator
from pathlib import Path

from msgspec import structs

from nas_tf import latency, spaces
from nas_tf.config.schema import Config, Goals
from nas_tf.errors import ConfigError
from nas_tf.networks import Blueprint
from nas_tf.networks.fused import Op, ops
from nas_tf.runs import TrialRecord
from nas_tf.training import from_config
from nas_tf.training.guards import UnknownCost
from nas_tf.training.two_stage import Latency

SAMPLED = 1000
"""The number of genotypes sampled for a space's operations; ``nas-tf profile-ops`` times them."""
TFLITE = "tflite"


def check(config: Config) -> None:
    """Raises if the configuration has goals and a task whose scores may be negative."""
    if config.search.goals != Goals():
        task = from_config.task_for(config)
        _check_sign(config.search.goals, task.score_range[0], f"scores of {task.name} down to")


def reward(goals: Goals, result: TrialRecord) -> float:
    """Returns the reward of a result, which is reported to the oracle."""
    penalised = result.score
    if result.failed:
        return penalised
    _check_sign(goals, result.score, "a score of")
    for cost, goal in structs.asdict(goals).items():
        value = getattr(result, cost)
        if goal is not None and value is not None:
            penalised *= max(1.0, value / goal.goal) ** -goal.exponent
    return penalised


def _check_sign(goals: Goals, score: float, name: str) -> None:
    """Raises if a penalty would raise the score."""
    cost = next((cost for cost, goal in structs.asdict(goals).items() if goal is not None), None)
    if cost is not None and score < 0:
        raise ConfigError(
            f"search.goals.{cost} is set, and a penalty would raise {name} {score:.4g}: expected "
            f"scores of 0 or more, or limits.{cost} instead of the goal"
        )


def latency_of(config: Config, given: Latency | None = None) -> Latency | None:
    """Returns the function that predicts latency: the given one, or the configured table's."""
    source = config.search.latency
    if given is not None:
        return given
    if source == TFLITE:
        raise ConfigError(
            "search.latency is tflite, which the commands measure; in Python expected a table's "
            "path, or SearchHyperModel(…, latency=…) that returns a blueprint's milliseconds"
        )
    return None if source is None else table_latency(latency.read(Path(source)))


def table_latency(table: latency.Table) -> Latency:
    """Returns a function that predicts latency from a table."""

    def predict(blueprint: Blueprint) -> float:
        try:
            return table.predict(blueprint)
        except latency.NotMeasured as error:
            raise UnknownCost(str(error)) from error

    return predict


def operations(config: Config, size: tuple[int, int] | None = None) -> set[Op]:
    """Returns the operations of a configuration's candidates, from a fixed sample of them."""
    return {op for blueprint in sample(config, SAMPLED, size=size) for op in ops(blueprint)}


def sample(
    config: Config, count: int, *, seed: int = 1, size: tuple[int, int] | None = None
) -> Iterator[Blueprint]:
    """Yields blueprints of random candidates under the search's settings, at the scored size."""
    space, rng = spaces.get(config.space), random.Random(seed)
    size = size or from_config.reward_view(config).crop
    for _ in range(count):
        yield from_config.blueprint_builder(config, space.sample(rng), "search")(size)
