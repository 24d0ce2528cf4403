"""Reads the boxes of YOLO's text files: class, centre and size as shares of the picture."""

import math
from pathlib import Path

import numpy as np

from nas_tf.data.files import read_lines
from nas_tf.errors import DataError


def read_yolo(path: Path, size: tuple[int, int], classes: int) -> np.ndarray:
    """Returns the boxes [boxes, 5] of a file; a picture without a file has none.

    Rounded shares may end a little outside the picture, where boxes are cut.
    """
    if not path.exists():
        return np.zeros((0, 5), np.float32)
    height, width = size
    rows = []
    for number, words in enumerate(read_lines(path), start=1):
        try:
            label, *shares = map(float, words)
            x, y, across, down = shares
        except ValueError as error:
            raise _wrong(path, number, words) from error
        if not all(map(math.isfinite, shares)) or label not in range(classes):
            raise _wrong(path, number, words, f", class 0-{classes - 1}")
        sides = (x - across / 2, y - down / 2, x + across / 2, y + down / 2)
        near = [min(max(side, 0.0), 1.0) if -0.01 < side < 1.01 else side for side in sides]
        rows.append((near[0] * width, near[1] * height, near[2] * width, near[3] * height, label))
    return np.array(rows, np.float32).reshape(-1, 5)


def _wrong(path: Path, number: int, words: list[str], rest: str = "") -> DataError:
    shown = " ".join(words)[:60]
    return DataError(
        f"{path} line {number} is {shown!r}, expected class, centre x and y, width and height as "
        f"shares of the picture{rest}"
    )
