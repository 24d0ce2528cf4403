"""Configurations: ``schema`` says what there is, ``load`` reads YAML and overrides into it.

``longer`` is a run's configuration with more epochs.
"""

from nas_tf.config.load import dump, load, names
from nas_tf.config.schema import Experiment

__all__ = ["Experiment", "dump", "load", "names"]
