"""Puts pictures side by side, as bytes."""

import numpy as np
from PIL import Image

_GAP = 4


def photograph(image: np.ndarray) -> np.ndarray:
    """Returns an image, in [-1, 1] or already in bytes, as bytes."""
    image = np.asarray(image)
    if image.dtype == np.uint8:
        return image
    return np.clip(np.round((image.astype(np.float32) + 1) * 127.5), 0, 255).astype(np.uint8)


def side_by_side(*pictures: np.ndarray) -> np.ndarray:
    """Returns pictures in a row, scaled to the size of the first, with white gaps."""
    height, width = pictures[0].shape[:2]
    row = []
    for picture in pictures:
        if picture.shape[:2] != (height, width):
            resized = Image.fromarray(picture).resize((width, height), Image.Resampling.NEAREST)
            picture = np.asarray(resized)
        row += [picture, np.full((height, _GAP, 3), 255, np.uint8)]
    return np.concatenate(row[:-1], axis=1)
