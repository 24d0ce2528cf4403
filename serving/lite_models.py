"""TFLite models of single operations and of networks, built from the same fused operations.

Keras would leave a pair of SPACE_TO_BATCH and BATCH_TO_SPACE around every dilated depthwise
convolution; here each operation is one of TFLite's, on one image of a fixed size.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from nas_tf import quiet
from nas_tf.networks.blueprint import Blueprint
from nas_tf.networks.fused import Op, Shape
from nas_tf.networks.state import Arrays, initial_arrays
from serving import graph
from serving.folding import Weights


def of_op(op: Op) -> bytes:
    """Returns a model of one operation with random weights."""
    weights = _random(op)
    return convert(lambda *read: graph.emit(op, None, read, weights), op.inputs)


def of_network(blueprint: Blueprint, arrays: "Arrays | None" = None) -> bytes:
    """Returns a model of a network as shipped, from one image in [-1, 1] to its outputs.

    A decoder's takes its taps. Without arrays weights are random, which does not change latency.
    """
    shipped = blueprint.deployed()
    values = initial_arrays(shipped, seed=1) if arrays is None else arrays
    shapes = [(*x.size, x.channels) for x in shipped.layers if x.kind == "input"]
    network = graph.network(blueprint, values)
    return convert(lambda *maps: tf.nest.flatten(network(*maps)), shapes)


def convert(function: Callable[..., Any], shapes: Sequence[Shape]) -> bytes:
    """Converts a function of single float images of fixed sizes to a model."""
    specs = [tf.TensorSpec((1, *shape), tf.float32) for shape in shapes]
    module = tf.Module()
    module.run = tf.function(function, autograph=False)
    concrete = module.run.get_concrete_function(*specs)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete], module)
    converter.experimental_lower_to_saved_model = False
    with quiet.converting():
        return converter.convert()


def _random(op: Op) -> Weights:
    rng = np.random.default_rng(1)
    fan_in = op.inputs[0][2]
    shapes = {
        "conv": (*op.kernel, fan_in // op.groups, op.output[2]),
        "depthwise": (*op.kernel, op.output[2], 1),
        "deformable": (*op.kernel, fan_in, op.output[2]),
        "mix": (len(op.inputs),),
    }
    kernel = rng.uniform(-1, 1, shapes.get(op.kind, (op.output[2],)))
    bias = rng.uniform(-1, 1, op.output[2])
    return Weights(kernel.astype(np.float32), bias.astype(np.float32))
