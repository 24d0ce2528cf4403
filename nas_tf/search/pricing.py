"""What costs do to a candidate: where its latency is told, and what the oracle is told for it.

The score is the task's own reward. The reward that the oracle learns from is

    reward = score · Π (cost / target) ^ -exponent    over the targets whose cost is beyond them

(MnasNet's weighted product, arXiv 1807.11626, that pays nothing for being below a target). A
candidate beyond a hard limit has the floor as its reward and is not trained.
"""

import random
from collections.abc import Iterator
from pathlib import Path

from msgspec import structs

from nas_tf import latency, spaces
from nas_tf.config.schema import Config, Targets
from nas_tf.errors import ConfigError
from nas_tf.networks import Blueprint
from nas_tf.networks.fused import Op, ops
from nas_tf.training import from_config
from nas_tf.training.guards import CannotTell
from nas_tf.training.result import CandidateResult
from nas_tf.training.two_stage import Latency

SAMPLED = 1000
"""Genotypes whose operations stand for those of a space; ``nas-tf profile-ops`` times them."""
TFLITE = "tflite"


def reward(targets: Targets, result: CandidateResult) -> float:
    """What the oracle is told of a result."""
    priced = result.score
    for cost, target in structs.asdict(targets).items():
        value = getattr(result, cost)
        if target is not None and value is not None and not result.failed:
            priced *= max(1.0, value / target.target) ** -target.exponent
    return priced


def latency_of(config: Config, given: Latency | None = None) -> Latency | None:
    """How the latency of candidates is told: as given, or looked up in the configured table."""
    source = config.search.latency
    if given is not None:
        return given
    if source == TFLITE:
        raise ConfigError(
            "search.latency is tflite, which the commands measure; in Python expected a table's "
            "path, or SearchHyperModel(…, latency=…) that tells a blueprint's milliseconds"
        )
    return None if source is None else look_up(latency.read(Path(source)))


def look_up(table: latency.Table) -> Latency:
    """A table as what tells latency."""

    def told(blueprint: Blueprint) -> float:
        try:
            return table.predict(blueprint)
        except latency.NotMeasured as error:
            raise CannotTell(str(error)) from error

    return told


def operations(config: Config, size: tuple[int, int] | None = None) -> set[Op]:
    """The operations of a configuration's candidates, by a settled sample of them."""
    return {op for blueprint in sample(config, SAMPLED, size=size) for op in ops(blueprint)}


def sample(
    config: Config, count: int, *, seed: int = 1, size: tuple[int, int] | None = None
) -> Iterator[Blueprint]:
    """Random candidates as they are searched, at the size they are scored at."""
    space, rng = spaces.get(config.space), random.Random(seed)
    size = size or from_config.reward_view(config).crop
    for _ in range(count):
        yield from_config.drawer(config, space.sample(rng), "search")(size)
