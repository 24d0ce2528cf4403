"""Bringing logits and targets to one resolution."""

from typing import Literal

import tensorflow as tf


def aligned(
    dense: tf.Tensor, logits: tf.Tensor, at: Literal["target", "logits"]
) -> tf.Tensor | tuple[tf.Tensor, tf.Tensor]:
    """Target and logits at the target's resolution, or at that of the logits.

    Logits are resized bilinearly; a target by taking the nearest pixel, as its values must not
    mix. Both have half-pixel centres.
    """
    if at == "target":
        return dense, enlarged(logits, tf.shape(dense)[1:3])
    return nearest(dense, tf.shape(logits)[1:3]), tf.cast(logits, tf.float32)


def enlarged(logits: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    """Logits in single precision at a size, resized bilinearly."""
    return tf.image.resize(tf.cast(logits, tf.float32), size)


def nearest(dense: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    """A map [batch, height, width] at a size, each pixel the nearest of the original."""
    return tf.image.resize(dense[..., None], size, method="nearest")[..., 0]
