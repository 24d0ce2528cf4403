"""Reads which runs of a progressive search build on which: pyramids first, then heads on one."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nas_tf.errors import DataError
from nas_tf.runs import filenames
from nas_tf.runs.load import Run
from nas_tf.runs.record import TrialRecord

_FOLDER, _TRIAL = "search.follows.run", "search.follows.trial"


@dataclass(frozen=True)
class Origin:
    """The folder that a run's fixed part came from, and the trial; a training has none."""

    folder: Path
    trial: str | None

    @property
    def record(self) -> TrialRecord | None:
        """The record of the trial, if the folder is still there."""
        try:
            trials = Run(self.folder).trials
        except DataError:
            return None
        return next((trial for trial in trials if trial.trial == self.trial), None)


def origin(run: Run) -> Origin | None:
    """Returns where the fixed part of a run's space came from; None if no run gave it.

    A folder that was moved together with the run is found next to it.
    """
    folder = run.settings.get(_FOLDER)
    if folder is None:
        return None
    moved = run.folder.resolve().parent / Path(folder).name
    found = Path(folder) if Path(folder).exists() else moved
    return Origin(found if found.exists() else Path(folder), run.settings.get(_TRIAL))


def successors(run: Run) -> Iterator[Run]:
    """Yields the runs in the same folder as this one that build on it, by name."""
    here = run.folder.resolve()
    for config in sorted(here.parent.glob(f"*/{filenames.CONFIG}")):
        try:
            if here.name not in config.read_text(encoding="utf-8"):  # parsing takes longer
                continue
            other = Run(config.parent)
        except (DataError, OSError, ValueError):
            continue
        found = origin(other)
        if found is not None and found.folder.resolve() == here:
            yield other
