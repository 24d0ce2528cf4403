"""A picture of a network's predictions: image, target and prediction of a few examples."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import tensorflow as tf

from nas_tf.networks.state import State
from nas_tf.tasks import Outputs, Task
from nas_tf.training.scoring import Scorer, Split

ROWS = 4
_GAP = 4


def predictions_picture(task: Task, scorer: Scorer, state: State, split: Split) -> np.ndarray:
    """Returns a picture with a row for each of a few examples from all over the split."""
    return examples_picture(task, scorer.predictions(state, split.spread(ROWS)))


def examples_picture(
    task: Task, predictions: Iterable[tuple[tf.Tensor, Any, Outputs]]
) -> np.ndarray:
    """Returns a picture with a row per example from batches of images, raw targets and outputs."""
    rows: list[np.ndarray] = []
    for images, target, outputs in predictions:
        for n in range(len(images)):
            raw = {k: v[n] for k, v in target.items()} if isinstance(target, dict) else target[n]
            own = {name: values[n] for name, values in outputs.items()}
            row = task.picture(images[n].numpy(), raw, own)
            rows += [row, np.full((_GAP, *row.shape[1:]), 255, np.uint8)]
    return np.concatenate(rows[:-1])
