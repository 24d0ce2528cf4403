"""The arithmetic of layers that TensorFlow has no operation for, or none on a CPU.

The function that is trained, the Keras model and the shipped network all call these.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import tensorflow as tf


def grouped_conv(x: tf.Tensor, kernel: tf.Tensor, options: Mapping[str, Any]) -> tf.Tensor:
    """Returns a convolution in ``groups``, which TensorFlow cannot train on a CPU.

    With one output per group it is a depthwise convolution whose neighbouring channels are
    summed; otherwise one convolution a group.
    """
    groups, fan_in = options["groups"], kernel.shape[2]
    stride, padding = options["stride"], options.get("padding", "same").upper()
    if kernel.shape[3] == groups:
        by_channel = tf.reshape(tf.transpose(kernel, (0, 1, 3, 2)), (*kernel.shape[:2], -1, 1))
        y = tf.nn.depthwise_conv2d(
            x, by_channel, (1, stride, stride, 1), padding, dilations=options["rate"]
        )
        shape = tf.concat([tf.shape(y)[:3], [groups, fan_in]], 0)
        return tf.reduce_sum(tf.reshape(y, shape), -1)
    pairs = zip(tf.split(x, groups, -1), tf.split(kernel, groups, -1), strict=True)
    return tf.concat(
        [
            tf.nn.conv2d(part, own, stride, padding, dilations=options["rate"])
            for part, own in pairs
        ],
        -1,
    )


def group_normalised(x: tf.Tensor, groups: int, epsilon: float) -> tf.Tensor:
    """Returns float32 maps with mean 0 and variance 1 in each group of channels."""
    channels = x.shape[-1]
    shape = tf.shape(x)
    split = tf.reshape(x, (shape[0], -1, groups, channels // groups))
    mean = tf.reduce_mean(split, (1, 3), keepdims=True)
    centred = split - mean
    variance = tf.reduce_mean(centred**2, (1, 3), keepdims=True)
    return tf.reshape(centred * tf.math.rsqrt(variance + epsilon), shape)


def modulated(x: tf.Tensor, raw: tf.Tensor, kernel: tf.Tensor, *, groups: int) -> tf.Tensor:
    """Returns a deformable convolution of which ``raw`` holds offsets and mask logits."""
    from nas_tf.networks.deformable import deformable_conv

    offsets, logits = tf.split(tf.cast(raw, tf.float32), (18 * groups, 9 * groups), -1)
    y = deformable_conv(x, offsets, tf.sigmoid(logits), tf.cast(kernel, tf.float32), groups=groups)
    return tf.cast(y, x.dtype)


def mix_weights(
    table: tf.Tensor,
    entries: Sequence[tuple[int, int]],
    masked: Iterable[tuple[int, int]] = (),
    **_: Any,
) -> tf.Tensor:
    """Returns entries of the softmax over a table's rows; ``masked`` entries have no share."""
    masked = list(masked)
    if masked:
        table = tf.tensor_scatter_nd_update(table, masked, [table.dtype.min] * len(masked))
    return tf.gather_nd(tf.nn.softmax(table), entries)


def mixed(weights: tf.Tensor, maps: Sequence[tf.Tensor]) -> tf.Tensor:
    """Returns the weighted sum of maps."""
    terms = [weight * x for weight, x in zip(tf.unstack(weights), maps, strict=True)]
    total = terms[0]
    for term in terms[1:]:
        total += term
    return total
