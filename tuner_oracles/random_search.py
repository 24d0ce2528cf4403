"""Random and near-best search: the baseline of both papers, and the DPC paper's own method."""

import heapq
from typing import Any

from tuner_oracles.durable import DurableOracle
from tuner_oracles.searcher import Proposal, Searcher, Vector


class RandomSearcher(Searcher):
    """Samples every token uniformly and learns nothing."""

    def propose(self, number: int) -> Proposal:
        """Samples a uniform vector."""
        return Proposal(self.uniform(self.rng(number)))


class RandomOracle(DurableOracle):
    """Uniform random search that resumes exactly; see ``DurableOracle`` for the arguments.

    For example::

        oracle = RandomOracle("val_loss", max_trials=100, seed=1)
    """

    def __init__(self, objective: Any = None, max_trials: int | None = None, **common: Any):
        super().__init__(RandomSearcher(), objective, max_trials, **common)


class NearBestSearcher(Searcher):
    """Mutates one of the ``top`` best vectors with probability ``near``, or samples uniformly."""

    def __init__(self, near: float = 0.7, top: int = 10) -> None:
        if not 0 <= near <= 1:
            raise ValueError(f"near is {near}, expected a probability between 0 and 1")
        if top < 1:
            raise ValueError(f"top is {top}, expected 1 or more")
        self.near, self.top = near, top
        self._best: list[tuple[float, Vector]] = []

    def propose(self, number: int) -> Proposal:
        """Returns a neighbour of one of the best vectors, or a uniform one."""
        rng = self.rng(number)
        if self._best and rng.random() < self.near:
            ranked = sorted(self._best, reverse=True)
            return Proposal(self.mutate(rng.choice(ranked)[1], rng))
        return Proposal(self.uniform(rng))

    def learn(self, proposal: Proposal, reward: float, *, known: bool = False) -> None:
        """Stores the vector if it is among the best."""
        heapq.heappush(self._best, (reward, proposal.tokens))
        if len(self._best) > self.top:
            heapq.heappop(self._best)

    def settings(self) -> dict[str, Any]:
        """Returns the probability of a neighbour and the number of best vectors."""
        return {"near": self.near, "top": self.top}


class NearBestOracle(DurableOracle):
    """Uniform samples mixed with neighbours of the best, as in the DPC paper.

    ``near`` is the probability of a neighbour, ``top`` the number of best vectors that it is
    chosen from. Other arguments, and the promises on threads, processes and kills, are those of
    ``DurableOracle``::

        oracle = NearBestOracle("val_loss", max_trials=100, near=0.8, top=5)
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
