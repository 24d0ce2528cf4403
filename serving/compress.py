"""Fine-tuning that makes a shipment bear 8 bits, or its files pack smaller, by tfmot.

Each takes a shipment and gives one of the same layers with other weights, so that all that ships
the first ships the second. Normalisation is folded in before: its statistics stay as they are.
"""

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow import keras

from nas_tf import quiet
from nas_tf.errors import EnvironmentFault, TrainingError
from nas_tf.networks.state import Arrays
from serving.fused_model import FusedModel
from serving.shipment import Shipment

Seen = Callable[[int, float], None]
"""Is told of every step: its number, from 1 on, and the mean loss so far."""
_CALIBRATION = 8
_UPDATES = 20


@dataclass(frozen=True)
class FineTuning:
    """How the weights follow what was done to them.

    Args:
        stream: Endless batches of images in [-1, 1] and dense targets.
        steps: Updates, by Adam.
        rate: The learning rate at first; it falls to zero.
        seen: Told of every step.
    """

    stream: tf.data.Dataset
    steps: int = 200
    rate: float = 1e-4
    seen: Seen | None = None


def quantised(shipment: Shipment, tuning: FineTuning) -> Shipment:
    """Trained with weights and activations rounded as int8 will round them (arXiv 1712.05877).

    Ranges begin at what the network gives on the first batches. The rounding itself is left to the
    conversion, which rounds these weights as they were rounded here.
    """
    toolkit()
    from serving import fake_quantised

    fused = FusedModel(shipment)
    first = (images for images, _ in tuning.stream.take(_CALIBRATION))
    model = fake_quantised.model(fused, first)
    _fit(model, shipment, tuning)
    return _with(shipment, fused.arrays(fake_quantised.weights(model)), "quantised", tuning)


def pruned(shipment: Shipment, tuning: FineTuning, *, sparsity: float) -> Shipment:
    """The least kernel values of convolutions set to zero, more and more over half the steps.

    Depthwise kernels stay as they are: they are few, and tfmot prunes none.
    """
    sparse = toolkit().sparsity.keras
    fused = FusedModel(shipment)
    end = max(1, tuning.steps // 2)
    schedule = sparse.PolynomialDecay(0.0, sparsity, 0, end, frequency=max(1, end // _UPDATES))
    model = _wrapped(fused, lambda layer: sparse.prune_low_magnitude(layer, schedule))
    _fit(model, shipment, tuning, [sparse.UpdatePruningStep()])
    kept = fused.arrays(_weights(sparse.strip_pruning(model)))
    return _with(shipment, kept, "pruned", tuning, sparsity=sparsity)


def clustered(shipment: Shipment, tuning: FineTuning, *, clusters: int) -> Shipment:
    """Every kernel of a convolution made of a few values, which train (arXiv 1510.00149)."""
    cluster = toolkit().clustering.keras
    fused = FusedModel(shipment)
    start = cluster.CentroidInitialization.KMEANS_PLUS_PLUS

    def wrap(layer: keras.layers.Layer) -> keras.layers.Layer:
        if tf.size(layer.kernel) <= clusters:
            return layer
        return cluster.cluster_weights(
            layer, number_of_clusters=clusters, cluster_centroids_init=start
        )

    model = _wrapped(fused, wrap)
    _fit(model, shipment, tuning)
    kept = fused.arrays(_weights(cluster.strip_clustering(model)))
    return _with(shipment, kept, "clustered", tuning, clusters=clusters)


def zeros(shipment: Shipment) -> float:
    """The share of zeros among the kernels of convolutions."""
    kernels = _kernels(shipment)
    return sum(int((kernel == 0).sum()) for kernel in kernels) / sum(
        kernel.size for kernel in kernels
    )


def distinct(shipment: Shipment) -> int:
    """How many values the richest kernel of a convolution is made of."""
    return max(len(np.unique(kernel)) for kernel in _kernels(shipment))


def _kernels(shipment: Shipment) -> list[np.ndarray]:
    convs = [layer for layer in shipment.shipped.layers if layer.kind == "conv"]
    return [shipment.arrays[layer.name, "kernel"] for layer in convs]


def toolkit() -> ModuleType:
    """tfmot, after the Keras that it is to work on: the order decides which Keras it takes."""
    if os.environ.get("TF_USE_LEGACY_KERAS"):
        raise EnvironmentFault(
            "TF_USE_LEGACY_KERAS is set: TensorFlow's model optimisation would work on another "
            "Keras, expected it not to be set"
        )
    return quiet.load("tensorflow_model_optimization")


def _wrapped(
    fused: FusedModel, wrap: Callable[[keras.layers.Layer], keras.layers.Layer]
) -> keras.Model:
    """The model with its convolutions wrapped; all other layers are the model's own."""

    def each(layer: keras.layers.Layer) -> keras.layers.Layer:
        return wrap(layer) if type(layer) is keras.layers.Conv2D else layer

    return keras.models.clone_model(fused.keras, clone_function=each)


def _weights(model: keras.Model) -> dict[str, list[np.ndarray]]:
    return {layer.name: layer.get_weights() for layer in model.layers if layer.weights}


def _fit(
    model: keras.Model, shipment: Shipment, tuning: FineTuning, callbacks: Iterable[Any] = ()
) -> None:
    def told(step: int, logs: dict[str, float]) -> None:
        if not np.isfinite(logs["loss"]):
            raise TrainingError(
                f"{shipment.name} diverged at step {step + 1}, expected a learning rate below "
                f"{tuning.rate:g}"
            )
        if tuning.seen is not None:
            tuning.seen(step + 1, logs["loss"])

    watch = keras.callbacks.LambdaCallback(on_batch_end=told)
    falling = keras.optimizers.schedules.PolynomialDecay(tuning.rate, tuning.steps, 0.0)
    model.compile(keras.optimizers.legacy.Adam(falling), loss=shipment.task.loss)
    model.fit(
        tuning.stream,
        steps_per_epoch=tuning.steps,
        verbose=0,
        callbacks=[*callbacks, watch],
    )


def _with(
    shipment: Shipment, arrays: Arrays, kind: str, tuning: FineTuning, **settings: Any
) -> Shipment:
    """The same network with other weights, and one entry more in the list of what was done."""
    before = shipment.told.get("origin", {}).get("compressed", [])
    did = {"kind": kind, **settings, "steps": tuning.steps, "rate": tuning.rate}
    told = {**shipment.told, "compressed": [*before, did]}
    return replace(shipment, arrays=arrays, told=told)
