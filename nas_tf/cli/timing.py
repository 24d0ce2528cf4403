"""Latency measured on this machine, for commands whose configuration asks for it."""

from nas_tf.config.schema import Experiment
from nas_tf.training.two_stage import Latency


def measured(experiment: Experiment) -> Latency | None:
    """Times every network itself, if ``search.latency`` is ``tflite``."""
    from nas_tf.search.prices import TFLITE

    if experiment.search.latency != TFLITE:
        return None
    from serving import measure

    return lambda blueprint: measure.time_network(blueprint).median_ms
