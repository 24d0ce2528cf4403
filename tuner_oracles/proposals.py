"""From a searcher's proposals to those worth a trial: feasible, and not tried before."""

import itertools
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

from tuner_oracles.searcher import Proposal, Searcher, Vector
from tuner_oracles.tokens import SpaceError, Tokens

TRIES = 32
DRAWS = 1_000
SMALL = 20_000


class Exhausted(Exception):
    """There is nothing more to propose; says why."""


class Proposals:
    """Draws from a searcher until a proposal is worth a trial.

    ``count`` numbers the draws, ``repeats`` counts those since the last trial that were drawn
    before, ``refused`` the infeasible ones. What was drawn is kept by its key with its reward, or
    None while it runs or after it failed.
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
        self.count = self.repeats = 0
        self._since = 0  # the count when the last trial was proposed
        self._recorded = (0, 0)  # count and repeats as the ledger has them, after a kill too
        self.refused = 0
        self._rewards: dict[Hashable, float | None] = {}

    def begin(self, tokens: Tokens, seed: int, first: Sequence[Sequence[int]] = ()) -> None:
        """Told once: what is drawn from, and what is drawn first of all.

        Of that, what is infeasible or was given before is left out.
        """
        self.tokens = tokens
        self.first = [vector for vector in map(tuple, first) if self._is_feasible(vector)]
        if self.duplicates == "avoid":
            new: dict[Hashable, Vector] = {}
            for vector in self.first:
                new.setdefault(self._key(vector), vector)
            self.first = list(new.values())
        self.searcher.begin(tokens.tokens, seed)

    def next(self, known: Callable[[Proposal, float], None]) -> Proposal:
        """The next proposal worth a trial; raises ``Exhausted`` when there is none left.

        Proposals of known reward go to ``known`` on the way, where the searcher learns from them.
        Interrupted, it begins where the ledger ends, as it would after a kill.
        """
        try:
            return self._from_searcher(known) or self._near(self._draw().tokens)
        except BaseException:
            self.count, self.repeats = self._recorded
            raise

    def repeated(self, count: int, repeats: int) -> None:
        """The ``count``-th draw was of known reward, one of so many repeats."""
        self.count, self.repeats = self._recorded = count, repeats

    def proposed(self, proposal: Proposal, count: int) -> None:
        """A trial is spent on a proposal, the ``count``-th drawn."""
        self._since = count
        self.repeated(count, 0)
        self._rewards.setdefault(self._key(proposal.tokens), None)

    def scored(self, proposal: Proposal, reward: float) -> None:
        """A proposal's trial has ended well."""
        self._rewards[self._key(proposal.tokens)] = reward

    def _from_searcher(self, known: Callable[[Proposal, float], None]) -> Proposal | None:
        """What the searcher proposes, unless it only repeats itself or is always refused."""
        while self.repeats < TRIES and self.count - self._since < DRAWS:
            proposal = self._draw()
            if not self._is_feasible(proposal.tokens):
                continue
            key = self._key(proposal.tokens)
            if self.duplicates == "run" or key not in self._rewards:
                return proposal
            self.repeats += 1
            reward = self._rewards[key]
            if reward is not None and self.searcher.learns_from_known:
                known(proposal, reward)
        return None

    def _draw(self) -> Proposal:
        number = self.count
        self.count += 1
        if number < len(self.first):
            return self.searcher.given(self.first[number])
        return self.searcher.propose(number)

    def _near(self, start: Vector) -> Proposal:
        """Something new though the searcher has none: by walks from there, or what is left."""
        rng = self.searcher.rng(self.count, "near")
        small, vector = self.tokens.size <= SMALL, start
        for step in range((TRIES if small else SMALL) if self.tokens.sizes else 0):
            vector = self.searcher.mutate(vector if step % TRIES else start, rng)
            if self._is_new(vector):
                return Proposal(vector)
        if small:
            ranges = (range(size) for size in self.tokens.sizes)
            found = next(filter(self._is_new, itertools.product(*ranges)), None)
            if found is not None:
                return Proposal(found)
        if not self._rewards:
            raise SpaceError(f"feasible refused all of {self.refused} proposals")
        tried = len(self._rewards)
        if small:
            raise Exhausted(f"all {tried} of the space's vectors that count were tried")
        raise Exhausted(
            f"{tried} vectors were tried, and of the last {SMALL} drawn none was new and feasible"
        )

    def _is_new(self, vector: Vector) -> bool:
        return self._key(vector) not in self._rewards and self._is_feasible(vector)

    def _is_feasible(self, vector: Vector) -> bool:
        good = self.feasible is None or self.feasible(self.tokens.values(vector))
        self.refused += not good
        return good

    def _key(self, vector: Vector) -> Hashable:
        return vector if self.canonical is None else self.canonical(self.tokens.values(vector))


def vectors(tokens: Tokens, given: Sequence[Mapping[str, Any]]) -> list[list[int]]:
    """The vectors of values that are to be tried first; raises on what the space has not."""
    if isinstance(given, (str, Mapping)) or not isinstance(given, Sequence):
        raise SpaceError(f"first is {given!r}, expected a list of dicts of values")
    found = []
    for number, values in enumerate(given, 1):
        try:
            found.append(_vector(tokens, values))
        except SpaceError as error:
            raise SpaceError(f"first: of the values given, number {number}: {error}") from None
    return found


def _vector(tokens: Tokens, values: Any) -> list[int]:
    if not isinstance(values, Mapping):
        raise SpaceError(f"{values!r} is no dict")
    vector = tokens.vector(values)
    whole = tokens.values(vector)
    for name, value in values.items():
        if name not in whole:
            raise SpaceError(f"there is no hyperparameter {name!r}")
        if value != whole[name]:
            raise SpaceError(f"hyperparameter {name!r} is {value!r}, expected {whole[name]!r}")
    return list(vector)
