"""The contract of every search space, with the parts that are the same for all.

Also here: ``read_brackets``, which reads the text of a genotype, and ``distinct_networks``, which
estimates how many different networks a space has.
"""

import json
import math
import random
import re
import reprlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache, cached_property
from typing import Any, ClassVar, get_type_hints

import msgspec

from nas_tf.accepted import accepted
from nas_tf.errors import ConfigError, GenotypeError
from nas_tf.genotype import Genotype
from nas_tf.spaces.canonical import closure

_MAX_TEXT = 20_000
_MAX_REFUSED = 10_000
"""The number of refused samples in a row after which a space counts as empty."""


def read_brackets(text: str) -> Any:
    """Reads a bracketed list from JSON or Python, with round brackets or single quotes too."""
    if len(text) > _MAX_TEXT:
        raise GenotypeError(
            f"genotype text has {len(text)} characters, expected at most {_MAX_TEXT}"
        )
    as_json = re.sub(r",\s*\]", "]", text.translate(str.maketrans("()'", '[]"')))
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


@dataclass(frozen=True)
class SearchSpace(ABC):
    """A search space: a fixed list of tokens and the genotypes that they spell.

    A space is plain Python and is not changed after it is made. A subclass names its tokens and
    arranges a token vector in the paper's brackets; everything else follows. docs/extend/space.md
    has a complete one. A space of several sizes is a frozen dataclass: its fields are its
    arguments, by keyword, with a type that states the accepted values and a default. They are the
    keys of the configuration's ``space``.

    ::

        space = spaces.get("auxcell")
        genotype = space.sample(random.Random(0))
        neighbour = space.mutate(genotype, random.Random(1))
    """

    name: ClassVar[str]
    taps: ClassVar[tuple[int, ...]] = (4, 8, 16, 32)
    """The strides of the encoder's taps that its networks read; none without an encoder."""
    network_settings: ClassVar[tuple[str, ...]] = ("width", "sep_repeats")
    """The fields of ``networks.Settings`` that its networks have besides the encoder."""
    fixed_size: ClassVar[bool] = False
    """True if a network of this space accepts images of one size only."""
    fixed_parts: ClassVar[tuple[str, ...]] = ()
    """The arguments that are a part of every genotype, which is not searched: brackets; by
    ``spaces.get`` a published name, and in a configuration the run that found it, too."""
    baseline: ClassVar[Genotype | None] = None
    """The network with nothing that was searched, with which a reranking compares."""
    vocabulary: ClassVar[Mapping[str, Sequence[str]]] = {}
    """Choices in an order of their own, by kind; reports sort those of other kinds."""

    def __post_init__(self) -> None:
        """Raises ``ConfigError`` if an argument has a value that is not accepted."""
        for key, hint in argument_types(type(self)).items():
            value = getattr(self, key)
            try:
                msgspec.convert(value, hint)
            except msgspec.ValidationError:
                raise ConfigError(
                    f"{key} is {reprlib.repr(value)}, expected {accepted(hint)} for space "
                    f"{self.name}"
                ) from None

    def __str__(self) -> str:
        changed = ", ".join(f"{key}={value}" for key, value in self._changed.items())
        return f"{self.name} ({changed})" if changed else self.name

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments of the constructor, with their values."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @property
    def _changed(self) -> dict[str, Any]:
        usual = {field.name: field.default for field in fields(self)}
        return {key: value for key, value in self.arguments.items() if value != usual[key]}

    def section(self) -> str | dict[str, Any]:
        """Returns the configuration's ``space``: the name; with arguments if any is not usual."""
        return {"name": self.name, **self.arguments} if self._changed else self.name

    @property
    def smallest_side(self) -> int:
        """The shortest side of an image that the encoder accepts, which is its largest stride."""
        return max(self.taps, default=1)

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

    def refusal(self, genotype: Genotype) -> str | None:
        """Returns the reason why no network can be built of a genotype; None if one can."""
        return None

    def describe(self, genotype: Genotype) -> list[str]:
        """Describes line by line which layers the genotype joins and with which operations."""
        values = zip(self.tokens, self.encode(genotype), strict=True)
        return [f"{token.name}: {value} ({token.chooses})" for token, value in values]

    def choices(self, genotype: Genotype) -> Mapping[str, list[str]]:
        """Returns the choices of a genotype by kind, such as operations, which reports count."""
        return {}

    @classmethod
    def arguments_of(cls, brackets: Any) -> Mapping[str, Any] | None:
        """Returns the arguments that the shape of brackets shows; None if it is another space's.

        A space that returns None for its own brackets has to be named with them.
        """
        return None

    @classmethod
    def of_size(cls, brackets: Any) -> "SearchSpace":
        """Returns the space of the size of brackets, or of the usual one if it has no such."""
        try:
            return cls(**(cls.arguments_of(brackets) or {}))
        except ConfigError:
            return cls()

    def check_size(self, brackets: Any) -> None:
        """Raises an error if brackets have the shape of other arguments."""
        for key, value in (self.arguments_of(brackets) or {}).items():
            if value != getattr(self, key):
                type(self)(**{**self.arguments, key: value})  # raises if no space has it
                raise GenotypeError(
                    f"genotype has {key}={value}, expected {getattr(self, key)} for space "
                    f"{self.name}: give another genotype, or "
                    f"space={{name: {self.name}, {key}: {value}}}"
                )

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
        self.check_size(genotype.parts)
        values = self._flatten(genotype.parts)
        return [token.check(value) for token, value in zip(self.tokens, values, strict=True)]

    def validate(self, genotype: Genotype) -> None:
        """Raises ``GenotypeError`` unless this space contains the genotype."""
        self.encode(genotype)

    def parse(self, text: str | Sequence[Any]) -> Genotype:
        """Reads a genotype in any of the papers' notations, as text or as nested lists."""
        brackets = read_brackets(text) if isinstance(text, str) else text
        self.check_size(brackets)
        values = self._flatten(self.read(brackets))
        return self.decode(values)

    def sample(self, rng: random.Random) -> Genotype:
        """Samples a genotype uniformly over the token vectors that are not refused."""
        return self._accepted(lambda: self.sample_any(rng))

    def sample_any(self, rng: random.Random) -> Genotype:
        """Samples a genotype uniformly over all token vectors, refused ones included."""
        return Genotype.of(
            self.name, self._layout([rng.randrange(token.size) for token in self.tokens])
        )

    def mutate(self, genotype: Genotype, rng: random.Random) -> Genotype:
        """Changes one token, chosen uniformly, to another value that is not refused."""
        tokens = self.encode(genotype)
        variable = [i for i, token in enumerate(self.tokens) if token.size > 1]

        def mutant() -> Genotype:
            index = rng.choice(variable)
            size = self.tokens[index].size
            value = (tokens[index] + rng.randrange(1, size)) % size
            return self.decode([*tokens[:index], value, *tokens[index + 1 :]])

        return self._accepted(mutant)

    def _accepted(self, draw: Callable[[], Genotype]) -> Genotype:
        """Draws until a genotype is not refused."""
        for _ in range(_MAX_REFUSED):
            reason = self.refusal(genotype := draw())
            if reason is None:
                return genotype
        raise GenotypeError(
            f"space {self} refuses {_MAX_REFUSED:,} genotypes in a row, expected one that can be "
            f"built; the last: {reason}"
        )

    def neighbours(self, genotype: Genotype) -> Iterator[Genotype]:
        """Yields every genotype that differs in exactly one token and is not refused."""
        tokens = self.encode(genotype)
        for index, token in enumerate(self.tokens):
            for value in range(token.size):
                if value != tokens[index]:
                    near = self.decode([*tokens[:index], value, *tokens[index + 1 :]])
                    if self.refusal(near) is None:
                        yield near


@cache
def argument_types(space: type[SearchSpace]) -> Mapping[str, Any]:
    """Returns the types of a space's arguments, with the ranges of their values."""
    hints = get_type_hints(space, include_extras=True)
    return {field.name: hints[field.name] for field in fields(space)}


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


def starts_with_list(part: Any) -> bool:
    """Returns whether a part of brackets is a list whose first entry is a list."""
    return isinstance(part, (list, tuple)) and bool(part) and isinstance(part[0], (list, tuple))


def distinct_networks(
    space: SearchSpace,
    *,
    samples: int = 1000,
    seed: int = 0,
    progress: Callable[[int], None] | None = None,
) -> tuple[float, float]:
    """Estimates the number of distinct networks and its standard error.

    A uniform token vector falls into a class of ``n`` vectors with probability proportional to
    ``n``, so the mean of ``1 / n`` is the number of classes divided by the number of vectors; a
    refused one counts 0.
    ``progress`` is called with the number of samples so far after each of them.
    """
    rng = random.Random(seed)
    shares = []
    for count in range(1, samples + 1):
        genotype = space.sample_any(rng)
        is_built = space.refusal(genotype) is None
        shares.append(1 / space.class_size(genotype) if is_built else 0.0)
        if progress is not None:
            progress(count)
    mean = math.fsum(shares) / samples
    variance = math.fsum((share - mean) ** 2 for share in shares) / max(1, samples - 1)
    return mean * space.size, math.sqrt(variance / samples) * space.size
