"""HyperParameters to token vectors and back: the only translator between the two.

A token is one decision: the index of a hyperparameter's value in its vocabulary.
"""

import itertools
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import keras_tuner as kt

LARGEST = 1000


class SpaceError(kt.errors.FatalValueError):
    """A search space, or a value in it, that an oracle of tokens can't work with.

    KerasTuner ends the search on it: it is no trial's failure.
    """


@dataclass(frozen=True)
class Token:
    """One decision: a hyperparameter's name and the values it may take, in order."""

    name: str
    values: tuple[Any, ...]

    @property
    def kind(self) -> str:
        """The name without its numbers: tokens of one kind and vocabulary share a head."""
        return re.sub(r"\d+", "", self.name)


class Tokens:
    """A static list of discrete hyperparameters, seen as a vector of tokens.

    Hyperparameters of a single value decide nothing and take no token; their value is
    filled in by ``values``.
    """

    def __init__(self, hyperparameters: kt.HyperParameters) -> None:
        if not hyperparameters.space:
            raise SpaceError(
                "there are no hyperparameters to search: pass hyperparameters= to the oracle, "
                "or give the tuner a HyperModel whose build() asks for some"
            )
        everything = [Token(hp.name, vocabulary(hp)) for hp in hyperparameters.space]
        self.tokens = tuple(token for token in everything if len(token.values) > 1)
        self._first = {token.name: token.values[0] for token in everything}

    @property
    def sizes(self) -> tuple[int, ...]:
        """How many values each token may take."""
        return tuple(len(token.values) for token in self.tokens)

    @cached_property
    def size(self) -> int:
        """How many token vectors there are."""
        return math.prod(self.sizes)

    def values(self, vector: Sequence[int]) -> dict[str, Any]:
        """The hyperparameter values a token vector spells, all of them, in declared order."""
        chosen = {
            token.name: token.values[index]
            for token, index in zip(self.tokens, vector, strict=True)
        }
        return self._first | chosen

    def vector(self, values: Mapping[str, Any]) -> tuple[int, ...]:
        """The token vector of hyperparameter values; the inverse of ``values``."""
        return tuple(self._index(token, values) for token in self.tokens)

    def _index(self, token: Token, values: Mapping[str, Any]) -> int:
        if token.name not in values:
            raise SpaceError(f"no value for hyperparameter {token.name!r}")
        if values[token.name] not in token.values:
            raise SpaceError(
                f"hyperparameter {token.name!r} is {values[token.name]!r}, expected one of "
                f"{', '.join(map(repr, token.values))}"
            )
        return token.values.index(values[token.name])


def vocabulary(hp: Any) -> tuple[Any, ...]:
    """All values of one hyperparameter, or a clear error where they can't be listed."""
    if hp.conditions:
        raise SpaceError(
            f"hyperparameter {hp.name!r} is conditional ({', '.join(map(str, _scopes(hp)))}), "
            "and these oracles decide a fixed list: ask for it unconditionally and ignore it "
            "where it does not apply"
        )
    if isinstance(hp, kt.engine.hyperparameters.Float) and hp.step is None:
        raise SpaceError(
            f"hyperparameter {hp.name!r} is a continuous range ({hp.min_value}–{hp.max_value}): "
            "give it a step, or use hp.Choice"
        )
    if isinstance(hp, kt.engine.hyperparameters.Int) and hp.step is None:
        values = tuple(range(hp.min_value, hp.max_value + 1))
    else:
        values = tuple(hp.values)
    if len(values) > LARGEST:
        raise SpaceError(
            f"hyperparameter {hp.name!r} has {len(values)} values, expected {LARGEST} at most: "
            "give it a larger step"
        )
    return tuple(dict.fromkeys(values))


def _scopes(hp: Any) -> list[str]:
    return [f"{condition.name} in {condition.values}" for condition in hp.conditions]


def names(hyperparameters: kt.HyperParameters) -> list[str]:
    """The names of the hyperparameters that were asked for, in order."""
    return [hp.name for hp in hyperparameters.space]


def refuse(asked: Iterable[str], known: Iterable[str]) -> None:
    """Raises if something is asked for that a search does not know."""
    if new := [name for name in dict.fromkeys(asked) if name not in set(known)]:
        raise SpaceError(
            f"not every build asks for {', '.join(map(repr, new))}, so the search can't decide "
            "this: ask for every hyperparameter in each build, also where it does not apply, as "
            "with layers = hp.Int('layers', 1, 6) and "
            "acts = [hp.Choice(f'act{i}', ['relu', 'tanh']) for i in range(6)]"
        )


def refuse_before(build: Callable[[Any], Any], ends: Sequence[kt.HyperParameters]) -> None:
    """Builds at the ends of a space, and raises if that asks for something new.

    A build that fails is left to the trial that proposes it.
    """
    known = names(ends[0])
    for values in ends:
        with suppress(Exception):
            build(values)
    refuse(itertools.chain.from_iterable(map(names, ends)), known)


def watch(tuner: kt.engine.base_tuner.BaseTuner, known: Callable[[], Iterable[str]]) -> None:
    """Has a tuner's hypermodel raise before it trains what asks for something new."""
    build = tuner.hypermodel.build

    def watched(hyperparameters: kt.HyperParameters) -> Any:
        built = build(hyperparameters)
        refuse(names(hyperparameters), known())
        return built

    tuner.hypermodel.build = watched
