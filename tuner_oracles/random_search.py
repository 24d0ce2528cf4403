"""Uniform random search: the baseline both papers compare the controller with."""

import heapq
from typing import Any

from tuner_oracles.durable import DurableOracle
from tuner_oracles.searcher import Proposal, Searcher, Vector


class RandomSearcher(Searcher):
    """Every token uniform, whatever was learned."""

    def propose(self, number: int) -> Proposal:
        """A uniform vector."""
        return Proposal(self.uniform(self.rng(number)))


class RandomOracle(DurableOracle):
    """Uniform random search that resumes exactly; arguments as of ``DurableOracle``."""

    def __init__(self, objective: Any = None, max_trials: int | None = None, **common: Any):
        super().__init__(RandomSearcher(), objective, max_trials, **common)


class NearBestSearcher(Searcher):
    """With probability ``near`` one of the ``top`` best vectors with one token changed."""

    def __init__(self, near: float = 0.7, top: int = 10) -> None:
        if not 0 <= near <= 1:
            raise ValueError(f"near is {near}, expected a probability between 0 and 1")
        if top < 1:
            raise ValueError(f"top is {top}, expected 1 or more")
        self.near, self.top = near, top
        self._best: list[tuple[float, Vector]] = []

    def propose(self, number: int) -> Proposal:
        """A neighbour of one of the best, or a uniform vector."""
        rng = self.rng(number)
        if self._best and rng.random() < self.near:
            ranked = sorted(self._best, reverse=True)
            return Proposal(self.mutate(rng.choice(ranked)[1], rng))
        return Proposal(self.uniform(rng))

    def learn(self, proposal: Proposal, reward: float, *, known: bool = False) -> None:
        """Keeps the best vectors."""
        heapq.heappush(self._best, (reward, proposal.tokens))
        if len(self._best) > self.top:
            heapq.heappop(self._best)

    def settings(self) -> dict[str, Any]:
        """The mixture."""
        return {"near": self.near, "top": self.top}


class NearBestOracle(DurableOracle):
    """Uniform samples mixed with neighbours of the best, as in the DPC paper.

    ``near``: probability of a neighbour. ``top``: of how many best. Others as of
    ``DurableOracle``.
    """

    def __init__(
        self,
        objective: Any = None,
        max_trials: int | None = None,
        *,
        near: float = 0.7,
        top: int = 10,
        **common: Any,
    ):
        super().__init__(NearBestSearcher(near, top), objective, max_trials, **common)
