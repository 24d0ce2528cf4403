"""Selects a searcher's proposals that are worth a trial: feasible, and not tried before."""

import itertools
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

from tuner_oracles.searcher import Proposal, Searcher, Vector
from tuner_oracles.tokens import SpaceError, Tokens

MAX_REPEATS = 32
"""The number of repeats after which a searcher counts as repeating itself only."""
MAX_SAMPLES = 1_000
"""The number of samples since the last trial after which all count as refused."""
SMALL_SPACE = 20_000
"""The size up to which a space is enumerated, and the number of walk steps in larger ones."""
_WALK = MAX_REPEATS


class Exhausted(Exception):
    """Raised with the reason when there is nothing more to propose."""


class Proposals:
    """Samples from a searcher until a proposal is worth a trial.

    ``count`` is the number of samples, ``repeats`` counts those since the last trial that were
    proposed before, ``refused`` the infeasible ones. The key of each proposal is stored with its
    reward, or with None while its trial runs or after it failed.

    An instance belongs to one oracle, which calls it under its lock. Its state follows the ledger
    through ``repeated``, ``proposed`` and ``scored``, so a replayed ledger restores it after a
    kill; ``refused`` alone counts from the start of the process.
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
        self._last_trial = 0  # the count when the last trial was proposed
        self._recorded = (0, 0)  # count and repeats in the ledger, also after a kill
        self.refused = 0
        self._rewards: dict[Hashable, float | None] = {}

    def start(self, tokens: Tokens, seed: int, first: Sequence[Sequence[int]] = ()) -> None:
        """Sets the space to sample from, the seed and the vectors to try first; called once.

        Infeasible vectors of ``first`` are left out, repeated ones too if duplicates are avoided.
        """
        self.tokens = tokens
        self.first = [vector for vector in map(tuple, first) if self._is_feasible(vector)]
        if self.duplicates == "avoid":
            new: dict[Hashable, Vector] = {}
            for vector in self.first:
                new.setdefault(self._key(vector), vector)
            self.first = list(new.values())
        self.searcher.is_worthwhile = (
            self._is_new if self.duplicates == "avoid" else self._is_feasible
        )
        self.searcher.start(tokens.tokens, seed)

    def next(self, known: Callable[[Proposal, float], None]) -> Proposal:
        """Returns the next proposal worth a trial; raises ``Exhausted`` if none is left.

        Calls ``known`` with each proposal of known reward on the way, for the searcher to learn
        from. After an interrupt it starts where the ledger ends, as it would after a kill.
        """
        try:
            return self._from_searcher(known) or self._near(self._sample().tokens)
        except BaseException:
            self.count, self.repeats = self._recorded
            raise

    def repeated(self, count: int, repeats: int) -> None:
        """Records that sample number ``count`` has a known reward and is repeat ``repeats``."""
        self.count, self.repeats = self._recorded = count, repeats

    def proposed(self, proposal: Proposal, count: int) -> None:
        """Records that a trial is spent on a proposal, sample number ``count``."""
        self._last_trial = count
        self.repeated(count, 0)
        self._rewards.setdefault(self._key(proposal.tokens), None)

    def scored(self, proposal: Proposal, reward: float) -> None:
        """Records the reward of a proposal's completed trial."""
        self._rewards[self._key(proposal.tokens)] = reward

    def _from_searcher(self, known: Callable[[Proposal, float], None]) -> Proposal | None:
        """Returns the searcher's proposal, or None if all are repeated or refused."""
        while self.repeats < MAX_REPEATS and self.count - self._last_trial < MAX_SAMPLES:
            proposal = self._sample()
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

    def _sample(self) -> Proposal:
        number = self.count
        self.count += 1
        if number < len(self.first):
            return self.searcher.as_proposal(self.first[number])
        return self.searcher.propose(number)

    def _near(self, start: Vector) -> Proposal:
        """Finds a new vector if the searcher has none: on walks from ``start``, then anywhere."""
        rng = self.searcher.rng(self.count, "near")
        small, vector = self.tokens.size <= SMALL_SPACE, start
        for step in range((_WALK if small else SMALL_SPACE) if self.tokens.sizes else 0):
            vector = self.searcher.mutate(vector if step % _WALK else start, rng)
            if self._is_new(vector):
                return Proposal(vector)
        if small:
            ranges = (range(size) for size in self.tokens.sizes)
            unused = next(filter(self._is_new, itertools.product(*ranges)), None)
            if unused is not None:
                return Proposal(unused)
        if not self._rewards:
            raise SpaceError(f"feasible refused all of {self.refused} proposals")
        tried = len(self._rewards)
        if small:
            raise Exhausted(f"all {tried} of the space's distinct feasible vectors were tried")
        raise Exhausted(
            f"{tried} vectors were tried, and of the last {SMALL_SPACE} sampled none was new and "
            "feasible"
        )

    def _is_new(self, vector: Vector) -> bool:
        return self._key(vector) not in self._rewards and self._is_feasible(vector)

    def _is_feasible(self, vector: Vector) -> bool:
        feasible = self.feasible is None or self.feasible(self.tokens.values(vector))
        self.refused += not feasible
        return feasible

    def _key(self, vector: Vector) -> Hashable:
        return vector if self.canonical is None else self.canonical(self.tokens.values(vector))


def vectors(tokens: Tokens, first: Sequence[Mapping[str, Any]]) -> list[list[int]]:
    """Returns the vectors of the values to try first; raises if one is not in the space."""
    if isinstance(first, (str, Mapping)) or not isinstance(first, Sequence):
        raise SpaceError(f"first is {first!r}, expected a list of dicts of values")
    result = []
    for number, values in enumerate(first, 1):
        try:
            result.append(_vector(tokens, values))
        except SpaceError as error:
            raise SpaceError(f"first: entry {number} of {len(first)}: {error}") from None
    return result


def _vector(tokens: Tokens, values: Any) -> list[int]:
    if not isinstance(values, Mapping):
        raise SpaceError(f"{values!r} is no dict")
    vector = tokens.vector(values)
    expected = tokens.values(vector)
    for name, value in values.items():
        if name not in expected:
            raise SpaceError(f"there is no hyperparameter {name!r}")
        if value != expected[name]:
            raise SpaceError(f"hyperparameter {name!r} is {value!r}, expected {expected[name]!r}")
    return list(vector)
