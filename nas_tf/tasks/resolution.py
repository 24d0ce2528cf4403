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


def enlarged(logits: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    """Returns logits in single precision, resized bilinearly."""
    return tf.image.resize(tf.cast(logits, tf.float32), size)


def nearest(encoded: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    """Returns a map [batch, height, width] at a size, with the nearest pixels of the original."""
    return tf.image.resize(encoded[..., None], size, method="nearest")[..., 0]
