"""What a network answers to a whole picture of any size, by whatever runs the network."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from nas_tf.input_geometry import InputGeometry

Ask = Callable[[np.ndarray], Mapping[str, Any]]
"""From images [batch, height, width, 3] as bytes, of the network's size, to its answers."""
_BATCH = 8


def answer(ask: Ask, about: Mapping[str, Any], picture: np.ndarray) -> Mapping[str, np.ndarray]:
    """The mask, depth or keypoints of a picture [height, width, 3], at the picture's own size.

    It is what the signature ``image_bytes`` computes of a file. ``ask`` may be a SavedModel, a
    TFLite or ONNX model, or an endpoint: ``lambda images: client.predict(images)``.

    Args:
        ask: Gives the network's answers.
        about: What the model says of itself, its metadata.
        picture: Upright RGB bytes.
    """
    geometry = InputGeometry.of(about)
    windows = geometry.cut(picture).numpy()
    parts = [ask(windows[first : first + _BATCH]) for first in range(0, len(windows), _BATCH)]
    given = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    own = picture.shape[:2]
    if "keypoints" in given:
        (found,) = given["keypoints"]
        places = geometry.points(found[:, :2], own).numpy()
        return {"keypoints": np.concatenate([places, found[:, 2:]], axis=-1)}
    return {
        name: geometry.joined(maps, own).numpy()
        for name, maps in given.items()
        if name in ("mask", "depth")
    }
