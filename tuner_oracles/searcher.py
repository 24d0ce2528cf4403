"""The pure half of an oracle: what is proposed next, given what was learned so far.

A searcher knows token vectors and rewards, not KerasTuner, trials or files. Whatever is random
in it is drawn from the search's seed and the number of the draw, and whatever it learns comes
in the order of the ledger; so the same seed and rewards give the same proposals, also when a
search is taken up again.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Vector = tuple[int, ...]


@dataclass(frozen=True)
class Proposal:
    """A token vector, and what its searcher wants to know again when the reward is there.

    ``policy`` is JSON: for PPO the log-probability of each token and the policy's version. A
    proposal without it was not drawn from the searcher's policy and teaches it nothing.
    """

    tokens: Vector
    policy: dict[str, Any] = field(default_factory=dict)


class Searcher:
    """Proposes token vectors and learns from rewards, of which more is better."""

    #: Whether proposals of known reward are worth learning from without another trial.
    learns_from_known = False

    def begin(self, tokens: Sequence[Any], seed: int) -> None:
        """Told once, before anything else: the tokens to decide and the search's seed."""
        self.sizes = tuple(len(token.values) for token in tokens)
        self.seed = seed

    def propose(self, number: int) -> Proposal:
        """The proposal of draw ``number``."""
        raise NotImplementedError

    def given(self, vector: Vector) -> Proposal:
        """A vector that a person wants tried, as one that this searcher had proposed."""
        return Proposal(vector)

    def learn(self, proposal: Proposal, reward: float, *, known: bool = False) -> None:
        """Takes in a reward; ``known`` if it was looked up and no trial was spent on it."""

    def learn_failure(self, proposal: Proposal) -> None:
        """Takes in that a proposal's trial failed."""

    def settings(self) -> dict[str, Any]:
        """What makes this searcher what it is; a search goes on only under the same."""
        return {}

    def checkpoint(self, folder: Path) -> dict[str, Any] | None:
        """Writes state that would be slow to learn again; the record that finds it, if any."""
        return None

    def recover(self, folder: Path, records: Sequence[dict[str, Any]]) -> None:
        """Before a ledger is learned again: takes the newest whole checkpoint of ``records``."""

    def warm_up(self) -> None:
        """Does whatever makes the first call slow."""

    def rng(self, number: int, purpose: str = "propose") -> random.Random:
        """The source of randomness of one draw."""
        return random.Random(f"{self.seed}/{purpose}/{number}")

    def uniform(self, rng: random.Random) -> Vector:
        """A token vector drawn uniformly."""
        return tuple(rng.randrange(size) for size in self.sizes)

    def mutate(self, vector: Vector, rng: random.Random) -> Vector:
        """The vector with one token, chosen uniformly, set to another of its values."""
        place = rng.randrange(len(self.sizes))
        value = rng.randrange(self.sizes[place] - 1)
        value += value >= vector[place]
        return (*vector[:place], value, *vector[place + 1 :])
