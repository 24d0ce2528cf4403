"""Cuts one person out of a photograph, as single-person pose estimation is trained and scored."""

from pathlib import Path

import numpy as np
from PIL import Image

from nas_tf.data.builder import Example
from nas_tf.data.files import read_image

CONTEXT = 1.5
"""Side of the stored square over side of the person's square: room to scale and rotate."""

_LONGEST = 512


def cut_person(
    image: Path, centre: tuple[float, float], side: float, keypoints: np.ndarray
) -> tuple[Example, float]:
    """The square around a person, black outside the photograph, with keypoints moved along.

    Returns the example and the factor by which lengths in it differ from the photograph's.
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
