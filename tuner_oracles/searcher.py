"""The pure half of an oracle: it proposes token vectors and learns from their rewards.

A searcher knows token vectors and rewards, not KerasTuner, trials or files. All its randomness is
seeded with the search's seed and the number of the sample, and rewards reach it in the order of
the ledger; so the same seed and rewards yield the same proposals, also when a search is resumed.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Vector = tuple[int, ...]


@dataclass(frozen=True)
class Proposal:
    """A token vector, and the facts that its searcher needs again when the reward arrives.

    ``policy`` is JSON: for PPO the log-probability of each token and the policy's version. A
    proposal without it was not sampled from the searcher's policy and teaches it nothing.
    """

    tokens: Vector
    policy: dict[str, Any] = field(default_factory=dict)


class Searcher:
    """The base class of searchers: proposes token vectors and maximises their reward.

    A searcher belongs to one oracle, which calls it under its lock: methods are never called
    concurrently and need no locks of their own. Its state is not saved; after a kill the oracle
    replays the ledger through ``learn`` and ``learn_failure``. For that to restore the state
    exactly, randomness must come from ``rng`` and knowledge from these two methods alone.
    """

    #: True if proposals of known reward are worth learning from without another trial.
    learns_from_known = False
    #: Returns whether a vector is feasible and new; set by the oracle before the first proposal.
    is_worthwhile: Callable[[Vector], bool] = staticmethod(lambda vector: True)

    def start(self, tokens: Sequence[Any], seed: int) -> None:
        """Sets the tokens to decide and the search's seed; called once, before all others."""
        self.sizes = tuple(len(token.values) for token in tokens)
        self.seed = seed

    def propose(self, number: int) -> Proposal:
        """Returns the proposal of sample ``number``."""
        raise NotImplementedError

    def as_proposal(self, vector: Vector) -> Proposal:
        """Returns a vector that the user wants tried as if this searcher had proposed it."""
        return Proposal(vector)

    def learn(self, proposal: Proposal, reward: float, *, known: bool = False) -> None:
        """Learns from a reward; ``known`` if it was looked up and no trial was spent on it."""

    def learn_failure(self, proposal: Proposal) -> None:
        """Learns that a proposal's trial failed, which is worse than every reward."""

    def settings(self) -> dict[str, Any]:
        """Returns the settings that define this searcher; a search resumes only under the same."""
        return {}

    def checkpoint(self, folder: Path) -> dict[str, Any] | None:
        """Writes state that is slow to learn again; returns the record that locates it, if any."""
        return None

    def recover(self, folder: Path, records: Sequence[dict[str, Any]]) -> None:
        """Loads the newest intact checkpoint of ``records``, before a ledger is replayed."""

    def warm_up(self) -> None:
        """Does in advance whatever makes the first call slow."""

    def rng(self, number: int, purpose: str = "propose") -> random.Random:
        """Returns the random generator of one sample."""
        return random.Random(f"{self.seed}/{purpose}/{number}")

    def uniform(self, rng: random.Random) -> Vector:
        """Samples a token vector uniformly."""
        return tuple(rng.randrange(size) for size in self.sizes)

    def mutate(self, vector: Vector, rng: random.Random) -> Vector:
        """Returns the vector with one token, chosen uniformly, set to another of its values.

        A space of a single point has no tokens, and no other vector.
        """
        if not self.sizes:
            return vector
        place = rng.randrange(len(self.sizes))
        value = rng.randrange(self.sizes[place] - 1)
        value += value >= vector[place]
        return (*vector[:place], value, *vector[place + 1 :])
