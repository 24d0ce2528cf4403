"""The gate between the stages: weak candidates stop after the cheap one (CVPR 2019, 3.3)."""

from abc import ABC, abstractmethod
from typing import Any

import numpy as np

from nas_tf.config import schema
from nas_tf.errors import DataError

_AUTHORS_ANNEAL = {100: 0.9, 200: 0.8, 300: 0.7, 400: 0.6}


class Gate(ABC):
    """Decides on rewards of stage one, one by one; its state is plain numbers.

    Args:
        settings: Policy and probabilities.
        seed: Of its draws; draw number n depends on the seed and n alone.
    """

    def __init__(self, settings: schema.Gate, seed: int) -> None:
        self._settings, self._seed = settings, seed
        self.seen = 0

    def admits(self, reward: float) -> bool:
        """Whether a candidate of this stage-one reward is worth stage two."""
        decision = self._decide(reward)
        self.seen += 1
        return decision

    @abstractmethod
    def _decide(self, reward: float) -> bool:
        """The decision on the next reward, before it is counted as seen."""

    def _draw(self) -> float:
        return float(np.random.default_rng((self._seed, self.seen)).random())

    def state(self) -> dict[str, Any]:
        """Everything later decisions depend on, for JSON."""
        return {"policy": self._settings.policy, "seed": self._seed, "seen": self.seen}

    def restore(self, state: dict[str, Any]) -> None:
        """Takes up a saved state of the same policy."""
        if state.get("policy") != self._settings.policy:
            raise DataError(
                f"gate state is of policy {state.get('policy')!r}, "
                f"expected {self._settings.policy!r} as configured"
            )
        self._seed, self.seen = state["seed"], state["seen"]


class OpenGate(Gate):
    """Everybody goes on."""

    def _decide(self, reward: float) -> bool:
        return True


class PaperGate(Gate):
    """Above the running mean of earlier rewards, or by chance with a falling probability."""

    def __init__(self, settings: schema.Gate, seed: int) -> None:
        super().__init__(settings, seed)
        self.mean, self.probability = 0.0, settings.probability

    def _decide(self, reward: float) -> bool:
        better = self.seen == 0 or reward > self.mean
        self.mean += (reward - self.mean) / (self.seen + 1)
        if better:
            return True
        chance = self._draw() < self.probability
        self.probability *= self._settings.anneal
        return chance

    def state(self) -> dict[str, Any]:
        """With the mean and the probability."""
        return {**super().state(), "mean": self.mean, "probability": self.probability}

    def restore(self, state: dict[str, Any]) -> None:
        """With the mean and the probability."""
        super().restore(state)
        self.mean, self.probability = state["mean"], state["probability"]


class AuthorsGate(Gate):
    """The ratio test of the released code, its skipped milestones included.

    The mean decays by 0.99 from 0.01 and takes the reward in before it is compared; a reward
    below it goes on if it reaches the mean times one minus a draw from [0, slack].
    """

    def __init__(self, settings: schema.Gate, seed: int) -> None:
        super().__init__(settings, seed)
        self.mean, self.slack, self.count = 0.01, settings.probability, 0

    def _decide(self, reward: float) -> bool:
        self.slack *= _AUTHORS_ANNEAL.get(self.count, 1.0)
        self.count += 1
        self.mean = 0.99 * self.mean + 0.01 * reward
        if reward > self.mean:
            self.count += 1
            return True
        return reward > self.mean * (1 - self.slack * self._draw())

    def state(self) -> dict[str, Any]:
        """With mean, slack and the count that the milestones go by."""
        own = {"mean": self.mean, "slack": self.slack, "count": self.count}
        return {**super().state(), **own}

    def restore(self, state: dict[str, Any]) -> None:
        """With mean, slack and count."""
        super().restore(state)
        self.mean, self.slack, self.count = state["mean"], state["slack"], state["count"]


_POLICIES = {"paper": PaperGate, "authors": AuthorsGate, "open": OpenGate}


def make(settings: schema.Gate, seed: int) -> Gate:
    """The gate of the configured policy."""
    return _POLICIES[settings.policy](settings, seed)
