"""Configurations: ``schema`` says what there is, ``load`` reads YAML and overrides into it.

``rerank`` gives a run's configuration more epochs.
"""

from nas_tf.config.load import dump, load, names
from nas_tf.config.schema import Config

__all__ = ["Config", "dump", "load", "names"]
