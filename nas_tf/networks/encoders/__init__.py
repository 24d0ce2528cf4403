"""Encoders: the part of a network that has ImageNet weights and is the same in every candidate.

================  ===========================================================================
file              content
================  ===========================================================================
``base``          ``Encoder``, the contract of every encoder
``mobilenet_v2``  MobileNetV2 of six widths
``resnet``        ResNet-50 and ResNet-101
``xception``      Xception
================  ===========================================================================
"""

from dataclasses import replace

from nas_tf.errors import ConfigError, did_you_mean
from nas_tf.networks.encoders.base import Encoder, Released
from nas_tf.networks.encoders.mobilenet_v2 import DRAWN, MobileNetV2
from nas_tf.networks.encoders.resnet import ResNet
from nas_tf.networks.encoders.xception import Xception

__all__ = [
    "DRAWN",
    "ENCODERS",
    "Encoder",
    "MobileNetV2",
    "Released",
    "ResNet",
    "Xception",
    "get",
    "register",
    "without_biases",
]

ENCODERS: dict[str, Encoder] = {}
"""The encoders by their names."""


def register(encoder: Encoder) -> Encoder:
    """Adds an encoder to those that have a name, and returns it."""
    ENCODERS[encoder.name] = encoder
    return encoder


for _encoder in (MobileNetV2(), ResNet(depth=50), ResNet(depth=101), Xception()):
    register(_encoder)


def get(name: str, alpha: float | None = None) -> Encoder:
    """Returns the encoder of a name, at a width if it has several.

    ::

        get("mobilenet_v2", alpha=0.35)
    """
    if not isinstance(name, str) or name not in ENCODERS:
        raise ConfigError(
            f"encoder {name!r:.40} is unknown, expected one of {', '.join(ENCODERS)}"
            f"{did_you_mean(str(name), ENCODERS)}"
        )
    return ENCODERS[name].with_alpha(alpha)


def without_biases(name: str) -> Encoder:
    """Returns the encoder of a name as detectors have it: ResNets without biases."""
    encoder = get(name)
    return replace(encoder, bias=False) if isinstance(encoder, ResNet) else encoder
