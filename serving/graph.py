"""A shipped network as a TensorFlow function: fused operations with constant weights."""

import functools
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np
import tensorflow as tf

from nas_tf.networks.arithmetic import group_normalised, grouped_conv, in_float, luma, mixed
from nas_tf.networks.blueprint import Blueprint
from nas_tf.networks.deformable import deformable_conv, offsets_and_mask
from nas_tf.networks.fused import Node, Op, fuse
from nas_tf.networks.state import Arrays
from serving import folding


def network(
    blueprint: Blueprint,
    arrays: Arrays,
    *,
    for_conversion: bool = True,
    own: "Emitters | None" = None,
) -> Callable[..., dict[str, tf.Tensor]]:
    """Returns the function from images in [-1, 1] to outputs, with normalisation folded in.

    The function of a decoder takes its taps instead, in their order. Auxiliaries and unused
    branches are removed. ``for_conversion`` suits TFLite and ONNX, see ``FOR_CONVERSION``; ``own``
    has further emitters.
    """
    emitters = _EMITTED | (FOR_CONVERSION if for_conversion else {}) | (own or {})
    shipped, nodes = blueprint.deployed(), fuse(blueprint)
    inputs = [layer.name for layer in shipped.layers if layer.kind == "input"]
    folded = {node.name: folding.folded(node, arrays) for node in nodes}
    nodes, folded = folding.with_scales_folded(nodes, folded)
    precise = {node.name for node in nodes if node.op.kind in _PRECISE} | exponents(nodes)

    def outputs(*maps: tf.Tensor) -> dict[str, tf.Tensor]:
        tensors = dict(zip(inputs, maps, strict=True))
        batch = maps[0].shape[0] or tf.shape(maps[0])[0]
        for layer in shipped.layers:
            if layer.kind == "zero":
                tensors[layer.name] = tf.zeros((batch, *layer.size, layer.channels))
        for node in nodes:
            read = [tensors[name] for name in node.inputs]
            weights = folded[node.name]
            with in_float() if node.name in precise else nullcontext():
                tensors[node.name] = emit(node.op, node.most, read, weights, emitters)
        return {name: tensors[node.name] for node in nodes for name in node.outputs}

    return outputs


def exponents(nodes: Sequence[Node]) -> set[str]:
    """Returns the exponentials, and the factors of what they take, which 8 bits would ruin."""
    found = [node for node in nodes if node.op.kind == "exp"]
    factors = {node.name for node in nodes if node.layers[0].kind == "scale"}
    read = {name for node in found for name in node.inputs}
    return {node.name for node in found} | factors & read


def emit(
    op: Op,
    most: float | None,
    read: Sequence[tf.Tensor],
    weights: folding.Weights | None,
    emitters: "Emitters | None" = None,
) -> tf.Tensor:
    """Emits one operation and its activation, by default in the form for conversion."""
    emitters = emitters or _EMITTED | FOR_CONVERSION
    y = emitters[op.kind](op, read, weights)
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


def _group_norm_by_convs(op: Op, read: Sequence[tf.Tensor], weights: folding.Weights) -> tf.Tensor:
    """Emits operations of four dimensions that XNNPACK has.

    The maximum changes nothing, but keeps a converter from a reciprocal root, which it has not;
    ``epsilon`` is a vector, without which tf2onnx does not cancel transpositions.
    """
    (x,) = read
    epsilon = np.full(x.shape[-1], op.epsilon, np.float32)
    group = np.arange(x.shape[-1]) * op.groups // x.shape[-1]
    mean = (group[:, None] == group) / np.float32(x.shape[-1] / op.groups)

    def by_group(values: tf.Tensor) -> tf.Tensor:
        by_channel = tf.reduce_mean(values, (1, 2), keepdims=True)
        return tf.nn.conv2d(by_channel, mean[None, None].astype(np.float32), 1, "VALID")

    centred = x - by_group(x)
    deviation = tf.maximum(tf.sqrt(by_group(tf.square(centred)) + epsilon), np.sqrt(epsilon))
    return centred * (weights.kernel / deviation) + weights.bias


def _dense_conv(op: Op, read: Sequence[tf.Tensor], weights: folding.Weights) -> tf.Tensor:
    """Emits a convolution in groups of one output as one of all channels, with zeros."""
    fan_in, filters = weights.kernel.shape[2:]
    if op.groups != filters:
        return _conv(op, read, weights)
    own = np.arange(fan_in * filters) // fan_in == np.arange(filters)[:, None]
    kernel = np.tile(weights.kernel, (1, 1, filters, 1)) * own.T.astype(np.float32)
    return _conv(replace(op, groups=1), read, replace(weights, kernel=kernel))


def _identity(_: Op, read: Sequence[tf.Tensor], __: Any) -> tf.Tensor:
    """Emits what takes an activation: XNNPACK has no activation alone in 8 bits."""
    ones = np.ones((1, 1, read[0].shape[-1], 1), np.float32)
    return tf.nn.depthwise_conv2d(read[0], ones, (1, 1, 1, 1), "VALID")


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


_PRECISE = {"group_norm", "deformable"}
"""Operations that models of 8 bits compute in float, as they do exponentials."""
Emitter: TypeAlias = Callable[[Op, Sequence[tf.Tensor], Any], tf.Tensor]
Emitters: TypeAlias = dict[str, Emitter]
_EMITTED: Emitters = {
    "conv": _conv,
    "depthwise": _depthwise_in_pieces,
    "deformable": _deformable,
    "group_norm": _group_norm,
    "leaky_relu": lambda op, read, _: tf.nn.leaky_relu(read[0], op.slope),
    "exp": lambda op, read, _: tf.exp(read[0]),
    "sigmoid": lambda op, read, _: tf.sigmoid(read[0]),
    "luma": lambda op, read, _: luma(read[0]),
    "pad": _pad,
    "subtract": lambda op, read, _: read[0] - read[1],
    "mix": lambda op, read, weights: mixed(tf.constant(weights.kernel), read),
    "affine": lambda op, read, weights: read[0] * weights.kernel + weights.bias,
    "max_pool": _max_pool,
    "average_pool": lambda op, read, _: tf.nn.avg_pool2d(read[0], op.kernel, op.stride, "VALID"),
    "relu": lambda op, read, _: read[0],
    "mean": lambda op, read, _: tf.reduce_mean(read[0], (1, 2), keepdims=True),
    "add": lambda op, read, _: read[0] + read[1],
    "concat": lambda op, read, _: tf.concat(read, -1),
    "resize": _resize,
}
FOR_CONVERSION: Emitters = {
    "conv": _dense_conv,
    "depthwise": _depthwise,
    "group_norm": _group_norm_by_convs,
    "relu": _identity,
    "deformable": functools.partial(_deformable, for_conversion=True),
    "concat": _concat_by_fours,
}
"""Emitters that suit TFLite and ONNX.

A dilated depthwise convolution is one operation, which TensorFlow does not have on the CPU; at
most four maps are concatenated at once, the limit of XNNPACK; convolutions take the means of
groups of channels, sum groups of channels, and carry activations; a deformable one gathers.
"""
