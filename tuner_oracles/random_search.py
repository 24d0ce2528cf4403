"""Uniform random search: the baseline both papers compare the controller with."""

from typing import Any

from tuner_oracles.durable import DurableOracle
from tuner_oracles.searcher import Proposal, Searcher


class RandomSearcher(Searcher):
    """Every token uniform, whatever was learned."""

    def propose(self, number: int) -> Proposal:
        """A uniform vector."""
        return Proposal(self.uniform(self.rng(number)))


class RandomOracle(DurableOracle):
    """Uniform random search that resumes exactly; arguments as of ``DurableOracle``."""

    def __init__(self, objective: Any = None, max_trials: int | None = None, **common: Any):
        super().__init__(RandomSearcher(), objective, max_trials, **common)
