"""Answers for complete pictures of any size, from anything that runs the network."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from nas_tf.input_geometry import InputGeometry

Ask = Callable[[np.ndarray], Mapping[str, Any]]
"""A function from uint8 images [batch, height, width, 3] of the network's size to answers."""
_BATCH = 8


def answer(ask: Ask, about: Mapping[str, Any], picture: np.ndarray) -> Mapping[str, np.ndarray]:
    """Returns the mask, depth or keypoints of a picture [height, width, 3], at its own size.

    The signature ``image_bytes`` computes the same from a file. ``ask`` may be a SavedModel, a
    TFLite or ONNX model, or an endpoint: ``lambda images: client.predict(images)``.

    Args:
        ask: The function that returns the network's answers.
        about: The model's metadata.
        picture: Upright RGB bytes.
    """
    geometry = InputGeometry.of(about)
    windows = geometry.cut(picture).numpy()
    parts = [ask(windows[first : first + _BATCH]) for first in range(0, len(windows), _BATCH)]
    joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    size = picture.shape[:2]
    if "keypoints" in joined:
        (keypoints,) = joined["keypoints"]
        positions = geometry.points(keypoints[:, :2], size).numpy()
        return {"keypoints": np.concatenate([positions, keypoints[:, 2:]], axis=-1)}
    return {
        name: geometry.joined(maps, size).numpy()
        for name, maps in joined.items()
        if name in ("mask", "depth")
    }
