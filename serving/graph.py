"""A shipped network as a TensorFlow function: fused operations with constant weights."""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import tensorflow as tf

from nas_tf.networks.arithmetic import group_normalised, grouped_conv, mixed
from nas_tf.networks.blueprint import Blueprint
from nas_tf.networks.deformable import deformable_conv, offsets_and_mask
from nas_tf.networks.fused import Op, fuse
from nas_tf.networks.state import Arrays
from serving import folding


def network(
    blueprint: Blueprint, arrays: Arrays, *, for_conversion: bool = True
) -> Callable[[tf.Tensor], dict[str, tf.Tensor]]:
    """Returns the function from images in [-1, 1] to outputs, with normalisation folded in.

    Auxiliaries and unused branches are removed. See ``emit`` for ``for_conversion``.
    """
    shipped, nodes = blueprint.deployed(), fuse(blueprint)
    (image,) = (layer for layer in shipped.layers if layer.kind == "input")
    folded = {node.name: folding.folded(node, arrays) for node in nodes}

    def outputs(x: tf.Tensor) -> dict[str, tf.Tensor]:
        tensors = {image.name: x}
        batch = x.shape[0] or tf.shape(x)[0]
        for layer in shipped.layers:
            if layer.kind == "zero":
                tensors[layer.name] = tf.zeros((batch, *layer.size, layer.channels))
        for node in nodes:
            read = [tensors[name] for name in node.inputs]
            weights = folded[node.name]
            tensors[node.name] = emit(
                node.op, node.most, read, weights, for_conversion=for_conversion
            )
        return {name: tensors[node.name] for node in nodes for name in node.outputs}

    return outputs


def emit(
    op: Op,
    most: float | None,
    read: Sequence[tf.Tensor],
    weights: folding.Weights | None,
    *,
    for_conversion: bool = True,
) -> tf.Tensor:
    """Emits one operation and its activation.

    ``for_conversion`` suits TFLite and ONNX: a dilated depthwise convolution is one operation,
    which TensorFlow does not have on the CPU, at most four maps are concatenated at once, the
    limit of XNNPACK, and a deformable convolution gathers.
    """
    if op.kind == "relu":
        return _activated(read[0], most or 0.0)
    own = _FOR_CONVERSION.get(op.kind) if for_conversion else None
    y = (own or _EMITTED[op.kind])(op, read, weights)
    return y if most is None else _activated(y, most)


def _activated(x: tf.Tensor, most: float) -> tf.Tensor:
    return tf.nn.relu6(x) if most == 6 else tf.nn.relu(x)


def _conv(op: Op, read: Sequence[tf.Tensor], weights: folding.Weights) -> tf.Tensor:
    padding = "valid" if op.valid else "same"
    if op.groups > 1:
        options = dict(groups=op.groups, stride=op.stride[0], padding=padding, rate=op.rate)
        y = grouped_conv(read[0], tf.constant(weights.kernel), options)
    else:
        y = tf.nn.conv2d(read[0], weights.kernel, op.stride, padding.upper(), dilations=op.rate)
    return tf.nn.bias_add(y, weights.bias)


def _deformable(
    op: Op, read: Sequence[tf.Tensor], weights: folding.Weights, for_conversion: bool = False
) -> tf.Tensor:
    x, raw = read
    sampled, kernel = offsets_and_mask(raw, op.groups), tf.constant(weights.kernel)
    y = deformable_conv(x, *sampled, kernel, groups=op.groups, for_conversion=for_conversion)
    return tf.nn.bias_add(y, weights.bias)


def _group_norm(op: Op, read: Sequence[tf.Tensor], weights: folding.Weights) -> tf.Tensor:
    gamma, beta = weights.kernel, weights.bias
    return group_normalised(read[0], gamma, beta, groups=op.groups, epsilon=op.epsilon)


def _pad(op: Op, read: Sequence[tf.Tensor], _: Any) -> tf.Tensor:
    border = [op.border] * 2
    return tf.pad(read[0], [[0, 0], border, border, [0, 0]])


def _max_pool(op: Op, read: Sequence[tf.Tensor], _: Any) -> tf.Tensor:
    return tf.nn.max_pool2d(read[0], op.kernel, op.stride, "VALID" if op.valid else "SAME")


def _depthwise(op: Op, read: Sequence[tf.Tensor], weights: folding.Weights) -> tf.Tensor:
    y = tf.raw_ops.DepthwiseConv2dNative(
        input=read[0],
        filter=tf.constant(weights.kernel),
        strides=[1, *op.stride, 1],
        padding="SAME",
        dilations=[1, *op.rate, 1],
    )
    return tf.nn.bias_add(y, weights.bias)


def _depthwise_in_pieces(op: Op, read: Sequence[tf.Tensor], weights: folding.Weights) -> tf.Tensor:
    """Emits a depthwise convolution; TensorFlow wraps a dilated one in SpaceToBatch and back."""
    strides, dilations = (1, *op.stride, 1), op.rate if max(op.rate) > 1 else None
    y = tf.nn.depthwise_conv2d(read[0], weights.kernel, strides, "SAME", dilations=dilations)
    return tf.nn.bias_add(y, weights.bias)


def _concat_by_fours(_: Op, read: Sequence[tf.Tensor], __: Any) -> tf.Tensor:
    joined, *rest = read
    while rest:
        joined, rest = tf.concat([joined, *rest[:3]], -1), rest[3:]
    return joined


def _resize(op: Op, read: Sequence[tf.Tensor], _: Any) -> tf.Tensor:
    return tf.raw_ops.ResizeBilinear(
        images=read[0],
        size=op.output[:2],
        align_corners=op.corners,
        half_pixel_centers=not op.corners,
    )


_Emitter: TypeAlias = Callable[[Op, Sequence[tf.Tensor], Any], tf.Tensor]
_EMITTED: Mapping[str, _Emitter] = {
    "conv": _conv,
    "depthwise": _depthwise_in_pieces,
    "deformable": _deformable,
    "group_norm": _group_norm,
    "leaky_relu": lambda op, read, _: tf.nn.leaky_relu(read[0], op.slope),
    "exp": lambda op, read, _: tf.exp(read[0]),
    "pad": _pad,
    "subtract": lambda op, read, _: read[0] - read[1],
    "mix": lambda op, read, weights: mixed(tf.constant(weights.kernel), read),
    "affine": lambda op, read, weights: read[0] * weights.kernel + weights.bias,
    "max_pool": _max_pool,
    "average_pool": lambda op, read, _: tf.nn.avg_pool2d(read[0], op.kernel, op.stride, "VALID"),
    "mean": lambda op, read, _: tf.reduce_mean(read[0], (1, 2), keepdims=True),
    "add": lambda op, read, _: read[0] + read[1],
    "concat": lambda op, read, _: tf.concat(read, -1),
    "resize": _resize,
}
_FOR_CONVERSION: Mapping[str, _Emitter] = {
    "depthwise": _depthwise,
    "deformable": functools.partial(_deformable, for_conversion=True),
    "concat": _concat_by_fours,
}
