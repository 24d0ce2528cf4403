"""The arrays that a search saves of its best trials."""

from pathlib import Path
from struct import error as StructError
from zipfile import BadZipFile
from zlib import error as ZlibError

import numpy as np

from nas_tf.errors import DataError
from nas_tf.runs import filenames

# The errors that NumPy raises on a file that is no archive, is truncated, or has changed bytes.
_DAMAGE = (
    *(ValueError, TypeError, KeyError, EOFError, RuntimeError),
    *(BadZipFile, StructError, ZlibError),
)


def arrays_path(folder: Path, trial: str) -> Path:
    """Returns the path of a trial's arrays."""
    return folder / filenames.WEIGHTS / f"{trial}.npz"


def read_arrays(folder: Path, trial: str) -> dict[tuple[str, ...], np.ndarray]:
    """Reads the saved arrays of a trial, by layer and role."""
    path = arrays_path(folder, trial)
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return {tuple(key.split("|")): arrays[key] for key in arrays.files}
    except (*_DAMAGE, OSError) as error:
        if getattr(error, "filename", None) is not None:  # from the system: it can't be read
            raise
        raise DataError(
            f"{path} is damaged, expected the arrays that the search saved of trial {trial}: take "
            "another trial, or search again in another folder"
        ) from error
