"""Runs searches under KerasTuner.

``hypermodel`` makes a HyperModel of a search space; ``tuner`` evaluates an oracle's proposals.
``outcome`` makes the record of a trial, ``provenance`` that of the run; ``gate_log`` logs the
gate's decisions, ``candidate_models`` saves trained arrays and loads them into Keras models, and
``sample_images`` and ``tensorboard_log`` show trials. ``preflight`` checks a search before it
starts, ``pricing`` turns costs into penalties, ``warm_start`` reads the best genotypes of another
run, and ``rerank`` trains the best of a search longer.
"""

from nas_tf import quiet

quiet.load("tensorflow")
quiet.load("keras_tuner")

from nas_tf.search import warm_start  # noqa: E402
from nas_tf.search.hypermodel import OBJECTIVE, SearchHyperModel  # noqa: E402
from nas_tf.search.tuner import TwoStageTuner  # noqa: E402

__all__ = ["OBJECTIVE", "SearchHyperModel", "TwoStageTuner", "warm_start"]
