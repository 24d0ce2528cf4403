"""The arithmetic of layers that TensorFlow has no operation for, or none on a CPU.

The function that is trained, the Keras model and the shipped network all call these.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import tensorflow as tf

IN_FLOAT = "in_float"
_BLOCK = 16


def in_float() -> AbstractContextManager[Any]:
    """Names the operations inside as those that models of 8 bits compute in float."""
    return tf.name_scope(IN_FLOAT)


def conv(
    x: tf.Tensor,
    kernel: tf.Tensor,
    *,
    stride: int = 1,
    padding: str = "SAME",
    rate: Sequence[int] = (1, 1),
) -> tf.Tensor:
    """Returns a convolution, dilated by ``rate``.

    In bfloat16 without matrix instructions, the gradient of a dilated kernel reads beyond its
    images where the last of several blocks of 16 channels is not full (oneDNN 3.2): the result
    is NaN, or the process ends. Such blocks are therefore filled with channels of zeros.
    """
    missing = _missing(x)
    if max(rate) > 1 and missing and x.shape[-1] > _BLOCK:
        x = _filled(x, missing)
        kernel = tf.pad(kernel, ((0, 0), (0, 0), (0, missing), (0, 0)))
    return tf.raw_ops.Conv2D(
        input=x,
        filter=kernel,
        strides=[1, stride, stride, 1],
        padding=padding,
        dilations=[1, *rate, 1],
    )


def batch_norm(
    x: tf.Tensor,
    arrays: Mapping[str, tf.Tensor],
    *,
    epsilon: float,
    training: bool,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Returns normalised maps, and the means and variances that normalise them.

    In bfloat16, maps whose last block of 16 channels is not full take several times as long. Such
    blocks are therefore filled with channels of zeros. tf.concat and tf.split have a fast
    gradient, tf.pad and slices have not.

    Args:
        x: The maps.
        arrays: ``gamma`` and ``beta``, if the scale and the offset are learnt, and the moving
            ``mean`` and ``variance``, which are not read in training.
        epsilon: Added to variances.
        training: True to normalise by the mean and the variance of the batch.
    """
    channels, missing = x.shape[-1], _missing(x)

    def read(role: str, first: float) -> tf.Tensor:
        if role not in arrays:
            return tf.fill((channels + missing,), first)
        padding = ((0, missing),)
        return tf.pad(arrays[role], padding, constant_values=first) if missing else arrays[role]

    normalised = tf.raw_ops.FusedBatchNormV3(
        x=_filled(x, missing) if missing else x,
        scale=read("gamma", 1.0),
        offset=read("beta", 0.0),
        mean=tf.zeros(0) if training else read("mean", 0.0),
        variance=tf.zeros(0) if training else read("variance", 1.0),
        epsilon=epsilon,
        is_training=training,
    )
    if not missing:
        return normalised.y, normalised.batch_mean, normalised.batch_variance
    y, _ = tf.split(normalised.y, (channels, missing), -1)
    return y, normalised.batch_mean[:channels], normalised.batch_variance[:channels]


def _missing(x: tf.Tensor) -> int:
    """Returns the number of channels that fill the last block of 16, 0 but in bfloat16."""
    return -x.shape[-1] % _BLOCK if x.dtype == tf.bfloat16 else 0


def _filled(x: tf.Tensor, missing: int) -> tf.Tensor:
    """Returns maps with so many channels of zeros at the end."""
    zeros = tf.zeros(tf.concat([tf.shape(x)[:-1], [missing]], 0), x.dtype)
    return tf.concat([x, zeros], -1)


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
            conv(part, own, stride=stride, padding=padding, rate=options["rate"])
            for part, own in pairs
        ],
        -1,
    )


def group_normalised(
    x: tf.Tensor, gamma: Any, beta: Any, *, groups: int, epsilon: float
) -> tf.Tensor:
    """Returns maps with mean 0 and variance 1 in each group of channels, times gamma, plus beta.

    The means of groups are those of their channels' means: reducing two axes at once takes twice
    the time.
    """

    def mean(values: tf.Tensor) -> tf.Tensor:
        by_channel = tf.reduce_mean(values, (1, 2))
        split = tf.reshape(by_channel, (-1, groups, x.shape[-1] // groups))
        by_group = tf.zeros_like(split) + tf.reduce_mean(split, -1, keepdims=True)
        return tf.reshape(by_group, (-1, 1, 1, x.shape[-1]))

    centred = x - mean(x)
    factors = gamma * tf.math.rsqrt(mean(tf.square(centred)) + epsilon)
    return centred * factors + beta


def leaky_relu(x: tf.Tensor, slope: float) -> tf.Tensor:
    """Returns the ReLU that multiplies negative values by ``slope``.

    Its gradient is computed in float32: in bfloat16, TensorFlow takes four times as long.
    """
    if x.dtype == tf.float32:
        return tf.raw_ops.LeakyRelu(features=x, alpha=slope)

    @tf.custom_gradient
    def computed(x: tf.Tensor) -> Any:
        def gradient(upstream: tf.Tensor) -> tf.Tensor:
            in_full = (tf.cast(values, tf.float32) for values in (upstream, x))
            given = dict(zip(("gradients", "features"), in_full, strict=True))
            return tf.cast(tf.raw_ops.LeakyReluGrad(alpha=slope, **given), x.dtype)

        return tf.raw_ops.LeakyRelu(features=x, alpha=slope), gradient

    return computed(x)


def luma(x: tf.Tensor) -> tf.Tensor:
    """Returns the brightness of three channels, as ITU-R BT.601 weighs them."""
    weights = tf.constant([0.299, 0.587, 0.114], x.dtype)
    return tf.nn.conv2d(x, weights[None, None, :, None], 1, "SAME")


def mix_weights(
    table: tf.Tensor,
    entries: Sequence[tuple[int, int]],
    masked: Iterable[tuple[int, int]] = (),
    **_: Any,
) -> tf.Tensor:
    """Returns entries of the softmax over a table's rows; ``masked`` entries have no share."""
    table, masked = tf.convert_to_tensor(table), list(masked)
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
