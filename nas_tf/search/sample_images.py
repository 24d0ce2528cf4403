"""``samples.png``: images of meta-val, their truth, and what the best so far predicts."""

import io
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from filelock import FileLock
from PIL import Image

from nas_tf.genotype import Genotype
from nas_tf.networks.blueprint import Blueprint
from nas_tf.networks.state import State
from nas_tf.runs import TrialRecord, files
from nas_tf.runs.trial_store import TrialStore
from nas_tf.search import tensorboard_log
from nas_tf.spaces import SearchSpace
from nas_tf.training import from_config
from nas_tf.training.prediction_sheet import ROWS, examples_picture
from nas_tf.training.scoring import Split, shipped
from nas_tf.training.shared_data import SharedData
from nas_tf.training.two_stage import TwoStage

LEAST_WIDTH, MOST_WIDTH = 480, 960
_LOCK = ".samples.lock"

Scored = tuple[Blueprint, State]
"""The network that a candidate was scored with last, or its decoder, and what it has learnt."""


def show(
    folder: Path, shelf: TrialStore, trial: TrialRecord, ground: SharedData, scored: Scored
) -> np.ndarray | None:
    """Draws a trial that is on the shelf, if none there is better; returns what it drew.

    Workers that end at once draw one after another, and each looks again when it is its turn: the
    picture that stays is of the best.
    """
    if not _is_best(shelf, trial):
        return None
    with FileLock(folder / _LOCK):
        if not _is_best(shelf, trial):
            return None
        picture = render(ground, trial.parsed, scored)
        content = io.BytesIO()
        Image.fromarray(picture).save(content, "png", optimize=True)
        files.write_bytes_atomically(folder / files.SAMPLES, content.getvalue())
        return picture


def render(ground: SharedData, genotype: Genotype, scored: Scored) -> np.ndarray:
    """Images, truths and predictions, as RGB bytes of a size to look at.

    One batch is not worth the tracing of a graph, so it is computed operation by operation.
    """
    view, task, state = ground.reward_view, ground.task, scored[1]
    whole = from_config.drawer(ground.config, genotype, "search")(view.crop)
    if "encoder" not in state.trainable:
        state = ground.with_encoder(whole, state)
    network = shipped(whole, state)
    chosen = Split(ground.examples, view, tuple(ground.meta_val)).spread(ROWS)
    predictions = (
        (images, target, network(images)) for images, target in chosen.batches(task, ROWS)
    )
    return _fitted(examples_picture(task, predictions))


def _is_best(shelf: TrialStore, trial: TrialRecord) -> bool:
    """Of equals the first is the best, as everywhere."""
    completed = [trial for trial in shelf.all() if trial.status == "completed"]
    best = max(completed, key=lambda trial: trial.reward, default=None)
    return best is not None and best.trial == trial.trial


def _fitted(picture: np.ndarray) -> np.ndarray:
    """Small crops magnified pixel by pixel, large ones made smaller."""
    height, width = picture.shape[:2]
    if width < LEAST_WIDTH:
        times = -(-LEAST_WIDTH // width)
        return picture.repeat(times, 0).repeat(times, 1)
    if width <= MOST_WIDTH:
        return picture
    size = MOST_WIDTH, round(height * MOST_WIDTH / width)
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BOX))


class TrialViews:
    """That of one worker.

    Args:
        folder: Of the run.
        worker: Its name.
        space: What is searched.
        shelf: The finished trials of all workers.
    """

    def __init__(self, folder: Path, worker: str, space: SearchSpace, shelf: TrialStore) -> None:
        self._folder, self._worker, self._space, self._shelf = folder, worker, space, shelf
        self._board: tensorboard_log.TensorBoardLog | None = None

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
                picture = show(self._folder, self._shelf, trial, evaluator.ground, scored)
            if evaluator.config.search.tensorboard and tensorboard_log.is_installed():
                if self._board is None:
                    self._board = tensorboard_log.TensorBoardLog(
                        self._folder, self._worker, self._space
                    )
                self._board.add(records, trial, picture)
        except Exception as error:
            warnings.warn(f"trial {trial.trial} can't be shown: {error}", stacklevel=2)
