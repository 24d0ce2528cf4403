"""Images as they come: bytes of files, checked before they are decoded, brought to one size."""

import io

import numpy as np
import tensorflow as tf
from PIL import Image

from nas_tf.pictures import max_pixels
from serving import exif

_PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"
"""With the head of its first chunk: decoders forgive another, but its size is none to go by."""
_JPEG = b"\xff\xd8\xff"
_OTHERS = {b"RIFF": "WebP", b"II*\0": "TIFF", b"MM\0*": "TIFF", b"BM": "BMP", b"GIF8": "GIF"}


def normalised(images: tf.Tensor) -> tf.Tensor:
    """Bytes, or floats of their range, as the encoder was trained on them: in [-1, 1]."""
    return tf.cast(images, tf.float32) * (1 / 127.5) - 1


def upright(file: tf.Tensor) -> tf.Tensor:
    """The picture of one JPEG or PNG file as bytes [height, width, 3], turned as its EXIF says."""
    is_png = _begins(file, _PNG)
    known = tf.debugging.Assert(
        is_png | _begins(file, _JPEG),
        [tf.strings.join(["image_bytes is ", _kind(file), ", expected a JPEG or PNG file"])],
    )
    with tf.control_dependencies([known]):
        own = tf.cond(
            is_png, lambda: _size_of_png(file), lambda: tf.image.extract_jpeg_shape(file)[:2]
        )
    limit = max_pixels()
    few = tf.debugging.Assert(
        tf.reduce_prod(tf.cast(own, tf.int64)) <= limit,
        ["image has more pixels than are decoded here, at most", limit, "of size", own],
    )
    with tf.control_dependencies([few]):
        picture = tf.cond(
            is_png,
            lambda: tf.io.decode_png(file, channels=3),
            lambda: tf.io.decode_jpeg(file, channels=3, dct_method="INTEGER_ACCURATE"),
        )
    return exif.turned(picture, exif.orientation(file, is_png))


def _kind(file: tf.Tensor) -> tf.Tensor:
    """What a file is that is neither JPEG nor PNG."""
    kind = tf.constant("neither a JPEG nor a PNG file")
    for start, name in _OTHERS.items():
        kind = tf.where(_begins(file, start), f"a {name} file", kind)
    return kind


def _begins(file: tf.Tensor, with_: bytes) -> tf.Tensor:
    return tf.equal(tf.strings.substr(tf.strings.join([file, b"\0"]), 0, len(with_)), with_)


def _size_of_png(file: tf.Tensor) -> tf.Tensor:
    """Height and width from the first chunk, which holds them."""
    header = tf.strings.substr(tf.strings.join([file, b"\0" * 24]), 16, 8)
    width, height = tf.unstack(tf.io.decode_raw(header, tf.int32, little_endian=False), num=2)
    return tf.stack([height, width])


def as_bytes(seen: tf.Tensor) -> np.ndarray:
    """Images in [-1, 1] as the bytes they were."""
    return np.clip(np.round((seen.numpy() + 1) * 127.5), 0, 255).astype(np.uint8)


def maps(answer: "bytes | np.ndarray") -> np.ndarray:
    """An answer of an endpoint: a map that came as a PNG file, or what it is."""
    if not isinstance(answer, bytes):
        return answer
    with Image.open(io.BytesIO(answer)) as image:
        return np.asarray(image)
