"""Comparison of a network before and after its compression, both as int8 TFLite models."""

import gzip
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import NamedTuple

import tensorflow as tf

from nas_tf.data.whole_pictures import WholePictures
from nas_tf.jobs.trained import LoadedNetwork
from serving import compress, lite_runner, measure, parity, tflite
from serving.parity import Parity
from serving.shipment import Shipment

_SAMPLES, _ROUNDS = 100, 3
THREADS = (1, 2)


class Figures(NamedTuple):
    """The figures that compression changes: those of the task, of kernels, of the int8 model."""

    keras: Mapping[str, float]
    int8: Mapping[str, float]
    zeros: float
    distinct: int
    bytes: int
    gzipped: int
    latency_ms: Mapping[int, float]
    """Milliseconds by the number of threads."""


class Comparison:
    """Compares a network with itself compressed; conversion errors are raised at once.

    Args:
        network: The network before.
        count: The number of validation pictures.
    """

    def __init__(self, network: LoadedNetwork, count: int) -> None:
        self._samples = list(network.samples(_SAMPLES))
        self._pictures = network.pictures(network.config.data.val_split, count)
        are_whole = isinstance(self._pictures, WholePictures)
        batch_sizes = (len(images) for images, _ in (() if are_whole else self._pictures))
        self.images = len(self._pictures) if are_whole else sum(batch_sizes)
        self._before = network.shipment, *self._measure(network.shipment)

    def compare(self, after: LoadedNetwork) -> dict[str, Figures]:
        """Returns the figures ``before`` and ``after``; latencies are measured in turns."""
        both = {"before": self._before, "after": (after.shipment, *self._measure(after.shipment))}
        contents = {Path(name): model for name, (_, model, _) in both.items()}
        rows = measure.time_in_turns(contents, {"TensorFlow": tf.lite}, THREADS, _ROUNDS)
        times = {(row.name, row.threads): median(row.medians) for row in rows}
        return {
            name: Figures(
                compared["keras"].result,
                compared["int8"].result,
                compress.zeros(shipment),
                compress.distinct(shipment),
                len(model),
                len(gzip.compress(model, 9)),
                {threads: times[name, threads] for threads in THREADS},
            )
            for name, (shipment, model, compared) in both.items()
        }

    def _measure(self, shipment: Shipment) -> tuple[bytes, Mapping[str, Parity]]:
        model = tflite.convert(shipment, "int8", self._samples)
        answers = {"int8": lite_runner.LiteModel(model, threads=2)}
        return model, parity.compare(shipment, answers, self._pictures)
