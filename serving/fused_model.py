"""A shipped network's fused operations as a Keras model, for tools that modify Keras models.

Normalisation is folded into the convolutions, so weights train as they will be exported.
"""

from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf
from tensorflow import keras

from nas_tf.networks.fused import Node, fuse
from nas_tf.networks.keras_layers import Resize
from nas_tf.networks.state import Arrays
from serving.folding import Weights, folded, unfolded
from serving.shipment import Shipment

NORMALISED = "normalised"
"""The name of the identity layer after the input, which quantisation wraps."""
_ACTIVATED = "_activated"
_AFFINE, _CONV, _DEPTHWISE = "affine", "conv", "depthwise"


@keras.utils.register_keras_serializable("nas_tf")
class Zeros(keras.layers.Layer):
    """A layer that returns a map of zeros for every image of a batch."""

    def __init__(self, shape: tuple[int, int, int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.shape = tuple(shape)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Returns the zeros; only the batch size of ``inputs`` is read."""
        return tf.zeros((tf.shape(inputs)[0], *self.shape))

    def get_config(self) -> dict[str, Any]:
        """Returns the configuration with the shape."""
        return {**super().get_config(), "shape": self.shape}


class FusedModel:
    """A shipment's operations as Keras layers of the same names; converts weights both ways."""

    def __init__(self, shipment: Shipment) -> None:
        self.shipment = shipment
        self.nodes = fuse(shipment.blueprint)
        self.keras = self._built()
        self.fill(shipment.arrays)

    def fill(self, arrays: Arrays) -> None:
        """Sets the layers' weights from a network's arrays."""
        for node in self.nodes:
            weights = folded(node, arrays)
            if weights is not None and node.layers[0].kind != "subsample":
                kernel = weights.kernel
                if node.op.kind == _AFFINE:
                    kernel = kernel.reshape(1, 1, -1, 1)
                layer = self.keras.get_layer(node.name)
                layer.set_weights([kernel, weights.bias][: len(layer.weights)])

    def last_layer(self, node: Node) -> keras.layers.Layer:
        """Returns the layer of an operation's output: its activation if it has one."""
        names = {layer.name for layer in self.keras.layers}
        activated = f"{node.name}{_ACTIVATED}"
        return self.keras.get_layer(activated if activated in names else node.name)

    def arrays(self, values: Mapping[str, list[Any]]) -> Arrays:
        """Returns a network's arrays from kernels and biases by the names of layers."""
        weights = {}
        for node in self.nodes:
            if node.name in values:
                kernel, *rest = values[node.name]
                bias = rest[0] if rest else tf.zeros(node.op.output[2]).numpy()
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
        for node in self.nodes:
            read = [tensors[name] for name in node.inputs]
            layer = _LAYERS[node.op.kind](node, self._has_bias(node))
            y = layer(read if len(read) > 1 else read[0])
            if node.most is not None and node.op.kind != "relu":
                y = keras.layers.ReLU(node.most or None, name=f"{node.name}{_ACTIVATED}")(y)
            tensors[node.name] = y
        outputs = {name: tensors[node.name] for node in self.nodes for name in node.outputs}
        only = len(outputs) == 1
        return keras.Model(inputs, outputs.popitem()[1] if only else outputs, name="fused")

    def _has_bias(self, node: Node) -> bool:
        """Returns whether the network can store a bias: its own, or in a normalisation."""
        own = (node.layers[0].name, "bias") in self.shipment.arrays
        return own or any(layer.kind == "batch_norm" for layer in node.layers)


def _conv(node: Node, bias: bool) -> keras.layers.Layer:
    op = node.op
    return keras.layers.Conv2D(
        op.output[2],
        op.kernel,
        op.stride,
        "same",
        dilation_rate=op.rate,
        use_bias=bias,
        name=node.name,
    )


def _depthwise(node: Node, bias: bool) -> keras.layers.Layer:
    op = node.op
    if node.layers[0].kind == "subsample":
        return keras.layers.MaxPooling2D(1, op.stride, "same", name=node.name)
    return keras.layers.DepthwiseConv2D(
        op.kernel, op.stride, "same", dilation_rate=op.rate, use_bias=bias, name=node.name
    )


_LAYERS: Mapping[str, Callable[[Node, bool], keras.layers.Layer]] = {
    _CONV: _conv,
    _DEPTHWISE: _depthwise,
    _AFFINE: lambda node, bias: keras.layers.DepthwiseConv2D(1, use_bias=bias, name=node.name),
    "max_pool": lambda node, _: keras.layers.MaxPooling2D(
        node.op.kernel, node.op.stride, "same", name=node.name
    ),
    "average_pool": lambda node, _: keras.layers.AveragePooling2D(
        node.op.kernel, node.op.stride, name=node.name
    ),
    "mean": lambda node, _: keras.layers.GlobalAveragePooling2D(keepdims=True, name=node.name),
    "add": lambda node, _: keras.layers.Add(name=node.name),
    "concat": lambda node, _: keras.layers.Concatenate(name=node.name),
    "relu": lambda node, _: keras.layers.ReLU(node.most or None, name=node.name),
    "resize": lambda node, _: Resize(node.op.output[:2], corners=node.op.corners, name=node.name),
}
