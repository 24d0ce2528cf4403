"""Builds Keras models of candidates, and saves the arrays that they have learnt."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tensorflow import keras

from nas_tf import files, networks, spaces
from nas_tf.config.schema import Config
from nas_tf.genotype import Genotype
from nas_tf.networks import Settings
from nas_tf.networks.arrays import layouts
from nas_tf.networks.blueprint import Blueprint
from nas_tf.networks.state import Arrays, State, arrays_of_model, fill_model, to_arrays
from nas_tf.runs import TrialRecord, filenames, record, saved_arrays
from nas_tf.tasks import Task
from nas_tf.training import from_config


def untrained(
    genotype: Genotype, task: Task, config: Config | None, weights: str | None
) -> keras.Model:
    """Builds the model under the search's settings, for any image size if its space allows that.

    Without a configuration the settings are the paper's.
    """
    return networks.build(
        genotype,
        task.head,
        input_size=_size(genotype, config),
        settings=_settings(genotype, config),
        weights=weights if spaces.get(genotype.space).taps else None,
    )


def fill(model: keras.Model, config: Config, learnt: Arrays) -> None:
    """Loads what a candidate has learnt into its model, on the encoder that made the features.

    A candidate that ended with stage one has learnt its decoder only.
    """
    fill_model(model, arrays_of_model(model) | from_config.encoder_arrays(config) | learnt)


def _settings(genotype: Genotype, config: Config | None) -> Settings:
    if config is None:
        return networks.settings.search(genotype.space)
    return from_config.settings_for(config, "search")


def _size(genotype: Genotype, config: Config | None) -> tuple[int, int] | None:
    if config is None or not spaces.get(genotype.space).fixed_size:
        return None
    return from_config.reward_view(config).crop


def trained_arrays(blueprint: Blueprint, state: State) -> Arrays:
    """Returns the arrays that a trial has trained: the decoder's alone if it had one stage."""
    trained = {
        part: layout for part, layout in layouts(blueprint).items() if part in state.trainable
    }
    return to_arrays(trained, state)


def save_arrays(folder: Path, trial: str, blueprint: Blueprint, state: State) -> None:
    """Saves the arrays that a trial has trained."""
    arrays = trained_arrays(blueprint, state)
    content = io.BytesIO()  # NumPy leaves its archive open if the disk is full
    np.savez(content, **{f"{layer}|{role}": value for (layer, role), value in arrays.items()})
    with files.atomic(saved_arrays.arrays_path(folder, trial)) as partial:
        partial.write_bytes(content.getbuffer())


def prune_arrays(folder: Path, trials: Sequence[TrialRecord], count: int) -> None:
    """Deletes the arrays of all but the best ``count``; those of unrecorded trials stay."""
    saved = {path.stem: path for path in (folder / filenames.WEIGHTS).glob("*.npz")}
    if not saved:
        return
    kept = {trial.trial for trial in record.ranked(trials)[:count]}
    for trial in trials:
        if not trial.failed and trial.trial in saved and trial.trial not in kept:
            saved[trial.trial].unlink(missing_ok=True)
