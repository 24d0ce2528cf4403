"""Regularised evolution (Real et al., AAAI 2019): the oldest member dies, not the worst."""

from collections import deque
from typing import Any

from tuner_oracles.durable import DurableOracle
from tuner_oracles.searcher import Proposal, Searcher, Vector


class EvolutionSearcher(Searcher):
    """Proposes the winner of a tournament among the latest ``population``, one token changed."""

    def __init__(self, population: int = 40, tournament: int = 8) -> None:
        if population < 2:
            raise ValueError(f"population is {population}, expected 2 or more")
        if not 1 <= tournament <= population:
            raise ValueError(f"tournament is {tournament}, expected 1–{population}")
        self.population, self.tournament = population, tournament
        self._members: deque[tuple[float, Vector]] = deque(maxlen=population)

    def propose(self, number: int) -> Proposal:
        """Samples uniformly until the population is full, then mutates a tournament's winner."""
        rng = self.rng(number)
        if len(self._members) < self.population:
            return Proposal(self.uniform(rng))
        rivals = rng.sample(list(self._members), self.tournament)
        parent = max(rivals, key=lambda member: member[0])
        return Proposal(self.mutate(parent[1], rng))

    def learn(self, proposal: Proposal, reward: float, *, known: bool = False) -> None:
        """Adds a member to the population; the oldest one leaves it."""
        self._members.append((reward, proposal.tokens))

    def settings(self) -> dict[str, Any]:
        """Returns the sizes of population and tournament."""
        return {"population": self.population, "tournament": self.tournament}


class EvolutionOracle(DurableOracle):
    """Regularised evolution as a KerasTuner oracle.

    ``population`` is the number of latest trials that may be parents, ``tournament`` the number
    of them that compete. Other arguments, and the promises on threads, processes and kills, are
    those of ``DurableOracle``::

        oracle = EvolutionOracle("val_loss", max_trials=100, population=20, tournament=5)
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
