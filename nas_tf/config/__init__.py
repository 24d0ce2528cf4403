"""Configurations: ``schema`` says what there is, ``load`` reads YAML and overrides into it.

``rerank`` gives a run's configuration more epochs.
"""

from nas_tf.config.load import dump, load, names
from nas_tf.config.schema import Experiment

__all__ = ["Experiment", "dump", "load", "names"]
