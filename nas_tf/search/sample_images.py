"""Writes ``samples.png``: images of meta-val, their truth, and the best trial's predictions."""

import io
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from filelock import FileLock
from PIL import Image

from nas_tf import files
from nas_tf.genotype import Genotype
from nas_tf.networks.blueprint import Blueprint
from nas_tf.networks.state import State
from nas_tf.runs import TrialRecord, filenames
from nas_tf.runs.trial_store import TrialStore
from nas_tf.search import tensorboard_log
from nas_tf.search.one_shot import OneShot
from nas_tf.spaces import SearchSpace
from nas_tf.training import from_config
from nas_tf.training.prediction_sheet import ROWS, examples_picture
from nas_tf.training.scoring import Split, shipped
from nas_tf.training.shared_data import SharedData
from nas_tf.training.two_stage import TwoStage

LEAST_WIDTH, MOST_WIDTH = 480, 960
_LOCK = ".samples.lock"

Scored = tuple[Blueprint, State]
"""The blueprint that was scored last, a network or its decoder, and its trained state."""


def show(
    folder: Path, store: TrialStore, trial: TrialRecord, shared: SharedData, scored: Scored
) -> np.ndarray | None:
    """Writes the picture of a stored trial if it is the best; returns the picture, or None.

    Workers whose trials end together write one after another, and each checks again under the
    lock: the picture that stays is of the best.
    """
    if not _is_best(store, trial):
        return None
    with FileLock(folder / _LOCK):
        if not _is_best(store, trial):
            return None
        picture = render(shared, trial.parsed, scored)
        content = io.BytesIO()
        Image.fromarray(picture).save(content, "png", optimize=True)
        files.write(folder / filenames.SAMPLES, content.getvalue())
        return picture


def render(shared: SharedData, genotype: Genotype, scored: Scored) -> np.ndarray:
    """Renders images, truths and predictions as RGB bytes at a viewable size.

    Tracing a graph is not worth it for one batch, which is computed eagerly.
    """
    view, task, state = shared.reward_view, shared.task, scored[1]
    blueprint = from_config.blueprint_builder(shared.config, genotype, "search")(view.crop)
    if "encoder" not in state.trainable:
        state = shared.with_encoder(blueprint, state)
    network = shipped(blueprint, state)
    chosen = Split(shared.examples, view, tuple(shared.meta_val)).spread(ROWS)
    predictions = (
        (images, target, network(images)) for images, target in chosen.batches(task, ROWS)
    )
    return _fitted(examples_picture(task, predictions))


def _is_best(store: TrialStore, trial: TrialRecord) -> bool:
    """Returns whether the trial is the best; of equals the first is, as everywhere."""
    completed = [trial for trial in store.all() if not trial.failed]
    best = max(completed, key=lambda trial: trial.reward, default=None)
    return best is not None and best.trial == trial.trial


def _fitted(picture: np.ndarray) -> np.ndarray:
    """Magnifies small pictures pixel by pixel, and shrinks large ones."""
    height, width = picture.shape[:2]
    if width < LEAST_WIDTH:
        factor = -(-LEAST_WIDTH // width)
        return picture.repeat(factor, 0).repeat(factor, 1)
    if width <= MOST_WIDTH:
        return picture
    size = MOST_WIDTH, round(height * MOST_WIDTH / width)
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BOX))


class TrialViews:
    """Shows one worker's trials: in ``samples.png``, shared by all workers, and in TensorBoard.

    Args:
        folder: The run's folder.
        worker: The worker's name.
        space: The search space.
        store: The finished trials of all workers.
    """

    def __init__(self, folder: Path, worker: str, space: SearchSpace, store: TrialStore) -> None:
        self._folder, self._worker, self._space, self._store = folder, worker, space, store
        self._log: tensorboard_log.TensorBoardLog | None = None

    def show(
        self,
        trial: TrialRecord,
        records: Sequence[TrialRecord],
        evaluator: TwoStage | OneShot,
        scored: Scored | None,
    ) -> None:
        """Shows a trial, one of all records; an error only warns, and does not fail the trial."""
        try:
            picture = None
            if scored is not None and isinstance(evaluator, TwoStage):
                picture = show(self._folder, self._store, trial, evaluator.shared, scored)
            if evaluator.config.search.tensorboard and tensorboard_log.is_installed():
                if self._log is None:
                    self._log = tensorboard_log.TensorBoardLog(
                        self._folder, self._worker, self._space
                    )
                self._log.add(records, trial, picture)
        except Exception as error:
            warnings.warn(f"trial {trial.trial} can't be shown: {error}", stacklevel=2)
