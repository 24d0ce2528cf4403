"""From a searcher's proposals to those worth a trial: feasible, and not tried before."""

import itertools
from collections.abc import Callable, Hashable
from typing import Any

from tuner_oracles.searcher import Proposal, Searcher, Vector
from tuner_oracles.tokens import SpaceError, Tokens

TRIES = 32
SMALL = 20_000


class Draws:
    """Draws from a searcher until a proposal is worth a trial.

    ``count`` numbers the draws, ``refused`` counts the infeasible ones. What was drawn is kept
    by its key with its reward, or None while it runs or after it failed.
    """

    def __init__(
        self,
        searcher: Searcher,
        duplicates: str,
        canonical: Callable[[dict[str, Any]], Hashable] | None,
        feasible: Callable[[dict[str, Any]], bool] | None,
    ) -> None:
        if duplicates not in ("avoid", "run"):
            raise ValueError(f"duplicates is {duplicates!r}, expected 'avoid' or 'run'")
        self.searcher = searcher
        self.duplicates = duplicates
        self.canonical = canonical
        self.feasible = feasible
        self.count = 0
        self._since = 0  # the count when the last trial was proposed, known after a kill too
        self.refused = 0
        self._rewards: dict[Hashable, float | None] = {}

    def begin(self, tokens: Tokens, seed: int) -> None:
        """Told once: what is drawn from."""
        self.tokens = tokens
        self.searcher.begin(tokens.tokens, seed)

    def next(self, known: Callable[[Proposal, float], None]) -> Proposal | None:
        """The next proposal worth a trial, or None when there is none left.

        Proposals of known reward go to ``known`` on the way, where the searcher learns from them.
        """
        while self.count - self._since < TRIES:
            proposal = self._draw()
            if not self._is_feasible(proposal.tokens):
                continue
            key = self._key(proposal.tokens)
            if self.duplicates == "run" or key not in self._rewards:
                return proposal
            reward = self._rewards[key]
            if reward is not None and self.searcher.learns_from_known:
                known(proposal, reward)
        return self._near(self._draw().tokens)

    def proposed(self, proposal: Proposal, count: int) -> None:
        """A trial is spent on a proposal, the ``count``-th drawn."""
        self.count = self._since = count
        self._rewards.setdefault(self._key(proposal.tokens), None)

    def scored(self, proposal: Proposal, reward: float) -> None:
        """A proposal's trial has ended well."""
        self._rewards[self._key(proposal.tokens)] = reward

    @property
    def tried(self) -> int:
        """How many different proposals were made."""
        return len(self._rewards)

    def _draw(self) -> Proposal:
        proposal = self.searcher.propose(self.count)
        self.count += 1
        return proposal

    def _near(self, vector: Vector) -> Proposal | None:
        """Something new though the searcher repeats itself: a walk from there, or what is left."""
        rng = self.searcher.rng(self.count, "near")
        for _ in range(TRIES if self.tokens.sizes else 0):
            vector = self.searcher.mutate(vector, rng)
            if self._is_new(vector):
                return Proposal(vector)
        if self.tokens.size <= SMALL:
            ranges = (range(size) for size in self.tokens.sizes)
            found = next(filter(self._is_new, itertools.product(*ranges)), None)
            return None if found is None else Proposal(found)
        if not self._rewards:
            raise SpaceError(f"feasible refused all of {self.refused} proposals")
        return None

    def _is_new(self, vector: Vector) -> bool:
        return self._key(vector) not in self._rewards and self._is_feasible(vector)

    def _is_feasible(self, vector: Vector) -> bool:
        good = self.feasible is None or self.feasible(self.tokens.values(vector))
        self.refused += not good
        return good

    def _key(self, vector: Vector) -> Hashable:
        return vector if self.canonical is None else self.canonical(self.tokens.values(vector))
