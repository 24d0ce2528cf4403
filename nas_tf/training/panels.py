"""What a network predicts, as a picture: image, truth and prediction of a few examples."""

import numpy as np

from nas_tf.networks.state import State
from nas_tf.tasks import Task
from nas_tf.training.scoring import Scorer, Split

_ROWS = 4


def predictions_picture(task: Task, scorer: Scorer, state: State, split: Split) -> np.ndarray:
    """One row an example, spread over the split."""
    chosen = split.spread(_ROWS)
    rows = []
    for images, target, logits in scorer.predictions(state, chosen):
        for n in range(len(images)):
            one = {k: v[n] for k, v in target.items()} if isinstance(target, dict) else target[n]
            rows.append(task.picture(images[n].numpy(), one, logits[n].numpy()))
    return np.concatenate(rows)
