"""What is shown of trials as they end: the picture of the best, and TensorBoard."""

import warnings
from collections.abc import Sequence
from pathlib import Path

from nas_tf.runs import TrialRecord
from nas_tf.runs.shelf import Shelf
from nas_tf.search import board, samples
from nas_tf.search.samples import Scored
from nas_tf.spaces import SearchSpace
from nas_tf.training.two_stage import TwoStage


class Showcase:
    """That of one worker.

    Args:
        folder: Of the run.
        worker: Its name.
        space: What is searched.
        shelf: The finished trials of all workers.
    """

    def __init__(self, folder: Path, worker: str, space: SearchSpace, shelf: Shelf) -> None:
        self._folder, self._worker, self._space, self._shelf = folder, worker, space, shelf
        self._board: board.Board | None = None

    def show(
        self,
        trial: TrialRecord,
        records: Sequence[TrialRecord],
        evaluator: TwoStage,
        scored: Scored | None,
    ) -> None:
        """Shows a trial, one of all records; what goes wrong with it is not worth a trial."""
        try:
            picture = None
            if scored is not None:
                picture = samples.show(self._folder, self._shelf, trial, evaluator.ground, scored)
            if evaluator.config.search.tensorboard and board.possible():
                if self._board is None:
                    self._board = board.Board(self._folder, self._worker, self._space)
                self._board.add(records, trial, picture)
        except Exception as error:
            warnings.warn(f"trial {trial.trial} can't be shown: {error}", stacklevel=2)
