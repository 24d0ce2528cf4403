"""Begins a search with what another run has found."""

from pathlib import Path

from nas_tf.errors import ConfigError
from nas_tf.runs import Run
from nas_tf.spaces import SearchSpace


def first(source: Path, space: SearchSpace, count: int) -> list[dict[str, int]]:
    """The tokens of a run's best trials, best first, as an oracle's ``first``.

    They are evaluated anew: another data set or longer training has other rewards.
    """
    run = Run(source)
    if run.about["space"] != space.name:
        raise ConfigError(
            f"{source} searched space {run.about['space']}, expected a run of {space.name} to "
            "begin with"
        )
    if not (best := run.best(count)):
        raise ConfigError(f"{source} has no completed trial to begin with")
    names = [token.name for token in space.tokens]
    return [dict(zip(names, space.encode(one.parsed), strict=True)) for one in best]
