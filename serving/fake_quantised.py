"""A Keras model whose weights and activations are rounded to 8 bits while it trains, by tfmot.

Rounding follows TFLite: kernels per channel, and the output of every operation after its
activation; resizing, padding and pooling keep the range of their input. Kernels of convolutions
in groups and of deformable ones, factors and terms of group normalisation, and factors of entire
maps are not rounded.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_model_optimization as tfmot
from tensorflow import keras

from nas_tf.networks.keras_layers import Resize
from serving import graph
from serving.fused_model import NORMALISED, FusedModel, Zeros

_KERNEL_NAMES = {keras.layers.Conv2D: "kernel", keras.layers.DepthwiseConv2D: "depthwise_kernel"}
_RANGE_PRESERVING = (
    *(Resize, Zeros, keras.layers.UpSampling2D, keras.layers.ZeroPadding2D),
    *(keras.layers.MaxPooling2D, keras.layers.AveragePooling2D),
)
_OUTPUT = tfmot.quantization.keras.quantizers.MovingAverageQuantizer(
    num_bits=8, per_axis=False, symmetric=False, narrow_range=False
)
_Ranges = Mapping[str, tuple[float, float]]


def model(fused: FusedModel, images: Iterable[tf.Tensor]) -> keras.Model:
    """Returns the fused model with fake quantisation, its initial ranges those of ``images``."""
    names = _rounded_outputs(fused)
    ranges = _ranges(fused.keras, names, images)

    def rounded(layer: keras.layers.Layer) -> keras.layers.Layer:
        kernel, rounds_output = _KERNEL_NAMES.get(type(layer)), layer.name in names
        if kernel is None and not rounds_output:
            return layer
        return tfmot.quantization.keras.QuantizeWrapperV2(layer, _Rounding(kernel, rounds_output))

    quantised = keras.models.clone_model(fused.keras, clone_function=rounded)
    _set_ranges(quantised, ranges)
    return quantised


def weights(quantised: keras.Model) -> dict[str, list[np.ndarray]]:
    """Returns the trained kernels and biases, not rounded, by the names of the plain layers."""
    return {
        getattr(layer, "layer", layer).name: [weight.numpy() for weight in _kernel_first(layer)]
        for layer in quantised.layers
        if layer.trainable_weights
    }


class _KernelQuantizer(tfmot.quantization.keras.quantizers.LastValueQuantizer):
    """Rounds a kernel per channel, including depthwise kernels, whose channels are not last."""

    def __init__(self, *, depthwise: bool) -> None:
        super().__init__(num_bits=8, per_axis=True, symmetric=True, narrow_range=True)
        self._order = (0, 1, 3, 2) if depthwise else (0, 1, 2, 3)

    def build(self, tensor_shape: tf.TensorShape, name: str, layer: Any) -> Any:
        shape = [tensor_shape[axis] for axis in self._order]
        return super().build(tf.TensorShape(shape), name, layer)

    def __call__(self, inputs: tf.Tensor, training: bool, weights: Any, **more: Any) -> tf.Tensor:
        transposed = tf.transpose(inputs, self._order)
        return tf.transpose(super().__call__(transposed, training, weights, **more), self._order)


class _Rounding(tfmot.quantization.keras.QuantizeConfig):
    """Quantises a layer's kernel, named by its attribute, and its output if ``output`` is set."""

    def __init__(self, kernel: str | None, output: bool) -> None:
        self._kernel, self._output = kernel, output

    def get_weights_and_quantizers(self, layer: Any) -> list[Any]:
        if self._kernel is None:
            return []
        quantizer = _KernelQuantizer(depthwise=self._kernel.startswith("depthwise"))
        return [(getattr(layer, self._kernel), quantizer)]

    def set_quantize_weights(self, layer: Any, quantize_weights: list[tf.Tensor]) -> None:
        if self._kernel is not None:
            setattr(layer, self._kernel, quantize_weights[0])

    def get_activations_and_quantizers(self, layer: Any) -> list[Any]:
        return []

    def set_quantize_activations(self, layer: Any, quantize_activations: list[Any]) -> None:
        pass

    def get_output_quantizers(self, layer: Any) -> list[Any]:
        return [_OUTPUT] if self._output else []

    def get_config(self) -> dict[str, Any]:
        return {"kernel": self._kernel, "output": self._output}


def _rounded_outputs(fused: FusedModel) -> list[str]:
    """Returns the layers of the image and of the operations' outputs after activations.

    Exponentials are left out: int8 computes them in float, up to the model's outputs.
    """
    left_out = graph.exponents(fused.nodes)
    nodes = [node for node in fused.nodes if node.name not in left_out]
    last = [fused.keras.get_layer(NORMALISED), *map(fused.last_layer, nodes)]
    return [layer.name for layer in last if not isinstance(layer, _RANGE_PRESERVING)]


def _ranges(plain: keras.Model, names: list[str], images: Iterable[tf.Tensor]) -> _Ranges:
    """Returns the minimum and maximum of layers' outputs over images, extended to include zero."""
    outputs = [plain.get_layer(name).output for name in names]
    inner = keras.Model(plain.input, outputs)

    @tf.function(autograph=False)
    def extremes(batch: tf.Tensor) -> tf.Tensor:
        activations = tf.nest.flatten(inner(batch))
        return tf.stack([(tf.reduce_min(x), tf.reduce_max(x)) for x in activations])

    per_batch = np.stack([extremes(batch).numpy() for batch in images])
    lowest, highest = per_batch[..., 0].min(0), per_batch[..., 1].max(0)
    return {
        name: (min(0.0, low), max(0.0, high))
        for name, low, high in zip(names, lowest, highest, strict=True)
    }


def _set_ranges(quantised: keras.Model, ranges: _Ranges) -> None:
    for wrapper in quantised.layers:
        for variable in wrapper.non_trainable_weights:
            kind = variable.name.rpartition("/")[2]
            if kind.startswith("output_m"):
                variable.assign(ranges[wrapper.layer.name][kind.startswith("output_max")])


def _kernel_first(layer: keras.layers.Layer) -> list[tf.Variable]:
    return sorted(layer.trainable_weights, key=lambda weight: "bias" in weight.name)
