"""Pictures from files: looked at before they are decoded, refused in one line."""

import io
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from nas_tf.errors import DataError

MOST_PIXELS = 1 << 24
"""Of a file that is decoded: 16.8 million, some 50 MB of pixels."""


def read(path: Path) -> np.ndarray:
    """The RGB bytes of a picture; a huge one is refused by its header alone."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error
    return decoded(content, str(path))


def decoded(content: bytes, name: str) -> np.ndarray:
    """The RGB bytes of the content of a JPEG or PNG file."""
    try:
        with Image.open(io.BytesIO(content), formats=("JPEG", "PNG")) as image:
            if image.width * image.height > MOST_PIXELS:
                raise DataError(
                    f"{name} has {image.width}x{image.height} pixels, expected at most "
                    f"{MOST_PIXELS:,} in all"
                )
            if image.mode.startswith("I"):
                return _of_16_bits(np.asarray(image))
            return np.asarray(image.convert("RGB"))
    except UnidentifiedImageError as error:
        raise DataError(f"{name} is no picture, expected a JPEG or PNG file") from error
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise DataError(f"{name} is damaged: {error}") from error


def _of_16_bits(grey: np.ndarray) -> np.ndarray:
    """Grey of 16 bits as RGB bytes, as TensorFlow reads it: Pillow would make most of it white."""
    return np.repeat((grey >> 8).astype(np.uint8)[..., None], 3, -1)


def fitted(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A picture at a network's size."""
    if image.shape[:2] == tuple(size):
        return image
    return np.asarray(Image.fromarray(image).resize(size[::-1], Image.Resampling.BILINEAR))


def maps(answer: "bytes | np.ndarray") -> np.ndarray:
    """An answer of an endpoint: a map that came as a PNG file, or what it is."""
    if not isinstance(answer, bytes):
        return answer
    with Image.open(io.BytesIO(answer)) as image:
        return np.asarray(image)
