"""Answers for complete pictures of any size, from anything that runs the network."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from nas_tf import tasks
from nas_tf.input_geometry import InputGeometry
from nas_tf.tasks import Answer

Ask = Callable[[np.ndarray], Answer]
"""A function from uint8 images [batch, height, width, 3], of the network's size, to answers."""
_BATCH = 8
"""The number of windows of the input's size in a request; larger parts are sent one by one."""


def answer(ask: Ask, about: Mapping[str, Any], picture: np.ndarray) -> Answer:
    """Returns the primary answer to a picture [height, width, 3], at its own size.

    The signature ``image_bytes`` computes the same from a file. ``ask`` may be a SavedModel, a
    TFLite or ONNX model, or an endpoint: ``lambda images: client.predict(images)``. If the task is
    not one of ``nas_tf.tasks.TASKS``, the answers to the picture's windows are returned.

    Args:
        ask: The function that returns the network's answers.
        about: The model's metadata.
        picture: Upright RGB bytes.
    """
    geometry = InputGeometry.of(about)
    windows = geometry.cut(picture).numpy()
    batch = 1 if geometry.any_size else _BATCH
    parts = [ask(windows[first : first + batch]) for first in range(0, len(windows), batch)]
    joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    task = tasks.of_model(about, joined)
    if task is None:
        return joined
    decoded = task.decoded(joined)
    primary = {name: decoded[name] for name in task.primary}
    found = task.in_picture(primary, geometry, picture.shape[:2])
    return {name: np.asarray(values) for name, values in found.items()}
