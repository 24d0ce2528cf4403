"""The KerasTuner side of a search."""

from nas_tf.search.hypermodel import SearchHyperModel
from nas_tf.search.tuner import TwoStageTuner

__all__ = ["SearchHyperModel", "TwoStageTuner"]
