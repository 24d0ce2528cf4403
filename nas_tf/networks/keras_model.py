"""Builds a functional Keras model from a blueprint, with a Keras layer of the same name per layer.

Operations that Keras has no layer for are in ``keras_layers``.
"""

import gc
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from tensorflow import keras

from nas_tf.networks.blueprint import Blueprint, Layer
from nas_tf.networks.keras_layers import (
    DeformableConv,
    GroupedConv,
    Luma,
    Mix,
    Resize,
    Scale,
    Table,
    Zero,
)


def realise(blueprint: Blueprint, *, name: str) -> keras.Model:
    """Builds the Keras model of a blueprint, without its dead layers.

    The model returns a single output alone, else a dictionary of outputs and auxiliaries, by the
    names of their layers; likewise it takes the image alone, or a dictionary of taps.
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
    owners: dict[str, keras.layers.Layer] = {}
    for layer in blueprint.layers:
        if layer.kind == "input":
            size = (None, None) if blueprint.dynamic else layer.size
            tensors[layer.name] = keras.Input((*size, layer.channels), name=layer.name)
            continue
        inputs = [tensors[source] for source in layer.inputs]
        if layer.kind == "resize" and not blueprint.dynamic:
            inputs = inputs[:1]
            if blueprint.by_name[layer.inputs[0]].size == layer.size:
                tensors[layer.name] = inputs[0]
                continue
        owner = layer.arrays_of
        if owner not in owners:
            owners[owner] = keras_layer_of(replace(layer, name=owner), blueprint)
        keras_layer = owners[owner]
        tensors[layer.name] = keras_layer(inputs if len(inputs) > 1 else inputs[0])
    outputs = {key: tensors[layer] for key, layer in blueprint.outputs.items()}
    for auxiliary in blueprint.auxiliaries.values():
        outputs |= {layer: tensors[layer] for layer in auxiliary.values()}
    inputs = {
        layer.name: tensors[layer.name] for layer in blueprint.layers if layer.kind == "input"
    }
    return keras.Model(_only(inputs), _only(outputs), name=name)


def keras_layer_of(layer: Layer, blueprint: Blueprint) -> keras.layers.Layer:
    """Returns a Keras layer, with initial weights, for a layer of a blueprint."""
    if layer.kind == "resize":
        return _resize(layer, blueprint)
    return _KERAS_LAYERS[layer.kind](layer)


def _only(tensors: dict[str, Any]) -> Any:
    """Returns the tensor if there is only one, else the dictionary."""
    return tensors if len(tensors) > 1 else next(iter(tensors.values()))


def _conv(layer: Layer) -> keras.layers.Layer:
    options = layer.options
    grouped = {"groups": options["groups"]} if "groups" in options else {}
    return (GroupedConv if grouped else keras.layers.Conv2D)(
        layer.channels,
        options["kernel"],
        strides=options["stride"],
        dilation_rate=options["rate"],
        padding=options.get("padding", "same"),
        use_bias=options["bias"],
        kernel_initializer=_initializer(options["init"]),
        name=layer.name,
        **grouped,
    )


def _deformable(layer: Layer) -> keras.layers.Layer:
    return DeformableConv(layer.channels, layer.options["groups"], name=layer.name)


def _depthwise(layer: Layer) -> keras.layers.Layer:
    options = layer.options
    return keras.layers.DepthwiseConv2D(
        options["kernel"],
        strides=options["stride"],
        dilation_rate=options["rate"],
        padding="same",
        use_bias=options.get("bias", False),
        depthwise_initializer=_initializer(options["init"]),
        name=layer.name,
    )


def _initializer(name: str) -> keras.initializers.Initializer:
    kind, _, spread = name.partition(":")
    if kind == "truncated_normal":
        return keras.initializers.TruncatedNormal(stddev=float(spread))
    if kind == "uniform":
        return keras.initializers.RandomUniform(-float(spread), float(spread))
    return keras.initializers.get(kind)


def _normalise(layer: Layer) -> keras.layers.Layer:
    variance = [value**2 for value in layer.options["deviation"]]
    return keras.layers.Normalization(
        mean=list(layer.options["mean"]), variance=variance, name=layer.name
    )


def _batch_norm(layer: Layer) -> keras.layers.Layer:
    affine = layer.options.get("affine", True)
    return keras.layers.BatchNormalization(
        epsilon=layer.options["epsilon"],
        momentum=layer.options["momentum"],
        scale=affine,
        center=affine,
        name=layer.name,
    )


def _max_pool(layer: Layer) -> keras.layers.Layer:
    return keras.layers.MaxPooling2D(
        layer.options["kernel"],
        strides=layer.options["stride"],
        padding=layer.options.get("padding", "same"),
        name=layer.name,
    )


def _average_pool(layer: Layer) -> keras.layers.Layer:
    return keras.layers.AveragePooling2D(
        layer.options["kernel"], strides=layer.options["stride"], name=layer.name
    )


def _scale(layer: Layer) -> keras.layers.Layer:
    """Returns a factor per channel as a 1x1 depthwise convolution, so that it can be quantised."""
    if layer.options.get("scalar"):
        return Scale(name=layer.name)
    bias = layer.options.get("bias", False)
    return keras.layers.DepthwiseConv2D(
        1, use_bias=bias, depthwise_initializer="ones", name=layer.name
    )


def _resize(layer: Layer, blueprint: Blueprint) -> keras.layers.Layer:
    """Returns the simplest layer that resizes: ``UpSampling2D`` or ``Resize``."""
    corners, size = layer.options["corners"], None if blueprint.dynamic else layer.size
    source = blueprint.by_name[layer.inputs[0]].size
    if size and not corners and size[0] % source[0] == 0 and size[1] % source[1] == 0:
        factors = size[0] // source[0], size[1] // source[1]
        return keras.layers.UpSampling2D(factors, interpolation="bilinear", name=layer.name)
    return Resize(size, corners=corners, name=layer.name)


_KERAS_LAYERS: Mapping[str, Callable[[Layer], keras.layers.Layer]] = {
    "conv": _conv,
    "depthwise": _depthwise,
    "deformable": _deformable,
    "normalise": _normalise,
    "batch_norm": _batch_norm,
    "group_norm": lambda layer: keras.layers.GroupNormalization(
        layer.options["groups"], epsilon=layer.options["epsilon"], name=layer.name
    ),
    "leaky_relu": lambda layer: keras.layers.LeakyReLU(layer.options["slope"], name=layer.name),
    "luma": lambda layer: Luma(name=layer.name),
    "exp": lambda layer: keras.layers.Activation("exponential", name=layer.name),
    "sigmoid": lambda layer: keras.layers.Activation("sigmoid", name=layer.name),
    "relu": lambda layer: keras.layers.ReLU(layer.options["most"], name=layer.name),
    "max_pool": _max_pool,
    "average_pool": _average_pool,
    "global_pool": lambda layer: keras.layers.GlobalAveragePooling2D(
        keepdims=True, name=layer.name
    ),
    "subsample": lambda layer: keras.layers.MaxPooling2D(
        1, strides=layer.options["stride"], name=layer.name
    ),
    "pad": lambda layer: keras.layers.ZeroPadding2D(layer.options["border"], name=layer.name),
    "add": lambda layer: keras.layers.Add(name=layer.name),
    "subtract": lambda layer: keras.layers.Subtract(name=layer.name),
    "table": lambda layer: Table(layer.options["rows"], layer.channels, name=layer.name),
    "mix": lambda layer: Mix(layer.options["entries"], layer.options["masked"], name=layer.name),
    "concat": lambda layer: keras.layers.Concatenate(name=layer.name),
    "scale": _scale,
    "zero": lambda layer: Zero(name=layer.name),
    "dropout": lambda layer: keras.layers.Dropout(layer.options["drop"], name=layer.name),
    "output": lambda layer: keras.layers.Activation("linear", dtype="float32", name=layer.name),
}
