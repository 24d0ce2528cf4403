"""Checkpoints of a training: the last two are kept, and the newest complete one is resumed."""

import logging
import shutil
from pathlib import Path
from typing import Any

import tensorflow as tf

from nas_tf import files
from nas_tf.errors import DataError, EnvironmentFault

_LOG = logging.getLogger("nas_tf")
_UNREADABLE = (
    tf.errors.DataLossError,
    tf.errors.NotFoundError,
    tf.errors.OutOfRangeError,
    tf.errors.InvalidArgumentError,
    IndexError,
    ValueError,
)


class Checkpoints:
    """Saves and restores variables, optimisers and the position in the run.

    Args:
        folder: Folder of the checkpoints; one process writes to it.
        tracked: Variables and optimisers to save, by names that stay the same.
        writes: False if another process writes the checkpoints, and this one only reads them.
    """

    def __init__(self, folder: Path, tracked: dict[str, Any], *, writes: bool = True) -> None:
        self._writes = writes
        self._saved = tf.train.Checkpoint(**tracked)
        self._manager = tf.train.CheckpointManager(self._saved, str(folder), max_to_keep=2)

    def save(self, step: int) -> None:
        """Writes a checkpoint, then removes the oldest; on a full disk nothing is left of it."""
        if not self._writes:
            return
        try:
            with files.reporting_full_disk(Path(self._manager.directory)):
                self._manager.save(checkpoint_number=step)
        except EnvironmentFault:
            self._remove_partial()
            raise

    def restore(self) -> bool:
        """Restores the newest complete checkpoint; returns False if there is none at all."""
        self._remove_partial()
        paths = list(reversed(self._manager.checkpoints))
        for path in paths:
            try:
                self._saved.restore(path).assert_existing_objects_matched()
            except (*_UNREADABLE, AssertionError) as error:
                _LOG.warning("checkpoint %s cannot be read (%s)", path, str(error).split("\n")[0])
                continue
            return True
        if paths:
            raise DataError(
                f"no checkpoint in {Path(paths[0]).parent} can be read or fits this network: "
                "remove the folder to start again"
            )
        return False

    def _remove_partial(self) -> None:
        """Removes what a killed process or a full disk has left of a checkpoint."""
        if not self._writes:
            return
        for partial in Path(self._manager.directory).glob("*_temp"):
            shutil.rmtree(partial, ignore_errors=True)
