"""Progressive search: a part of the genotypes that an earlier run found, named as ``RUN#RANK``."""

import os
from pathlib import Path

from msgspec import structs

from nas_tf import spaces
from nas_tf.config.named_sections import Space
from nas_tf.config.schema import Config, Predecessor
from nas_tf.errors import ConfigError, GenotypeError, did_you_mean
from nas_tf.genotype import Genotype
from nas_tf.runs import Run, filenames
from nas_tf.spaces import PUBLISHED, SPACES


def resolved(config: Config) -> Config:
    """Returns the configuration with its space complete: brackets in place of runs and names.

    A saved configuration thus needs no other run; ``search.follows`` says which one it was.
    """
    if not isinstance(config.space, Space):
        return config
    section, follows = structs.asdict(config.space), config.search.follows
    for key in SPACES[section["name"]].fixed_parts:
        given = section[key]
        if given and given not in PUBLISHED and not given.startswith(("[", "(")):
            genotype, follows = _found(f"space.{key}", given, section["name"])
            section[key] = str(genotype)
    return structs.replace(
        config,
        space=spaces.get(section).section(),
        search=structs.replace(config.search, follows=follows),
    )


def _found(key: str, given: str, space: str) -> tuple[Genotype, Predecessor]:
    """Returns the genotype of a training, or of a search's trial by its rank, and where it is."""
    name, _, rank = given.rpartition("#")
    folder, number = (name, int(rank)) if name and rank.isdecimal() else (given, 1)
    path = Path(os.path.expanduser(folder))
    if os.path.exists(path / filenames.RUN):
        genotype, trial = _trial(key, Run(path), number)
    elif os.path.exists(path / filenames.GENOTYPE):
        genotype, trial = _trained(path / filenames.GENOTYPE), None
        if folder != given:
            raise ConfigError(f"{key}: {folder} is the folder of a training, expected no #{rank}")
    else:
        raise ConfigError(
            f"{key}: {folder[:200]!r} is not a folder of a search or a training, expected one "
            f"such as runs/NAME#1, a published name, or brackets{did_you_mean(given, PUBLISHED)}"
        )
    if genotype.space != space:
        raise ConfigError(f"{key}: {folder} is of space {genotype.space}, expected {space}")
    return genotype, Predecessor(run=str(path), trial=trial)


def _trial(key: str, run: Run, rank: int) -> tuple[Genotype, str]:
    count = len(run.completed)
    if not 1 <= rank <= count:
        expected = f"1 to {count}" if count else "a run with a completed trial"
        raise ConfigError(
            f"{key}: {run.folder} has {count} completed trials and none of rank {rank}, expected "
            f"{expected}"
        )
    trial = run.best(rank)[-1]
    return trial.parsed, trial.trial


def _trained(path: Path) -> Genotype:
    try:
        return Genotype.from_json(path.read_text(encoding="utf-8"))
    except (GenotypeError, ValueError) as error:
        raise GenotypeError(f"{path} is damaged: {error}") from error
