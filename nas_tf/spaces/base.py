"""The contract of every search space, with the parts that are the same for all.

Also here: ``read_brackets``, which reads the text of a genotype, and ``distinct_networks``, which
estimates how many different networks a space has.
"""

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

_MAX_TEXT = 20_000


def read_brackets(text: str) -> Any:
    """Reads a bracketed list from JSON or Python, with round brackets or single quotes too."""
    if len(text) > _MAX_TEXT:
        raise GenotypeError(
            f"genotype text has {len(text)} characters, expected at most {_MAX_TEXT}"
        )
    as_json = text.translate(str.maketrans("()'", '[]"'))
    try:
        value = json.loads(as_json)
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
    """One decision of the search, an integer from 0 to below ``size``.

    ``name`` is its position in the genotype, ``chooses`` what its values stand for::

        Token("cell.o1", 11, "operations").check(11)  # GenotypeError: token cell.o1 is 11, ...
    """

    name: str
    size: int
    chooses: str

    def check(self, value: Any) -> int:
        """Returns the value; raises ``GenotypeError`` if it is not an accepted one."""
        if isinstance(value, bool) or not isinstance(value, int):
            raise GenotypeError(f"token {self.name} is {reprlib.repr(value)}, expected an integer")
        if not 0 <= value < self.size:
            accepted = "0" if self.size == 1 else f"0–{self.size - 1}"
            raise GenotypeError(
                f"token {self.name} is {reprlib.repr(value)}, expected {accepted} ({self.chooses})"
            )
        return value


class SearchSpace(ABC):
    """A search space: a fixed list of tokens and the genotypes that they spell.

    A space is plain Python and is not changed after it is made. A subclass names its tokens and
    arranges a token vector in the paper's brackets; everything else follows. docs/extend/space.md
    has a complete one.

    ::

        space = spaces.get("auxcell")
        genotype = space.sample(random.Random(0))
        neighbour = space.mutate(genotype, random.Random(1))
    """

    name: ClassVar[str]

    @cached_property
    @abstractmethod
    def tokens(self) -> tuple[Token, ...]:
        """The decisions, in the order in which a controller makes them."""

    @abstractmethod
    def _layout(self, tokens: Sequence[int]) -> Any:
        """Arranges a token vector in brackets."""

    @abstractmethod
    def _flatten(self, brackets: Any) -> list[Any]:
        """Returns the token vector of brackets; raises ``GenotypeError`` if a length differs."""

    @abstractmethod
    def canonical(self, genotype: Genotype) -> Genotype:
        """Returns the genotype that stands for all genotypes of the same network."""

    @abstractmethod
    def rewrites(self, genotype: Genotype) -> Iterator[Genotype]:
        """Yields genotypes of the same network that are one elementary step away."""

    def class_size(self, genotype: Genotype) -> int:
        """Counts the token vectors that build the same network, with the genotype's own."""
        return len(closure(genotype, self.rewrites))

    def read(self, brackets: Any) -> Any:
        """Converts any published notation to the paper's brackets."""
        return brackets

    def spell(self, genotype: Genotype) -> str:
        """Returns the genotype in the paper's notation."""
        return str(genotype)

    @property
    def size(self) -> int:
        """The number of token vectors."""
        return math.prod(token.size for token in self.tokens)

    def decode(self, tokens: Sequence[int]) -> Genotype:
        """Returns the genotype that a token vector spells."""
        if len(tokens) != len(self.tokens):
            raise GenotypeError(
                f"{len(tokens)} tokens given, expected {len(self.tokens)} for space {self.name}"
            )
        checked = [token.check(value) for token, value in zip(self.tokens, tokens, strict=True)]
        return Genotype.of(self.name, self._layout(checked))

    def encode(self, genotype: Genotype) -> list[int]:
        """Returns the token vector that spells a genotype; the inverse of ``decode``."""
        if genotype.space != self.name:
            raise GenotypeError(
                f"genotype belongs to space {genotype.space!r}, expected {self.name!r}"
            )
        values = self._flatten(genotype.parts)
        return [token.check(value) for token, value in zip(self.tokens, values, strict=True)]

    def validate(self, genotype: Genotype) -> None:
        """Raises ``GenotypeError`` unless this space contains the genotype."""
        self.encode(genotype)

    def parse(self, text: str | Sequence[Any]) -> Genotype:
        """Reads a genotype in any of the papers' notations, as text or as nested lists."""
        brackets = read_brackets(text) if isinstance(text, str) else text
        values = self._flatten(self.read(brackets))
        return self.decode(values)

    def sample(self, rng: random.Random) -> Genotype:
        """Samples a genotype uniformly over token vectors."""
        return Genotype.of(
            self.name, self._layout([rng.randrange(token.size) for token in self.tokens])
        )

    def mutate(self, genotype: Genotype, rng: random.Random) -> Genotype:
        """Changes one token, chosen uniformly, to another of its values."""
        tokens = self.encode(genotype)
        index = rng.choice([i for i, token in enumerate(self.tokens) if token.size > 1])
        step = rng.randrange(1, self.tokens[index].size)
        tokens[index] = (tokens[index] + step) % self.tokens[index].size
        return self.decode(tokens)

    def neighbours(self, genotype: Genotype) -> Iterator[Genotype]:
        """Yields every genotype that differs in exactly one token."""
        tokens = self.encode(genotype)
        for index, token in enumerate(self.tokens):
            for value in range(token.size):
                if value != tokens[index]:
                    yield self.decode([*tokens[:index], value, *tokens[index + 1 :]])


def expect_length(name: str, value: Any, count: int, entries: str) -> Sequence[Any]:
    """Returns the list; raises ``GenotypeError`` unless it is a list of ``count`` entries.

    ``name`` and ``entries`` are for the message: the list and, in the plural, its entries.
    """
    if not isinstance(value, (list, tuple)):
        given = reprlib.repr(value)
        raise GenotypeError(f"{name} is {given}, expected a list of {count} {entries}")
    if len(value) != count:
        raise GenotypeError(f"{name} has {len(value)} {entries}, expected {count}")
    return value


def distinct_networks(
    space: SearchSpace,
    *,
    samples: int = 1000,
    seed: int = 0,
    progress: Callable[[int], None] | None = None,
) -> tuple[float, float]:
    """Estimates the number of distinct networks and its standard error.

    A uniform token vector falls into a class of ``n`` vectors with probability proportional to
    ``n``, so the mean of ``1 / n`` is the number of classes divided by the number of vectors.
    ``progress`` is called with the number of samples so far after each of them.
    """
    rng = random.Random(seed)
    shares = []
    for count in range(1, samples + 1):
        shares.append(1 / space.class_size(space.sample(rng)))
        if progress is not None:
            progress(count)
    mean = math.fsum(shares) / samples
    variance = math.fsum((share - mean) ** 2 for share in shares) / max(1, samples - 1)
    return mean * space.size, math.sqrt(variance / samples) * space.size
