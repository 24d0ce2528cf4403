"""The KerasTuner side of a search."""

from nas_tf.search import warm_start
from nas_tf.search.hypermodel import OBJECTIVE, SearchHyperModel
from nas_tf.search.tuner import TwoStageTuner

__all__ = ["OBJECTIVE", "SearchHyperModel", "TwoStageTuner", "warm_start"]
