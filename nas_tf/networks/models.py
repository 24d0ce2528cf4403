"""Builds the Keras model of a genotype, with weights."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tensorflow import keras

from nas_tf import spaces
from nas_tf.errors import ConfigError
from nas_tf.genotype import Genotype
from nas_tf.networks import weights as weight_files
from nas_tf.networks.blueprint import Blueprint
from nas_tf.networks.encoders import ENCODERS, Encoder
from nas_tf.networks.from_genotype import (
    blueprint_of,
    encoder_blueprint,
    encoder_of,
    tap_layers,
)
from nas_tf.networks.heads import Head
from nas_tf.networks.keras_model import realise
from nas_tf.networks.settings import Settings
from nas_tf.sizes import Size


def build(
    genotype: Genotype | str | Sequence[Any],
    head: Head | int,
    *,
    input_size: Size | None = None,
    settings: Settings | None = None,
    weights: str | Path | None = None,
) -> keras.Model:
    """Builds the Keras model of a genotype, from images in [-1, 1] to logits.

    ::

        model = build("arch0", 21, input_size=(512, 512))

    Args:
        genotype: A genotype, a published name, or brackets.
        head: A task's head, or a number of classes for segmentation.
        input_size: Height and width; None for a model that takes any size.
        settings: Defaults to those of the space's published networks.
        weights: Weights of the encoder: ``imagenet``, ``drawn`` (for MobileNetV2 of alpha 0.35),
            a file, or None for random ones.

    Returns:
        A functional model; with auxiliaries its outputs are ``logits``, ``aux1``, ….
    """
    genotype = spaces.resolve(genotype)
    blueprint = blueprint_of(genotype, head, input_size=input_size, settings=settings)
    used = encoder_of(genotype.space, settings)
    return _with_weights(blueprint, f"{genotype.space}_{genotype.digest}", used, weights)


def build_decoder(
    genotype: Genotype | str | Sequence[Any],
    head: Head | int,
    *,
    input_size: Size | None = None,
    settings: Settings | None = None,
) -> keras.Model:
    """Builds the decoder alone, from the taps ``tap0`` (stride 4), … to logits.

    Stage one trains it on cached features. Its inputs are the taps that the genotype reads, by
    name; its layers have the names of ``build``, so ``copy_weights`` copies their weights. The
    decoder of DeepLabv3+ reads another tap, which ``encoder(low_level=True)`` returns.
    """
    genotype = spaces.resolve(genotype)
    blueprint = blueprint_of(genotype, head, input_size=input_size, settings=settings)
    low_level = settings is not None and settings.decoder is not None
    taps = tap_layers(encoder_of(genotype.space, settings), low_level=low_level)
    decoder = blueprint.decoder(taps)
    return realise(decoder, name=f"{genotype.space}_{genotype.digest}_decoder")


def encoder(
    encoder: Encoder | None = ENCODERS["mobilenet_v2"],
    *,
    alpha: float | None = None,
    input_size: Size | None = None,
    strides: Sequence[int] | None = None,
    output_stride: int = 32,
    low_level: bool = False,
    weights: str | Path | None = None,
) -> keras.Model:
    """Builds an encoder with its taps as outputs ``tap0`` (the finest), ``tap1``, ….

    ``alpha`` is its width, instead of the encoder's own. With ``low_level``, the layer that the
    decoder of DeepLabv3+ reads is the last output, unless it is a tap. None stands for no
    encoder: the model returns the image as its only tap.
    """
    encoder = encoder and encoder.with_alpha(alpha)
    blueprint = encoder_blueprint(
        encoder,
        input_size=input_size,
        strides=strides,
        output_stride=output_stride,
        low_level=low_level,
    )
    return _with_weights(blueprint, encoder.name if encoder else "image", encoder, weights)


def copy_weights(source: keras.Model, target: keras.Model) -> list[str]:
    """Copies weights by layer name, from a training model to a fixed-size model for instance.

    Returns:
        Names of the target's layers that are missing in the source.
    """
    source_layers = {layer.name: layer for layer in source.layers}
    missing = []
    for layer in target.layers:
        if not layer.weights:
            continue
        if layer.name in source_layers:
            layer.set_weights(source_layers[layer.name].get_weights())
        else:
            missing.append(layer.name)
    return missing


def _with_weights(
    blueprint: Blueprint, name: str, used: Encoder | None, weights: str | Path | None
) -> keras.Model:
    model = realise(blueprint, name=name)
    if weights is not None and used is None:
        raise ConfigError(f"weights is {weights}, expected None, as the network has no encoder")
    if weights is not None:
        path = weight_files.encoder_file(weights, used)
        weight_files.load_encoder(model, blueprint, path, used)
    return model
