"""Folds layers' weights into those of a shipped network's fused operations, and back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from nas_tf.networks.arithmetic import mix_weights
from nas_tf.networks.blueprint import Layer
from nas_tf.networks.fused import Node, fold_targets
from nas_tf.networks.state import Arrays


@dataclass(frozen=True)
class Weights:
    """The kernel and bias of a convolution, or the factors and terms of an ``affine``."""

    kernel: np.ndarray
    bias: np.ndarray


def folded(node: Node, arrays: Arrays) -> Weights | None:
    """Returns the weights of an operation with its normalisation folded in."""
    first = node.layers[0]
    factors, terms = np.ones(first.channels), np.zeros(first.channels)
    for layer in node.layers:
        if layer.kind == "batch_norm":
            factors, terms = _normalisation(layer, arrays)
    if first.kind == "normalise":
        factors = 1 / np.array(first.options["deviation"])
        terms = -factors * first.options["mean"]
    if first.kind in ("normalise", "batch_norm"):
        return _weights(factors, terms)
    if first.kind == "group_norm":
        return _weights(arrays[first.arrays_of, "gamma"], arrays[first.arrays_of, "beta"])
    if first.kind == "subsample":
        return _weights(np.ones((1, 1, first.channels, 1)), terms)
    if first.kind == "mix":
        weights = mix_weights(arrays[first.inputs[0], "table"], **first.options).numpy()
        return _weights(weights, terms)
    if (first.arrays_of, "kernel") not in arrays:
        return None
    kernel = arrays[first.arrays_of, "kernel"]
    bias = arrays.get((first.arrays_of, "bias"), 0.0)
    broadcast = factors[:, None] if node.op.kind == "depthwise" else factors
    return _weights(kernel * broadcast, bias * factors + terms)


def with_scales_folded(
    nodes: Sequence[Node], weights: Mapping[str, Weights | None]
) -> tuple[list[Node], dict[str, Weights | None]]:
    """Returns operations and weights with each possible ``scale`` folded into a kernel."""
    found, renamed, by_name = dict(weights), {}, {node.name: node for node in nodes}
    for name, target in fold_targets(nodes).items():
        factors, before = found[name].kernel.reshape(-1), found[target.name]
        if target.only_positive and factors.min() < 0:
            continue
        broadcast = factors[:, None] if by_name[target.name].op.kind == "depthwise" else factors
        found[target.name] = _weights(before.kernel * broadcast, before.bias * factors)
        (renamed[name],) = by_name[name].inputs
    kept = [
        replace(node, inputs=tuple(renamed.get(name, name) for name in node.inputs))
        for node in nodes
        if node.name not in renamed
    ]
    return kept, found


def unfolded(nodes: Sequence[Node], weights: Mapping[str, Weights], arrays: Arrays) -> Arrays:
    """Returns layers' arrays that fold into ``weights``, a mapping by operations' names.

    Kernels are taken from the operations; the normalisation after one only adds its bias. Layers
    of other operations keep their arrays.
    """
    found = dict(arrays)
    for node in nodes:
        own = weights.get(node.name)
        if own is None:
            continue
        first, factor = node.layers[0], np.ones_like(own.bias)
        name = first.arrays_of
        if first.kind == "batch_norm":
            factor = own.kernel
        elif first.kind == "group_norm":
            found[name, "gamma"], found[name, "beta"] = own.kernel, own.bias
        else:
            found[name, "kernel"] = own.kernel
        norms = [layer for layer in node.layers if layer.kind == "batch_norm"]
        if (name, "bias") in arrays:
            found[name, "bias"] = np.zeros_like(own.bias) if norms else own.bias
        for layer in norms:
            epsilon = np.float32(layer.options["epsilon"])
            if layer.options.get("affine", True):
                variance = np.full_like(own.bias, 1 - epsilon)
                roles = {"gamma": factor * np.sqrt(variance + epsilon), "beta": own.bias}
                roles |= {"mean": 0 * own.bias, "variance": variance}
            else:
                roles = {"mean": -own.bias / factor, "variance": 1 / factor**2 - epsilon}
            found |= {(layer.name, role): value for role, value in roles.items()}
    return found


def _normalisation(layer: Layer, arrays: Arrays) -> tuple[np.ndarray, np.ndarray]:
    mean, variance = arrays[layer.name, "mean"], arrays[layer.name, "variance"]
    gamma, beta = arrays.get((layer.name, "gamma"), 1.0), arrays.get((layer.name, "beta"), 0.0)
    factors = gamma / np.sqrt(variance + layer.options["epsilon"])
    return factors, beta - mean * factors


def _weights(kernel: np.ndarray, bias: np.ndarray) -> Weights:
    return Weights(kernel.astype(np.float32), np.asarray(bias).astype(np.float32))
