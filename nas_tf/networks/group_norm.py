"""Group normalisation for training, with a gradient of its own.

A detector's head normalises dozens of maps of five sizes. Maps of one size share their functions,
which takes half of the nodes out of the graph of a step, and a gradient in closed form reads each
map once. What is exported uses ``arithmetic.group_normalised``, which computes the same.
"""

import functools
from collections.abc import Callable
from typing import Any

import tensorflow as tf


def group_norm(
    x: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor, *, groups: int, epsilon: float
) -> tf.Tensor:
    """Returns the normalised map in the type of ``x``; it is computed in float32."""
    forward, backward = _traced(x.dtype, tuple(x.shape), groups, epsilon)

    @tf.custom_gradient
    def normalise(
        x: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor
    ) -> tuple[tf.Tensor, Callable[[tf.Tensor], Any]]:
        y, mean, factor = forward(x, gamma, beta)
        return y, lambda gradient: backward(x, gamma, mean, factor, gradient)

    return normalise(x, gamma, beta)


@functools.cache
def _traced(
    dtype: tf.DType, shape: tuple[int | None, ...], groups: int, epsilon: float
) -> tuple[Any, Any]:
    """Returns both directions as functions that all layers of this size share.

    They are not inlined: TensorFlow would optimise each call by itself.
    """
    maps, vector = tf.TensorSpec(shape, dtype), tf.TensorSpec((shape[-1],))
    moment = tf.TensorSpec((shape[0], 1, 1, shape[-1]))

    def by_group(values: tf.Tensor) -> tf.Tensor:
        """Replaces the value of each channel [batch, channels] by the mean of its group."""
        split = tf.reshape(values, (-1, groups, shape[-1] // groups))
        mean = tf.zeros_like(split) + tf.reduce_mean(split, -1, keepdims=True)
        return tf.reshape(mean, (-1, 1, 1, shape[-1]))

    def forward(x: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor) -> tuple[tf.Tensor, ...]:
        x = tf.cast(x, tf.float32)
        mean = by_group(tf.reduce_mean(x, (1, 2)))
        centred = x - mean
        variance = by_group(tf.reduce_mean(tf.square(centred), (1, 2)))
        factor = tf.math.rsqrt(variance + epsilon)
        return tf.cast(centred * (gamma * factor) + beta, dtype), mean, factor

    def backward(
        x: tf.Tensor, gamma: tf.Tensor, mean: tf.Tensor, factor: tf.Tensor, gradient: tf.Tensor
    ) -> tuple[tf.Tensor, ...]:
        centred, gradient = tf.cast(x, tf.float32) - mean, tf.cast(gradient, tf.float32)
        pixels = tf.cast(tf.shape(x)[1] * tf.shape(x)[2], tf.float32)
        plain = tf.reduce_mean(gradient, (1, 2))
        scaled = tf.reduce_mean(gradient * centred, (1, 2)) * factor[:, 0, 0]
        shift, slope = by_group(plain * gamma), by_group(scaled * gamma)
        of_x = factor * (gradient * gamma - shift - centred * (factor * slope))
        of_vectors = (tf.reduce_sum(each, 0) * pixels for each in (scaled, plain))
        return (tf.cast(of_x, dtype), *of_vectors)

    traced = functools.partial(
        tf.function, autograph=False, experimental_attributes={"_noinline": True}
    )
    return (
        traced(forward, input_signature=[maps, vector, vector]),
        traced(backward, input_signature=[maps, vector, moment, moment, maps]),
    )
