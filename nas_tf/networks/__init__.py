"""Turns genotypes into networks.

::

    genotype -- blueprint_of --> Blueprint --+-- cost ----------> parameters, multiply-adds
                                             +-- realise -------> Keras model (saved, exported)
                                             +-- Functional ----> the function that is trained
                                             +-- fuse ----------> operations whose latency is timed

==================  ==========================================================================
file                content
==================  ==========================================================================
``settings``        the choices outside the genotype: width, repeats, auxiliaries; the builders
``encoders``        the encoders with their taps
``ops``, ``heads``  candidate operations; the last layers of every task
``auxcell``,        the builders of the spaces' networks
``template``,
``dpc``, ``fcos``,
``restoration``
``supernet``        all networks of the restoration space at once, with the weights of choices
``blueprint``       ``Blueprint`` and its ``Layer``
``draft``           the ``Draft`` to which builders append layers
``kinds``           the kinds of layers: arrays, multiply-adds, fusing; a row each
``from_genotype``   ``blueprint_of`` and ``encoder_blueprint``
``cost``            parameters, multiply-adds, receptive field, peak memory of a blueprint
``by_position``     the same counts by position in the genotype
``fused``           the operations that an interpreter such as TFLite runs
``keras_model``     a blueprint as a Keras model
``keras_layers``    the layers that Keras does not have
``arithmetic``,     what TensorFlow has no operation for, in training and in what is shipped
``deformable``
``build``           a genotype as a Keras model with weights
``arrays``          the layout of all weights in flat vectors
``functional``      a blueprint as a function of these vectors
``wide``            the same with equal layers computed as one, for super-nets
``state``           the values of the vectors; conversion from and to Keras models
``weights``         files of encoder weights
``model_files``     model files of other people, checked before they are loaded
==================  ==========================================================================

The functions that need TensorFlow (``build``, ``build_decoder``, ``encoder``, ``copy_weights``)
load it when they are first used.
"""

import importlib
import warnings
from typing import TYPE_CHECKING, Any

from nas_tf import quiet
from nas_tf.networks import heads, settings
from nas_tf.networks.blueprint import Blueprint, Layer
from nas_tf.networks.cost import CONVENTION, Cost, cost, cost_by_part
from nas_tf.networks.from_genotype import blueprint_of, encoder_blueprint
from nas_tf.networks.settings import Builder, Settings, register

if TYPE_CHECKING:
    from nas_tf.networks.models import build, build_decoder, copy_weights, encoder

__all__ = [
    "CONVENTION",
    "Blueprint",
    "Builder",
    "Cost",
    "Layer",
    "Settings",
    "blueprint_of",
    "build",
    "build_decoder",
    "copy_weights",
    "cost",
    "cost_by_part",
    "encoder",
    "encoder_blueprint",
    "heads",
    "register",
    "settings",
]

_FORMER_NAMES = {"draw": "blueprint_of", "draw_encoder": "encoder_blueprint"}
_WITH_TENSORFLOW = ("build", "build_decoder", "copy_weights", "encoder")


def __getattr__(name: str) -> Any:
    if name in _FORMER_NAMES:
        current = _FORMER_NAMES[name]
        warnings.warn(f"networks.{name} is now called {current}", FutureWarning, stacklevel=2)
        return globals()[current]
    if name not in _WITH_TENSORFLOW:
        raise AttributeError(f"module 'nas_tf.networks' has no attribute {name!r}")
    quiet.load("tensorflow")
    module = importlib.import_module("nas_tf.networks.models")
    for public in _WITH_TENSORFLOW:
        globals()[public] = getattr(module, public)
    return globals()[name]
