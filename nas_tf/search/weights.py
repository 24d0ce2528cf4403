"""Trained arrays of the best trials; no more than so many are kept."""

import io
from collections.abc import Iterable
from pathlib import Path
from struct import error as StructError
from zipfile import BadZipFile
from zlib import error as ZlibError

import numpy as np

from nas_tf import folders
from nas_tf.errors import DataError
from nas_tf.networks.arrays import layouts
from nas_tf.networks.blueprint import Blueprint
from nas_tf.networks.state import Arrays, State, to_arrays
from nas_tf.runs import TrialRecord, layout

# What NumPy raises of a file that is no archive, is cut off, or has other bytes within.
_DAMAGE = (
    *(ValueError, TypeError, KeyError, EOFError, RuntimeError),
    *(BadZipFile, StructError, ZlibError),
)


def learnt(blueprint: Blueprint, state: State) -> Arrays:
    """What a trial has trained: of one that stopped after stage one, the decoder."""
    parts = {part: one for part, one in layouts(blueprint).items() if part in state.trainable}
    return to_arrays(parts, state)


def keep(folder: Path, trial: str, blueprint: Blueprint, state: State) -> None:
    """Saves what a trial has trained."""
    arrays = learnt(blueprint, state)
    content = io.BytesIO()  # NumPy leaves its archive open where a disk is full
    np.savez(content, **{f"{layer}|{role}": value for (layer, role), value in arrays.items()})
    with folders.whole(path_of(folder, trial)) as partial:
        partial.write_bytes(content.getbuffer())


def read(folder: Path, trial: str) -> Arrays:
    """The arrays of a kept trial, by layer and role."""
    path = path_of(folder, trial)
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


def prune(folder: Path, trials: Iterable[TrialRecord], count: int) -> None:
    """Lets go of the arrays of all but the best; those of trials not yet written down stay."""
    kept = {path.stem: path for path in (folder / layout.WEIGHTS).glob("*.npz")}
    if not kept:
        return
    completed = (one for one in trials if one.status == "completed")
    ranked = sorted(completed, key=lambda one: -one.reward)
    for one in ranked[count:]:
        if one.trial in kept:
            kept[one.trial].unlink(missing_ok=True)


def path_of(folder: Path, trial: str) -> Path:
    """Where a trial's arrays are kept."""
    return folder / layout.WEIGHTS / f"{trial}.npz"
