"""``samples.png``: images of meta-val, their truth, and what the best so far predicts."""

import io
from pathlib import Path

import numpy as np
from filelock import FileLock
from PIL import Image

from nas_tf.genotype import Genotype
from nas_tf.networks.blueprint import Blueprint
from nas_tf.networks.state import State
from nas_tf.runs import TrialRecord, layout
from nas_tf.runs.shelf import Shelf
from nas_tf.training import experiment
from nas_tf.training.groundwork import Groundwork
from nas_tf.training.panels import ROWS, examples_picture
from nas_tf.training.scoring import Split, shipped

LEAST_WIDTH, MOST_WIDTH = 480, 960
_LOCK = ".samples.lock"

Scored = tuple[Blueprint, State]
"""The network that a candidate was scored with last, or its decoder, and what it has learnt."""


def show(
    folder: Path, shelf: Shelf, trial: TrialRecord, ground: Groundwork, scored: Scored
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
        picture = draw(ground, trial.parsed, scored)
        content = io.BytesIO()
        Image.fromarray(picture).save(content, "png", optimize=True)
        layout.write_whole_bytes(folder / layout.SAMPLES, content.getvalue())
        return picture


def draw(ground: Groundwork, genotype: Genotype, scored: Scored) -> np.ndarray:
    """Images, truths and predictions, as RGB bytes of a size to look at.

    One batch is not worth the tracing of a graph, so it is computed operation by operation.
    """
    view, task, state = ground.reward_view, ground.task, scored[1]
    whole = experiment.drawer(ground.config, genotype, "search")(view.crop)
    if "encoder" not in state.trainable:
        state = ground.with_encoder(whole, state)
    network = shipped(whole, state)
    chosen = Split(ground.examples, view, tuple(ground.meta_val)).spread(ROWS)
    predictions = (
        (images, target, network(images)) for images, target in chosen.batches(task, ROWS)
    )
    return _fitted(examples_picture(task, predictions))


def _is_best(shelf: Shelf, trial: TrialRecord) -> bool:
    """Of equals the first is the best, as everywhere."""
    completed = [one for one in shelf.all() if one.status == "completed"]
    best = max(completed, key=lambda one: one.reward, default=None)
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
