"""Answers of an endpoint that come as PNG files."""

import io

import numpy as np
from PIL import Image


def maps(answer: "bytes | np.ndarray") -> np.ndarray:
    """An answer of an endpoint: a map that came as a PNG file, or what it is."""
    if not isinstance(answer, bytes):
        return answer
    with Image.open(io.BytesIO(answer)) as image:
        return np.asarray(image)
