"""Builds a functional Keras model from a blueprint, with a Keras layer of the same name per layer.

It also holds the two custom layers ``Resize`` and ``Zero``. Their registered names are stored in
saved models and must not change.
"""

import gc
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import tensorflow as tf
from tensorflow import keras

from nas_tf.networks.blueprint import Blueprint, Layer


@keras.utils.register_keras_serializable("nas_tf")
class Resize(keras.layers.Layer):
    """Bilinear resizing to a fixed size, or to the size of a second input.

    ::

        small = Resize((32, 48))(image)
        like_other = Resize()([image, other])

    Args:
        size: Height and width, or None to take them from the second input.
        corners: Align corner pixels (the released DPC code) instead of half-pixel centres.
    """

    def __init__(
        self, size: tuple[int, int] | None = None, *, corners: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.size, self.corners = size, corners

    def call(self, inputs: Any) -> tf.Tensor:
        """Resizes the first input and returns the result in its type."""
        x = inputs if self.size is not None else inputs[0]
        size = self.size if self.size is not None else tf.shape(inputs[1])[1:3]
        resized = tf.raw_ops.ResizeBilinear(
            images=x, size=size, align_corners=self.corners, half_pixel_centers=not self.corners
        )
        return tf.cast(resized, x.dtype)

    def get_config(self) -> dict[str, Any]:
        """Returns the configuration, with size and alignment."""
        return {**super().get_config(), "size": self.size, "corners": self.corners}


@keras.utils.register_keras_serializable("nas_tf")
class Zero(keras.layers.Layer):
    """The operation ``zero``: a map of zeros whose gradient is zero rather than absent."""

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Returns the input multiplied by zero."""
        return inputs * tf.zeros((), inputs.dtype)


def realise(blueprint: Blueprint, *, name: str) -> keras.Model:
    """Builds the Keras model of a blueprint, without its dead layers.

    The model returns the logits alone, or a dictionary of outputs if there are auxiliaries;
    likewise it takes the image alone, or a dictionary of taps.
    """
    with _garbage_collection_paused():
        return _build_model(blueprint.live(), name)


@contextmanager
def _garbage_collection_paused() -> Iterator[None]:
    """Pauses the garbage collection, which would take a quarter of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _build_model(blueprint: Blueprint, name: str) -> keras.Model:
    tensors: dict[str, Any] = {}
    for layer in blueprint.layers:
        if layer.kind == "input":
            size = (None, None) if blueprint.dynamic else layer.size
            tensors[layer.name] = keras.Input((*size, layer.channels), name=layer.name)
            continue
        inputs = [tensors[source] for source in layer.inputs]
        if layer.kind == "resize":
            tensors[layer.name] = _resize(layer, blueprint, inputs)
            continue
        keras_layer = _KERAS_LAYERS[layer.kind](layer)
        tensors[layer.name] = keras_layer(inputs if len(inputs) > 1 else inputs[0])
    outputs = {key: tensors[layer] for key, layer in blueprint.outputs.items()}
    inputs = {
        layer.name: tensors[layer.name] for layer in blueprint.layers if layer.kind == "input"
    }
    return keras.Model(_only(inputs), _only(outputs), name=name)


def _only(tensors: dict[str, Any]) -> Any:
    """Returns the tensor if there is only one, else the dictionary."""
    return tensors if len(tensors) > 1 else next(iter(tensors.values()))


def _conv(layer: Layer) -> keras.layers.Layer:
    options = layer.options
    return keras.layers.Conv2D(
        layer.channels,
        options["kernel"],
        strides=options["stride"],
        dilation_rate=options["rate"],
        padding="same",
        use_bias=options["bias"],
        kernel_initializer=_initializer(options["init"]),
        name=layer.name,
    )


def _depthwise(layer: Layer) -> keras.layers.Layer:
    options = layer.options
    return keras.layers.DepthwiseConv2D(
        options["kernel"],
        strides=options["stride"],
        dilation_rate=options["rate"],
        padding="same",
        use_bias=False,
        depthwise_initializer=_initializer(options["init"]),
        name=layer.name,
    )


def _initializer(name: str) -> keras.initializers.Initializer:
    kind, _, spread = name.partition(":")
    if kind == "truncated_normal":
        return keras.initializers.TruncatedNormal(stddev=float(spread))
    return keras.initializers.get(kind)


def _batch_norm(layer: Layer) -> keras.layers.Layer:
    return keras.layers.BatchNormalization(
        epsilon=layer.options["epsilon"], momentum=layer.options["momentum"], name=layer.name
    )


def _max_pool(layer: Layer) -> keras.layers.Layer:
    return keras.layers.MaxPooling2D(
        layer.options["kernel"],
        strides=layer.options["stride"],
        padding="same",
        name=layer.name,
    )


def _average_pool(layer: Layer) -> keras.layers.Layer:
    return keras.layers.AveragePooling2D(
        layer.options["kernel"], strides=layer.options["stride"], name=layer.name
    )


def _scale(layer: Layer) -> keras.layers.Layer:
    """Returns a factor per channel as a 1x1 depthwise convolution, so that it can be quantised."""
    return keras.layers.DepthwiseConv2D(
        1, use_bias=False, depthwise_initializer="ones", name=layer.name
    )


def _resize(layer: Layer, blueprint: Blueprint, inputs: list[Any]) -> Any:
    """Resizes by the simplest layer that can: none, ``UpSampling2D``, or ``Resize``."""
    source = blueprint.by_name[layer.inputs[0]]
    if blueprint.dynamic:
        return Resize(corners=layer.options["corners"], name=layer.name)(inputs)
    if source.size == layer.size:
        return inputs[0]
    factors = tuple(new / old for new, old in zip(layer.size, source.size, strict=True))
    if not layer.options["corners"] and all(factor.is_integer() for factor in factors):
        size = tuple(int(factor) for factor in factors)
        upsampling = keras.layers.UpSampling2D(size, interpolation="bilinear", name=layer.name)
        return upsampling(inputs[0])
    resize = Resize(layer.size, corners=layer.options["corners"], name=layer.name)
    return resize(inputs[0])


_KERAS_LAYERS: Mapping[str, Callable[[Layer], keras.layers.Layer]] = {
    "conv": _conv,
    "depthwise": _depthwise,
    "batch_norm": _batch_norm,
    "relu": lambda layer: keras.layers.ReLU(layer.options["most"], name=layer.name),
    "max_pool": _max_pool,
    "average_pool": _average_pool,
    "global_pool": lambda layer: keras.layers.GlobalAveragePooling2D(
        keepdims=True, name=layer.name
    ),
    "subsample": lambda layer: keras.layers.MaxPooling2D(1, strides=2, name=layer.name),
    "add": lambda layer: keras.layers.Add(name=layer.name),
    "concat": lambda layer: keras.layers.Concatenate(name=layer.name),
    "scale": _scale,
    "zero": lambda layer: Zero(name=layer.name),
    "dropout": lambda layer: keras.layers.Dropout(layer.options["drop"], name=layer.name),
    "output": lambda layer: keras.layers.Activation("linear", dtype="float32", name=layer.name),
}
