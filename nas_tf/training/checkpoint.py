"""Checkpoints of a training: the last two are kept, and the newest complete one is resumed."""

import logging
import re
import shutil
from pathlib import Path
from typing import Any

import tensorflow as tf

from nas_tf import files
from nas_tf.errors import DataError, EnvironmentFault

_LOG = logging.getLogger("nas_tf")
_UNREADABLE = (tf.errors.OpError, IndexError, ValueError, AssertionError)
_KEPT = 2
_NAME = re.compile(r"ckpt-(\d+)\.index")


class Checkpoints:
    """Saves and restores variables, optimisers and the position in the run.

    Args:
        folder: Folder of the checkpoints; one process writes to it.
        tracked: Variables and optimisers to save, by names that stay the same.
        writes: False if another process writes the checkpoints, and this one only reads them.
    """

    def __init__(self, folder: Path, tracked: dict[str, Any], *, writes: bool = True) -> None:
        self._folder, self._writes = folder, writes
        self._saved = tf.train.Checkpoint(**tracked)
        if writes:
            self._manager = self._opened()

    def save(self, step: int) -> None:
        """Writes a checkpoint, then removes the oldest; on a full disk nothing is left of it."""
        if not self._writes:
            return
        try:
            with files.reporting_full_disk(self._folder):
                self._manager.save(checkpoint_number=step)
                self._remove_old()
        except EnvironmentFault:
            self._remove_partial()
            raise

    def restore(self) -> bool:
        """Restores the newest complete checkpoint; returns False if there is none at all."""
        self._remove_partial()
        names = self._complete()
        with files.without_wildcards(self._folder) as folder:
            for name in reversed(names):
                try:
                    saved = self._saved.restore(str(folder / name))
                    saved.assert_existing_objects_matched()
                except _UNREADABLE as error:
                    reason = str(error).split("\n")[0]
                    _LOG.warning("checkpoint %s cannot be read (%s)", self._folder / name, reason)
                    continue
                return True
        if names:
            raise DataError(
                f"no checkpoint in {self._folder} can be read or fits this network: "
                "remove the folder to start again"
            )
        return False

    def _complete(self) -> list[str]:
        """Returns the names of the checkpoints whose files are there, the newest last."""
        names = (_NAME.fullmatch(path.name) for path in self._folder.glob("ckpt-*.index"))
        numbers = sorted(int(name[1]) for name in names if name)
        return [f"ckpt-{number}" for number in numbers]

    def _opened(self) -> tf.train.CheckpointManager:
        """Returns what writes checkpoints; its list of them is not read, and may be damaged."""
        try:
            return tf.train.CheckpointManager(self._saved, str(self._folder), max_to_keep=_KEPT)
        except ValueError:
            (self._folder / "checkpoint").unlink()
            return self._opened()

    def _remove_old(self) -> None:
        """Removes those that the manager's list has lost."""
        for name in self._complete()[:-_KEPT]:
            for file in self._folder.glob(f"{name}.*"):
                file.unlink()

    def _remove_partial(self) -> None:
        """Removes what a killed process or a full disk has left of a checkpoint."""
        if self._writes:
            for partial in self._folder.glob("*_temp"):
                shutil.rmtree(partial, ignore_errors=True)
