"""Tokens: translates HyperParameters to token vectors and back, and refuses late ones.

A token is one decision: the index of a hyperparameter's value in its vocabulary. The tokens of a
search are fixed when it starts, so a hyperparameter that only some builds of the model ask for
("late") is refused: before the search at the ends of the space, and in each trial before training.
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

MAX_VALUES = 1000


class SpaceError(kt.errors.FatalValueError):
    """A search space, or a value in it, that an oracle of tokens can't work with.

    KerasTuner ends the search on this error instead of counting a failed trial.
    """


@dataclass(frozen=True)
class Token:
    """One decision: a hyperparameter's name and the values it may take, in order."""

    name: str
    values: tuple[Any, ...]

    @property
    def kind(self) -> str:
        """The name without its numbers: tokens of the same kind and vocabulary share a head."""
        return re.sub(r"\d+", "", self.name)


class Tokens:
    """A static list of discrete hyperparameters, represented as a vector of tokens.

    Hyperparameters of a single value decide nothing and take no token; ``values`` fills in
    their value. Instances never change after construction, so threads may share them::

        tokens = Tokens(hyperparameters)
        assert tokens.vector(tokens.values([0] * len(tokens.sizes))) == (0,) * len(tokens.sizes)
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
        """The number of values of each token."""
        return tuple(len(token.values) for token in self.tokens)

    @cached_property
    def size(self) -> int:
        """The number of token vectors."""
        return math.prod(self.sizes)

    def values(self, vector: Sequence[int]) -> dict[str, Any]:
        """Returns the values of all hyperparameters for a token vector, in declared order."""
        chosen = {
            token.name: token.values[index]
            for token, index in zip(self.tokens, vector, strict=True)
        }
        return self._first | chosen

    def vector(self, values: Mapping[str, Any]) -> tuple[int, ...]:
        """Returns the token vector of hyperparameter values; the inverse of ``values``."""
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
    """Returns all values of a hyperparameter; raises a clear error if they can't be listed."""
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
    if len(values) > MAX_VALUES:
        raise SpaceError(
            f"hyperparameter {hp.name!r} has {len(values)} values, expected {MAX_VALUES} at most: "
            "give it a larger step"
        )
    return tuple(dict.fromkeys(values))


def _scopes(hp: Any) -> list[str]:
    return [f"{condition.name} in {condition.values}" for condition in hp.conditions]


def hyperparameter_names(hyperparameters: kt.HyperParameters) -> list[str]:
    """Returns the names of the hyperparameters that were requested, in order."""
    return [hp.name for hp in hyperparameters.space]


def refuse_late(requested: Iterable[str], known: Iterable[str]) -> None:
    """Raises ``SpaceError`` if a requested hyperparameter is not known to the search."""
    if late := [name for name in dict.fromkeys(requested) if name not in set(known)]:
        raise SpaceError(
            f"not every build asks for {', '.join(map(repr, late))}, so the search can't decide "
            "this: ask for every hyperparameter in each build, also where it does not apply, as "
            "with layers = hp.Int('layers', 1, 6) and "
            "acts = [hp.Choice(f'act{i}', ['relu', 'tanh']) for i in range(6)]"
        )


def refuse_late_at_ends(build: Callable[[Any], Any], ends: Sequence[kt.HyperParameters]) -> None:
    """Builds a model at the ends of a space and refuses hyperparameters that appear there.

    An exception in a build is ignored here: the trial that proposes these values reports it.
    """
    known = hyperparameter_names(ends[0])
    for values in ends:
        with suppress(Exception):
            build(values)
    refuse_late(itertools.chain.from_iterable(map(hyperparameter_names, ends)), known)


def refuse_late_in_builds(
    tuner: kt.engine.base_tuner.BaseTuner, known: Callable[[], Iterable[str]]
) -> None:
    """Wraps ``build`` of a tuner's hypermodel to refuse late hyperparameters before training."""
    build = tuner.hypermodel.build

    def checked(hyperparameters: kt.HyperParameters) -> Any:
        model = build(hyperparameters)
        refuse_late(hyperparameter_names(hyperparameters), known())
        return model

    tuner.hypermodel.build = checked
