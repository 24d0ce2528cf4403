"""A shipped network's fused operations as a Keras model, for tools that modify Keras models.

Normalisation is folded into the convolutions, so weights train as they will be exported.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow import keras

from nas_tf.networks.fused import Node, fuse
from nas_tf.networks.keras_layers import Configured
from nas_tf.networks.keras_model import keras_layer_of
from nas_tf.networks.state import Arrays
from serving.folding import Weights, folded, unfolded
from serving.shipment import Shipment

NORMALISED = "normalised"
"""The name of the identity layer after the input, which quantisation wraps."""
_AFFINE = "affine"


@keras.utils.register_keras_serializable("nas_tf")
class Zeros(Configured):
    """A layer that returns a map of zeros for every image of a batch."""

    def __init__(self, shape: tuple[int, int, int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.shape = tuple(shape)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Returns the zeros; only the batch size of ``inputs`` is read."""
        return tf.zeros((tf.shape(inputs)[0], *self.shape))


class FusedModel:
    """A shipment's operations as Keras layers of the same names; converts weights both ways.

    Operations that share a kernel are a layer with the name of the first. Tables do not train.
    """

    def __init__(self, shipment: Shipment) -> None:
        self.shipment = shipment
        self.nodes = fuse(shipment.blueprint)
        self._owned: dict[str, keras.layers.Layer] = {}
        self._last: dict[str, keras.layers.Layer] = {}
        self.keras = self._built()
        self.fill(shipment.arrays)

    def fill(self, arrays: Arrays) -> None:
        """Sets the layers' weights from a network's arrays."""
        for node in self.nodes:
            weights = folded(node, arrays)
            if weights is not None:
                layer = self._owned[node.layers[0].arrays_of]
                values = zip(layer.weights, (weights.kernel, weights.bias), strict=False)
                layer.set_weights([np.resize(value, weight.shape) for weight, value in values])
        for layer in self.shipment.shipped.layers:
            if layer.kind == "table":
                self._owned[layer.name].set_weights([arrays[layer.name, "table"]])

    def last_layer(self, node: Node) -> keras.layers.Layer:
        """Returns the layer of an operation's output: its activation if it has one."""
        return self._last[node.name]

    def arrays(self, values: Mapping[str, list[Any]]) -> Arrays:
        """Returns a network's arrays from kernels and biases by the names of layers."""
        weights = {}
        for node in self.nodes:
            name = self._owned[node.layers[0].arrays_of].name
            if name in values:
                kernel, *rest = values[name]
                bias = rest[0] if rest else np.zeros(node.op.output[2], np.float32)
                kernel = kernel.reshape(-1) if node.op.kind == _AFFINE else kernel
                weights[node.name] = Weights(kernel, bias)
        return unfolded(self.nodes, weights, self.shipment.arrays)

    def _built(self) -> keras.Model:
        blueprint = self.shipment.shipped
        (image,) = (layer for layer in blueprint.layers if layer.kind == "input")
        inputs = keras.Input((*image.size, image.channels), name=image.name)
        tensors = {image.name: keras.layers.Activation("linear", name=NORMALISED)(inputs)}
        for layer in blueprint.layers:
            if layer.kind == "zero":
                zeros = Zeros((*layer.size, layer.channels), name=layer.name)
                tensors[layer.name] = zeros(tensors[image.name])
            if layer.kind == "table":
                table = self._owned[layer.name] = keras_layer_of(layer, blueprint)
                table.trainable = False
                tensors[layer.name] = table(tensors[image.name])
        uses = Counter(node.layers[0].arrays_of for node in self.nodes)
        for node in self.nodes:
            first = node.layers[0]
            tables = first.inputs[:1] if first.kind == "mix" else ()
            read = [tensors[name] for name in (*tables, *node.inputs)]
            layer = self._owned.get(first.arrays_of) or self._layer(node)
            y = layer(read if len(read) > 1 else read[0])
            self._owned[first.arrays_of] = self._last[node.name] = layer
            if activation := _activation(node, is_shared=uses[first.arrays_of] > 1):
                y = activation(y)
                self._last[node.name] = activation
            tensors[node.name] = y
        outputs = {name: tensors[node.name] for node in self.nodes for name in node.outputs}
        only = len(outputs) == 1
        return keras.Model(inputs, outputs.popitem()[1] if only else outputs, name="fused")

    def _layer(self, node: Node) -> keras.layers.Layer:
        """Returns the Keras layer of an operation without its activation.

        It has a bias if the network can store it: in a bias of its own, or in a normalisation.
        """
        first = node.layers[0]
        own = (first.arrays_of, "bias") in self.shipment.arrays
        bias = own or any(layer.kind == "batch_norm" for layer in node.layers)
        kind = "scale" if first.kind == "batch_norm" else first.kind
        layer = replace(first, name=node.name, kind=kind, options={**first.options, "bias": bias})
        return keras_layer_of(layer, self.shipment.shipped)


def _activation(node: Node, *, is_shared: bool) -> keras.layers.Layer | None:
    """Returns the layer after an operation's own, None if there is none.

    After a shared one it is the identity, whose range in 8 bits is that of this operation alone.
    """
    name = f"{node.name}_activated"
    if node.most is not None and node.op.kind != "relu":
        return keras.layers.ReLU(node.most or None, name=name)
    return keras.layers.Activation("linear", name=name) if is_shared else None
