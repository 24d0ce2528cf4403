"""Keras models of candidates: as a search draws them, and with what a candidate has learnt."""

import io
from collections.abc import Iterable
from pathlib import Path
from struct import error as StructError
from zipfile import BadZipFile
from zlib import error as ZlibError

import numpy as np
from tensorflow import keras

from nas_tf import folders, networks
from nas_tf.config.schema import Config
from nas_tf.errors import DataError
from nas_tf.genotype import Genotype
from nas_tf.networks import Settings
from nas_tf.networks.arrays import layouts
from nas_tf.networks.blueprint import Blueprint
from nas_tf.networks.heads import Head
from nas_tf.networks.state import Arrays, State, arrays_of_model, fill_model, to_arrays
from nas_tf.runs import TrialRecord, files
from nas_tf.tasks import Task
from nas_tf.training import from_config


def untrained(
    genotype: Genotype, task: Task, config: Config | None, weights: str | None
) -> keras.Model:
    """The model under the search's settings, for any image size where its space allows that.

    Without a configuration the settings are the paper's.
    """
    return networks.build(
        genotype,
        Head(task.name, task.channels),
        input_size=_size(genotype, config),
        settings=_settings(genotype, config),
        weights=weights,
    )


def fill(model: keras.Model, config: Config, learnt: Arrays) -> None:
    """Gives a model what its candidate has learnt, on the encoder that the features came from.

    Of a candidate that ended with stage one, only the decoder is learnt.
    """
    fill_model(model, arrays_of_model(model) | from_config.encoder_arrays(config) | learnt)


def _settings(genotype: Genotype, config: Config | None) -> Settings:
    if config is None:
        return networks.settings.search(genotype.space)
    return from_config.settings_for(config, "search")


def _size(genotype: Genotype, config: Config | None) -> tuple[int, int] | None:
    if config is None or genotype.space != "dpc":
        return None
    return from_config.reward_view(config).crop


# What NumPy raises of a file that is no archive, is cut off, or has other bytes within.
_DAMAGE = (
    *(ValueError, TypeError, KeyError, EOFError, RuntimeError),
    *(BadZipFile, StructError, ZlibError),
)


def trained_arrays(blueprint: Blueprint, state: State) -> Arrays:
    """What a trial has trained: of one that stopped after stage one, the decoder."""
    parts = {part: one for part, one in layouts(blueprint).items() if part in state.trainable}
    return to_arrays(parts, state)


def save_arrays(folder: Path, trial: str, blueprint: Blueprint, state: State) -> None:
    """Saves what a trial has trained."""
    arrays = trained_arrays(blueprint, state)
    content = io.BytesIO()  # NumPy leaves its archive open where a disk is full
    np.savez(content, **{f"{layer}|{role}": value for (layer, role), value in arrays.items()})
    with folders.atomic_file(arrays_path(folder, trial)) as partial:
        partial.write_bytes(content.getbuffer())


def read_arrays(folder: Path, trial: str) -> Arrays:
    """The arrays of a kept trial, by layer and role."""
    path = arrays_path(folder, trial)
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return {tuple(key.split("|")): arrays[key] for key in arrays.files}
    except (*_DAMAGE, OSError) as error:
        if getattr(error, "filename", None) is not None:  # the system's word: it can't be read
            raise
        raise DataError(
            f"{path} is damaged, expected the arrays that the search kept of trial {trial}: take "
            "another trial, or search again in another folder"
        ) from error


def prune_arrays(folder: Path, trials: Iterable[TrialRecord], count: int) -> None:
    """Lets go of the arrays of all but the best; those of trials not yet written down stay."""
    kept = {path.stem: path for path in (folder / files.WEIGHTS).glob("*.npz")}
    if not kept:
        return
    completed = (trial for trial in trials if trial.status == "completed")
    ranked = sorted(completed, key=lambda trial: -trial.reward)
    for trial in ranked[count:]:
        if trial.trial in kept:
            kept[trial.trial].unlink(missing_ok=True)


def arrays_path(folder: Path, trial: str) -> Path:
    """Where a trial's arrays are kept."""
    return folder / files.WEIGHTS / f"{trial}.npz"
