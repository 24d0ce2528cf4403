"""Resizes logits and targets to a common resolution."""

from typing import Literal

import tensorflow as tf


def aligned(
    encoded: tf.Tensor, logits: tf.Tensor, at: Literal["target", "logits"]
) -> tf.Tensor | tuple[tf.Tensor, tf.Tensor]:
    """Returns target and logits at the target's resolution, or at that of the logits.

    Logits are resized bilinearly, and a target to the nearest pixel, since its values must not
    mix. Both have half-pixel centres.
    """
    if at == "target":
        return encoded, enlarged(logits, tf.shape(encoded)[1:3])
    return nearest(encoded, tf.shape(logits)[1:3]), tf.cast(logits, tf.float32)


def enlarged(logits: tf.Tensor, size: tf.Tensor | None) -> tf.Tensor:
    """Returns logits in single precision, resized bilinearly; at their own size for None."""
    in_full = tf.cast(logits, tf.float32)
    return in_full if size is None else tf.image.resize(in_full, size)


def nearest(encoded: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    """Returns maps, of a number or of a vector a pixel, at a size by the nearest pixels."""
    if len(encoded.shape) == 3:
        return nearest(encoded[..., None], size)[..., 0]
    return tf.image.resize(encoded, size, method="nearest")
