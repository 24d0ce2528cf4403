"""Reads images in the graph, checked before they are decoded; scales pixels; reads PNG answers."""

import io

import numpy as np
import tensorflow as tf
from PIL import Image

from nas_tf.pictures import max_pixels
from serving import exif

_PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"
"""Includes the head of IHDR: a chunk before it, which decoders skip, could state a false size."""
_JPEG = b"\xff\xd8\xff"
_OTHERS = {b"RIFF": "WebP", b"II*\0": "TIFF", b"MM\0*": "TIFF", b"BM": "BMP", b"GIF8": "GIF"}


def normalised(images: tf.Tensor) -> tf.Tensor:
    """Scales bytes, or floats of their range, to [-1, 1], as the encoder was trained on them."""
    return tf.cast(images, tf.float32) * (1 / 127.5) - 1


def upright(file: tf.Tensor) -> tf.Tensor:
    """Decodes a JPEG or PNG file to bytes [height, width, 3], turned as its EXIF data say."""
    is_png = _starts_with(file, _PNG)
    format_check = tf.debugging.Assert(
        is_png | _starts_with(file, _JPEG),
        [tf.strings.join(["image_bytes is ", _kind(file), ", expected a JPEG or PNG file"])],
    )
    with tf.control_dependencies([format_check]):
        size = tf.cond(
            is_png, lambda: _size_of_png(file), lambda: tf.image.extract_jpeg_shape(file)[:2]
        )
    limit = max_pixels()
    size_check = tf.debugging.Assert(
        tf.reduce_prod(tf.cast(size, tf.int64)) <= limit,
        ["image has more pixels than are decoded here, at most", limit, "of size", size],
    )
    with tf.control_dependencies([size_check]):
        picture = tf.cond(
            is_png,
            lambda: tf.io.decode_png(file, channels=3),
            lambda: tf.io.decode_jpeg(file, channels=3, dct_method="INTEGER_ACCURATE"),
        )
    return exif.turned(picture, exif.orientation(file, is_png))


def _kind(file: tf.Tensor) -> tf.Tensor:
    """Names the format of a file that is neither JPEG nor PNG."""
    kind = tf.constant("neither a JPEG nor a PNG file")
    for start, name in _OTHERS.items():
        kind = tf.where(_starts_with(file, start), f"a {name} file", kind)
    return kind


def _starts_with(file: tf.Tensor, prefix: bytes) -> tf.Tensor:
    return tf.equal(tf.strings.substr(tf.strings.join([file, b"\0"]), 0, len(prefix)), prefix)


def _size_of_png(file: tf.Tensor) -> tf.Tensor:
    """Returns the height and width that the IHDR chunk states."""
    header = tf.strings.substr(tf.strings.join([file, b"\0" * 24]), 16, 8)
    width, height = tf.unstack(tf.io.decode_raw(header, tf.int32, little_endian=False), num=2)
    return tf.stack([height, width])


def as_bytes(scaled: tf.Tensor) -> np.ndarray:
    """Returns images in [-1, 1] as uint8 pixels; the inverse of ``normalised``."""
    return np.clip(np.round((scaled.numpy() + 1) * 127.5), 0, 255).astype(np.uint8)


def decode_map(answer: "bytes | np.ndarray") -> np.ndarray:
    """Decodes an endpoint's map that came as a PNG file; returns an array unchanged."""
    if not isinstance(answer, bytes):
        return answer
    with Image.open(io.BytesIO(answer)) as image:
        return np.asarray(image)
