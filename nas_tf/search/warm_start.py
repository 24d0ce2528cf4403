"""Reads the best genotypes of another run, as the first trials of a search."""

from pathlib import Path

from nas_tf import spaces
from nas_tf.errors import ConfigError, DataError, NasTfError
from nas_tf.genotype import Genotype
from nas_tf.runs import Run, TrialRecord, record
from nas_tf.spaces import SearchSpace


def first(source: Path, space: SearchSpace, count: int) -> list[dict[str, int]]:
    """Returns the tokens of a run's best networks, best first, as an oracle's ``first``.

    They are evaluated again: another data set or longer training has other rewards.
    """
    run = Run(source)
    searched = spaces.get(run.info.space)
    if searched != space:
        raise ConfigError(
            f"{source} searched space {searched}, expected a run of {space} to start from"
        )
    names = [token.name for token in space.tokens]
    found: dict[Genotype, dict[str, int]] = {}
    for trial in run.best(len(run.trials)):
        tokens, network = _read(source, space, trial)
        found.setdefault(network, dict(zip(names, tokens, strict=True)))
        if len(found) == count:
            break
    if not found:
        raise ConfigError(f"{source} has no completed trial to start from")
    return list(found.values())


def _read(source: Path, space: SearchSpace, trial: TrialRecord) -> tuple[list[int], Genotype]:
    """Returns a trial's tokens, and the canonical genotype of its network."""
    try:
        return space.encode(trial.parsed), space.canonical(trial.parsed)
    except (NasTfError, TypeError, ValueError, LookupError) as error:
        path = record.path_of(source, trial.trial)
        raise DataError(
            f"{path} holds no genotype of space {space.name}: {error}; put back a copy"
        ) from error
