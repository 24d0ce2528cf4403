"""A Keras model whose weights and activations are rounded to 8 bits while it trains, by tfmot.

What is rounded follows TFLite: kernels channel by channel, and what every operation gives after
its activation; resizing and pooling keep the range of what they read.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_model_optimization as tfmot
from tensorflow import keras

from nas_tf.networks.keras_model import Resize
from serving.fused_model import NORMALISED, FusedModel, Zeros

_KERNELS = {keras.layers.Conv2D: "kernel", keras.layers.DepthwiseConv2D: "depthwise_kernel"}
_KEEPS_RANGE = (Resize, Zeros, keras.layers.MaxPooling2D, keras.layers.AveragePooling2D)
_OUTPUT = tfmot.quantization.keras.quantizers.MovingAverageQuantizer(
    num_bits=8, per_axis=False, symmetric=False, narrow_range=False
)
_Ranges = Mapping[str, tuple[float, float]]


def model(fused: FusedModel, images: Iterable[tf.Tensor]) -> keras.Model:
    """The fused model with roundings, whose ranges are first those of ``images``."""
    names = _last_layers(fused)
    ranges = _ranges(fused.keras, names, images)

    def rounded(layer: keras.layers.Layer) -> keras.layers.Layer:
        kernel, last = _KERNELS.get(type(layer)), layer.name in names
        if kernel is None and not last:
            return layer
        return tfmot.quantization.keras.QuantizeWrapperV2(layer, _Rounding(kernel, last))

    made = keras.models.clone_model(fused.keras, clone_function=rounded)
    _begin_with(made, ranges)
    return made


def weights(made: keras.Model) -> dict[str, list[np.ndarray]]:
    """Kernels and biases as they train, not rounded, by the names of the plain layers."""
    return {
        wrapper.layer.name: [one.numpy() for one in _kernel_first(wrapper)]
        for wrapper in made.layers
        if wrapper.trainable_weights
    }


class _KernelQuantizer(tfmot.quantization.keras.quantizers.LastValueQuantizer):
    """Rounds a kernel channel by channel, a depthwise one too, whose channels are not last."""

    def __init__(self, *, depthwise: bool) -> None:
        super().__init__(num_bits=8, per_axis=True, symmetric=True, narrow_range=True)
        self._order = (0, 1, 3, 2) if depthwise else (0, 1, 2, 3)

    def build(self, tensor_shape: tf.TensorShape, name: str, layer: Any) -> Any:
        shape = [tensor_shape[axis] for axis in self._order]
        return super().build(tf.TensorShape(shape), name, layer)

    def __call__(self, inputs: tf.Tensor, training: bool, weights: Any, **more: Any) -> tf.Tensor:
        turned = tf.transpose(inputs, self._order)
        return tf.transpose(super().__call__(turned, training, weights, **more), self._order)


class _Rounding(tfmot.quantization.keras.QuantizeConfig):
    """Of a layer its kernel, by the name of its attribute, and what it gives where it is last."""

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


def _last_layers(fused: FusedModel) -> list[str]:
    """The layers that give the image and what operations give, after activations."""
    last = [fused.keras.get_layer(NORMALISED), *map(fused.last_layer, fused.nodes)]
    return [layer.name for layer in last if not isinstance(layer, _KEEPS_RANGE)]


def _ranges(plain: keras.Model, names: list[str], images: Iterable[tf.Tensor]) -> _Ranges:
    """The least and the most that layers give, zero always among them."""
    outputs = [plain.get_layer(name).output for name in names]
    inner = keras.Model(plain.input, outputs)

    @tf.function(autograph=False)
    def extremes(batch: tf.Tensor) -> tf.Tensor:
        given = tf.nest.flatten(inner(batch))
        return tf.stack([(tf.reduce_min(one), tf.reduce_max(one)) for one in given])

    seen = np.stack([extremes(batch).numpy() for batch in images])
    least, most = seen[..., 0].min(0), seen[..., 1].max(0)
    return {
        name: (min(0.0, low), max(0.0, high))
        for name, low, high in zip(names, least, most, strict=True)
    }


def _begin_with(made: keras.Model, ranges: _Ranges) -> None:
    for wrapper in made.layers:
        for variable in wrapper.non_trainable_weights:
            kind = variable.name.rpartition("/")[2]
            if kind.startswith("output_m"):
                variable.assign(ranges[wrapper.layer.name][kind.startswith("output_max")])


def _kernel_first(wrapper: keras.layers.Layer) -> list[tf.Variable]:
    return sorted(wrapper.trainable_weights, key=lambda weight: "bias" in weight.name)
