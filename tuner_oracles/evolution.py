"""Regularised evolution (Real et al., AAAI 2019): the oldest dies, not the worst."""

from collections import deque
from typing import Any

from tuner_oracles.durable import DurableOracle
from tuner_oracles.searcher import Proposal, Searcher, Vector


class EvolutionSearcher(Searcher):
    """The winner of a tournament among the latest ``population``, with one token changed."""

    def __init__(self, population: int = 40, tournament: int = 8) -> None:
        if population < 2:
            raise ValueError(f"population is {population}, expected 2 or more")
        if not 1 <= tournament <= population:
            raise ValueError(f"tournament is {tournament}, expected 1–{population}")
        self.population, self.tournament = population, tournament
        self._living: deque[tuple[float, Vector]] = deque(maxlen=population)

    def propose(self, number: int) -> Proposal:
        """A uniform vector until the population is full, then a child of a tournament's best."""
        rng = self.rng(number)
        if len(self._living) < self.population:
            return Proposal(self.uniform(rng))
        parent = max(rng.sample(list(self._living), self.tournament), key=lambda one: one[0])
        return Proposal(self.mutate(parent[1], rng))

    def learn(self, proposal: Proposal, reward: float, *, known: bool = False) -> None:
        """The newcomer lives; the oldest dies."""
        self._living.append((reward, proposal.tokens))

    def settings(self) -> dict[str, Any]:
        """The sizes of population and tournament."""
        return {"population": self.population, "tournament": self.tournament}


class EvolutionOracle(DurableOracle):
    """Regularised evolution as a KerasTuner oracle.

    ``population``: how many of the latest live. ``tournament``: how many of them compete to be
    parent. Others as of ``DurableOracle``.
    """

    def __init__(
        self,
        objective: Any = None,
        max_trials: int | None = None,
        *,
        population: int = 40,
        tournament: int = 8,
        **common: Any,
    ):
        super().__init__(
            EvolutionSearcher(population, tournament), objective, max_trials, **common
        )
