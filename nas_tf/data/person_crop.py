"""Crops a person out of a photograph, for single-person pose estimation."""

from pathlib import Path

import numpy as np
from PIL import Image

from nas_tf.data.builder import Example
from nas_tf.data.files import read_image

CONTEXT = 1.5
"""The side of the stored square in sides of the person's square: room to scale and rotate."""

_LONGEST = 512
"""The largest side of the stored square in pixels."""


def cut_person(
    image: Path, centre: tuple[float, float], side: float, keypoints: np.ndarray
) -> tuple[Example, float]:
    """Returns the square around a person, and its scale relative to the photograph.

    The square is black outside the photograph; keypoints are moved along.
    """
    half = CONTEXT * side / 2
    left, top = round(centre[0] - half), round(centre[1] - half)
    size = max(1, round(2 * half))
    square = Image.fromarray(read_image(image, upright=False)).crop(
        (left, top, left + size, top + size)
    )
    scale = min(1.0, _LONGEST / size)
    if scale < 1:
        square = square.resize((_LONGEST, _LONGEST), Image.Resampling.BILINEAR)
    moved = keypoints.astype(np.float32)
    moved[:, :2] = (moved[:, :2] + 0.5 - (left, top)) * scale - 0.5
    moved[moved[:, 2] == 0] = 0
    return {"image": np.asarray(square), "keypoints": moved[None]}, scale
