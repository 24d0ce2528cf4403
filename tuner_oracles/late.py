"""Hyperparameters that come up after a search has begun, which it could not decide.

KerasTuner's own oracles take such a one up; these decide a fixed list, so it is refused by name.
"""

import itertools
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any

import keras_tuner as kt

from tuner_oracles.tokens import SpaceError


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
