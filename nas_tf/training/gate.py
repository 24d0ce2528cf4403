"""The gate between the stages: weak candidates stop after stage one (CVPR 2019, section 3.3)."""

import math
from abc import ABC, abstractmethod
from typing import Any

import numpy as np

from nas_tf.config import schema
from nas_tf.errors import DataError

_AUTHORS_ANNEAL = {100: 0.9, 200: 0.8, 300: 0.7, 400: 0.6}


class Gate(ABC):
    """Decides which candidates continue, by their stage-one scores in the order of the calls.

    Its state is plain numbers, which ``state`` returns and ``restore`` takes. It is not
    thread-safe.

    Args:
        settings: Policy and probabilities.
        seed: Seed of the random numbers; the n-th depends on the seed and n alone.
    """

    def __init__(self, settings: schema.Gate, seed: int) -> None:
        self._settings, self._seed = settings, seed
        self.seen = 0

    def admits(self, score: float) -> bool:
        """Returns whether a candidate with this stage-one score continues to stage two."""
        decision = self._decide(score)
        self.seen += 1
        return decision

    @abstractmethod
    def _decide(self, score: float) -> bool:
        """Decides on the next score, before ``seen`` counts it."""

    def _random(self) -> float:
        return float(np.random.default_rng((self._seed, self.seen)).random())

    def state(self) -> dict[str, Any]:
        """Returns everything that later decisions depend on, for JSON."""
        return {"policy": self._settings.policy, "seed": self._seed, "seen": self.seen}

    def restore(self, state: dict[str, Any]) -> None:
        """Restores a saved state of the same policy."""
        if state.get("policy") != self._settings.policy:
            raise DataError(
                f"gate state is of policy {state.get('policy')!r}, "
                f"expected {self._settings.policy!r} as configured"
            )
        self._seed, self.seen = state["seed"], state["seen"]


class OpenGate(Gate):
    """Admits every candidate."""

    def _decide(self, score: float) -> bool:
        return True


class PaperGate(Gate):
    """Admits scores above the mean of the earlier ones, others with a falling probability."""

    def __init__(self, settings: schema.Gate, seed: int) -> None:
        super().__init__(settings, seed)
        self.mean, self.probability = 0.0, settings.probability

    def _decide(self, score: float) -> bool:
        better = self.seen == 0 or score > self.mean
        self.mean += (score - self.mean) / (self.seen + 1)
        if better:
            return True
        chance = self._random() < self.probability
        self.probability *= self._settings.anneal
        return chance

    def state(self) -> dict[str, Any]:
        """Returns the state with the mean and the probability."""
        return {**super().state(), "mean": self.mean, "probability": self.probability}

    def restore(self, state: dict[str, Any]) -> None:
        """Restores the state with the mean and the probability."""
        super().restore(state)
        self.mean, self.probability = state["mean"], state["probability"]


class AuthorsGate(Gate):
    """The ratio test of the released code, including the milestones that it skips.

    The mean starts at 0.01, decays by 0.99 and includes a score before the comparison; a score
    below it passes if it falls short by less than a share of the mean's size, a random number
    from [0, slack]. If the first score is negative, which 0.01 would exceed, the mean starts there
    and the score passes.
    """

    def __init__(self, settings: schema.Gate, seed: int) -> None:
        super().__init__(settings, seed)
        self.mean, self.slack, self.count = 0.01, settings.probability, 0

    def _decide(self, score: float) -> bool:
        self.slack *= _AUTHORS_ANNEAL.get(self.count, 1.0)
        self.count += 1
        starts = self.seen == 0 and score < 0
        self.mean = score if starts else 0.99 * self.mean + 0.01 * score
        if starts or score > self.mean:
            self.count += 1
            return True
        return score > self.mean * (1 - math.copysign(self.slack, self.mean) * self._random())

    def state(self) -> dict[str, Any]:
        """Returns the state with mean, slack and the count that the milestones refer to."""
        own = {"mean": self.mean, "slack": self.slack, "count": self.count}
        return {**super().state(), **own}

    def restore(self, state: dict[str, Any]) -> None:
        """Restores the state with mean, slack and count."""
        super().restore(state)
        self.mean, self.slack, self.count = state["mean"], state["slack"], state["count"]


_POLICIES = {"paper": PaperGate, "authors": AuthorsGate, "open": OpenGate}


def make(settings: schema.Gate, seed: int) -> Gate:
    """Returns a new gate of the configured policy."""
    return _POLICIES[settings.policy](settings, seed)
