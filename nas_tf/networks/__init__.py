"""From a genotype to its network.

``draw`` writes a blueprint, a plain list of layers; ``cost`` counts it; ``build`` turns it into a
Keras model. What needs TensorFlow (``build``, ``build_decoder``, ``encoder``, ``copy_weights``)
loads it when first used.
"""

import importlib
from typing import TYPE_CHECKING, Any

from nas_tf import quiet
from nas_tf.networks import heads, settings
from nas_tf.networks.blueprint import Blueprint, Layer
from nas_tf.networks.cost import CONVENTION, Cost, cost
from nas_tf.networks.from_genotype import draw, draw_encoder
from nas_tf.networks.settings import Settings

if TYPE_CHECKING:
    from nas_tf.networks.build import build, build_decoder, copy_weights, encoder

__all__ = [
    "CONVENTION",
    "Blueprint",
    "Cost",
    "Layer",
    "Settings",
    "build",
    "build_decoder",
    "copy_weights",
    "cost",
    "draw",
    "draw_encoder",
    "encoder",
    "heads",
    "settings",
]

_WITH_TENSORFLOW = ("build", "build_decoder", "copy_weights", "encoder")


def __getattr__(name: str) -> Any:
    if name not in _WITH_TENSORFLOW:
        raise AttributeError(f"module 'nas_tf.networks' has no attribute {name!r}")
    quiet.load("tensorflow")
    module = importlib.import_module("nas_tf.networks.build")
    for public in _WITH_TENSORFLOW:
        globals()[public] = getattr(module, public)
    return globals()[name]
