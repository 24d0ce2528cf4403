"""The contract every search space keeps, and the parts of it that are the same for all."""

import json
import math
import random
import reprlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

from nas_tf.errors import GenotypeError
from nas_tf.genotype import Genotype
from nas_tf.spaces.canonical import closure

_LONGEST = 20_000


def read_brackets(text: str) -> Any:
    """Reads a bracketed list, also with the round brackets and single quotes of Python."""
    if len(text) > _LONGEST:
        raise GenotypeError(
            f"genotype text has {len(text)} characters, expected at most {_LONGEST}"
        )
    plain = text.translate(str.maketrans("()'", '[]"'))
    try:
        value = json.loads(plain)
    except (ValueError, RecursionError) as error:
        raise GenotypeError(
            f"genotype {_shortened(text)} is not a bracketed list such as [[[3,3],…],[8,…]]"
        ) from error
    if not isinstance(value, list):
        raise GenotypeError(f"genotype {_shortened(text)} is not a list, expected [ … ]")
    return value


def _shortened(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:37] + "…")


@dataclass(frozen=True, slots=True)
class Token:
    """One decision of the search: its place in the genotype and how many values it may take."""

    name: str
    size: int
    chooses: str

    def check(self, value: Any) -> int:
        """Returns the value, or raises with the token, the value and what is accepted."""
        if isinstance(value, bool) or not isinstance(value, int):
            raise GenotypeError(f"token {self.name} is {reprlib.repr(value)}, expected an integer")
        if not 0 <= value < self.size:
            accepted = "0" if self.size == 1 else f"0–{self.size - 1}"
            raise GenotypeError(
                f"token {self.name} is {reprlib.repr(value)}, expected {accepted} ({self.chooses})"
            )
        return value


class SearchSpace(ABC):
    """What can be searched: a fixed list of tokens and the genotypes they spell.

    A space is plain Python. A subclass names its tokens and says how a token vector is laid
    out in the paper's brackets; everything else follows.
    """

    name: ClassVar[str]

    @cached_property
    @abstractmethod
    def tokens(self) -> tuple[Token, ...]:
        """The decisions, in the order in which a controller makes them."""

    @abstractmethod
    def _layout(self, tokens: Sequence[int]) -> Any:
        """Token vector to brackets."""

    @abstractmethod
    def _flatten(self, brackets: Any) -> list[Any]:
        """Brackets to token vector; raises where lengths differ."""

    @abstractmethod
    def canonical(self, genotype: Genotype) -> Genotype:
        """The one genotype that stands for all that build the same network."""

    @abstractmethod
    def rewrites(self, genotype: Genotype) -> Iterator[Genotype]:
        """Genotypes one elementary step away that build the same network."""

    def class_size(self, genotype: Genotype) -> int:
        """How many token vectors build the same network as this genotype, itself included."""
        return len(closure(genotype, self.rewrites))

    def read(self, brackets: Any) -> Any:
        """Brings any notation in circulation into the paper's brackets."""
        return brackets

    def spell(self, genotype: Genotype) -> str:
        """The genotype in the paper's notation."""
        return str(genotype)

    @property
    def size(self) -> int:
        """How many token vectors there are."""
        return math.prod(token.size for token in self.tokens)

    def decode(self, tokens: Sequence[int]) -> Genotype:
        """The genotype a token vector spells."""
        if len(tokens) != len(self.tokens):
            raise GenotypeError(
                f"{len(tokens)} tokens given, expected {len(self.tokens)} for space {self.name}"
            )
        checked = [token.check(value) for token, value in zip(self.tokens, tokens, strict=True)]
        return Genotype.of(self.name, self._layout(checked))

    def encode(self, genotype: Genotype) -> list[int]:
        """The token vector that spells a genotype; the inverse of ``decode``."""
        if genotype.space != self.name:
            raise GenotypeError(
                f"genotype belongs to space {genotype.space!r}, expected {self.name!r}"
            )
        values = self._flatten(genotype.parts)
        return [token.check(value) for token, value in zip(self.tokens, values, strict=True)]

    def validate(self, genotype: Genotype) -> None:
        """Raises one clear error unless this space contains the genotype."""
        self.encode(genotype)

    def parse(self, text: str | Sequence[Any]) -> Genotype:
        """Reads the papers' notations, as text or as nested lists."""
        brackets = read_brackets(text) if isinstance(text, str) else text
        values = self._flatten(self.read(brackets))
        return self.decode(values)

    def sample(self, rng: random.Random) -> Genotype:
        """A genotype drawn uniformly over token vectors."""
        return Genotype.of(
            self.name, self._layout([rng.randrange(token.size) for token in self.tokens])
        )

    def mutate(self, genotype: Genotype, rng: random.Random) -> Genotype:
        """Changes one token, chosen uniformly, to another of its values."""
        tokens = self.encode(genotype)
        place = rng.choice([i for i, token in enumerate(self.tokens) if token.size > 1])
        step = rng.randrange(1, self.tokens[place].size)
        tokens[place] = (tokens[place] + step) % self.tokens[place].size
        return self.decode(tokens)

    def neighbours(self, genotype: Genotype) -> Iterator[Genotype]:
        """Every genotype that differs in exactly one token."""
        tokens = self.encode(genotype)
        for place, token in enumerate(self.tokens):
            for value in range(token.size):
                if value != tokens[place]:
                    yield self.decode([*tokens[:place], value, *tokens[place + 1 :]])


def expect_length(what: str, value: Any, count: int, of: str) -> Sequence[Any]:
    """Returns a list of the right length, or raises saying what has which length."""
    if not isinstance(value, (list, tuple)):
        raise GenotypeError(f"{what} is {reprlib.repr(value)}, expected a list of {count} {of}")
    if len(value) != count:
        raise GenotypeError(f"{what} has {len(value)} {of}, expected {count}")
    return value


def distinct_networks(
    space: SearchSpace,
    *,
    samples: int = 1000,
    seed: int = 0,
    progress: Callable[[int], None] | None = None,
) -> tuple[float, float]:
    """Estimates the number of distinct networks and its standard error.

    A uniform token vector falls into a class of ``n`` with probability proportional to ``n``, so
    the mean of ``1 / n`` is the number of classes over the number of vectors.
    """
    rng = random.Random(seed)
    shares = []
    for done in range(samples):
        shares.append(1 / space.class_size(space.sample(rng)))
        if progress is not None:
            progress(done + 1)
    mean = math.fsum(shares) / samples
    variance = math.fsum((share - mean) ** 2 for share in shares) / max(1, samples - 1)
    return mean * space.size, math.sqrt(variance / samples) * space.size
