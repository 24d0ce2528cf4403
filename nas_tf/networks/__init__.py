"""From a genotype to its network.

``blueprint_of`` returns a blueprint, a plain list of layers; ``cost`` counts it; ``build`` makes a
Keras model of it. What needs TensorFlow (``build``, ``build_decoder``, ``encoder``,
``copy_weights``) loads it when first used.
"""

import importlib
from typing import TYPE_CHECKING, Any

from nas_tf import quiet
from nas_tf.networks import heads, settings
from nas_tf.networks.blueprint import Blueprint, Layer
from nas_tf.networks.cost import CONVENTION, Cost, cost
from nas_tf.networks.from_genotype import blueprint_of, encoder_blueprint
from nas_tf.networks.settings import Settings

if TYPE_CHECKING:
    from nas_tf.networks.build import build, build_decoder, copy_weights, encoder

__all__ = [
    "CONVENTION",
    "Blueprint",
    "Cost",
    "Layer",
    "Settings",
    "blueprint_of",
    "build",
    "build_decoder",
    "copy_weights",
    "cost",
    "encoder",
    "encoder_blueprint",
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
