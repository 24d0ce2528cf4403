"""Fine-tuning by tfmot that prepares a shipment for 8 bits, or lets its files compress better.

Each function takes a shipment and returns another of the same layers with other weights, so that
everything that exports the first exports the second. Normalisation is folded in first: its
statistics do not train.
"""

import os
from collections.abc import Callable, Iterable, Mapping
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

OnStep = Callable[[int, float], None]
"""Is called after every step with its number, from 1 on, and the mean loss so far."""
_CALIBRATION_BATCHES = 8
_MASK_UPDATES = 20


@dataclass(frozen=True)
class FineTuning:
    """Settings of the training that adapts weights to quantisation, pruning or clustering.

    Args:
        stream: Endless batches of images in [-1, 1] and encoded targets.
        steps: The number of updates by Adam.
        rate: The initial learning rate; it falls to zero.
        on_step: Called after every step.
    """

    stream: tf.data.Dataset
    steps: int = 200
    rate: float = 1e-4
    on_step: OnStep | None = None


def quantised(shipment: Shipment, tuning: FineTuning) -> Shipment:
    """Trains with weights and activations rounded as int8 will round them (arXiv 1712.05877).

    Ranges start at those of the network's activations on the first batches. The returned weights
    are not rounded: the conversion rounds them as they were rounded here.
    """
    toolkit()
    from serving import fake_quantised

    fused = FusedModel(shipment)
    calibration = (images for images, _ in tuning.stream.take(_CALIBRATION_BATCHES))
    model = fake_quantised.model(fused, calibration)
    _fit(model, shipment, tuning)
    return _compressed(shipment, fused.arrays(fake_quantised.weights(model)), "quantised", tuning)


def pruned(shipment: Shipment, tuning: FineTuning, *, sparsity: float) -> Shipment:
    """Sets the smallest kernel values of convolutions to zero, gradually over half the steps.

    Depthwise kernels are left alone: they are few, and tfmot prunes none.
    """
    sparse = toolkit().sparsity.keras
    fused = FusedModel(shipment)
    end = max(1, tuning.steps // 2)
    every = max(1, end // _MASK_UPDATES)
    schedule = sparse.PolynomialDecay(0.0, sparsity, 0, end, frequency=every)
    model = _wrapped(fused, lambda layer: sparse.prune_low_magnitude(layer, schedule))
    _fit(model, shipment, tuning, [sparse.UpdatePruningStep()])
    arrays = fused.arrays(_weights(sparse.strip_pruning(model)))
    return _compressed(shipment, arrays, "pruned", tuning, sparsity=sparsity)


def clustered(shipment: Shipment, tuning: FineTuning, *, clusters: int) -> Shipment:
    """Restricts every kernel of a convolution to a few values, which train (arXiv 1510.00149)."""
    cluster = toolkit().clustering.keras
    fused = FusedModel(shipment)
    initialisation = cluster.CentroidInitialization.KMEANS_PLUS_PLUS

    def wrap(layer: keras.layers.Layer) -> keras.layers.Layer:
        if tf.size(layer.kernel) <= clusters:
            return layer
        return cluster.cluster_weights(
            layer, number_of_clusters=clusters, cluster_centroids_init=initialisation
        )

    model = _wrapped(fused, wrap)
    _fit(model, shipment, tuning)
    arrays = fused.arrays(_weights(cluster.strip_clustering(model)))
    return _compressed(shipment, arrays, "clustered", tuning, clusters=clusters)


def zeros(shipment: Shipment) -> float:
    """Returns the share of zeros among the kernels of convolutions."""
    kernels = _kernels(shipment)
    return sum(int((kernel == 0).sum()) for kernel in kernels) / sum(
        kernel.size for kernel in kernels
    )


def distinct(shipment: Shipment) -> int:
    """Returns the largest number of distinct values in a kernel of a convolution."""
    return max(len(np.unique(kernel)) for kernel in _kernels(shipment))


def _kernels(shipment: Shipment) -> list[np.ndarray]:
    convs = [layer for layer in shipment.shipped.layers if layer.kind == "conv"]
    names = {layer.arrays_of for layer in convs if "groups" not in layer.options}
    return [shipment.arrays[name, "kernel"] for name in sorted(names)]


def toolkit() -> ModuleType:
    """Imports tfmot after the Keras to work on, since the order decides which Keras tfmot uses."""
    if os.environ.get("TF_USE_LEGACY_KERAS"):
        raise EnvironmentFault(
            "TF_USE_LEGACY_KERAS is set, expected it to be unset: TensorFlow's Model Optimization "
            "Toolkit would use another Keras"
        )
    return quiet.load("tensorflow_model_optimization")


def _wrapped(
    fused: FusedModel, wrap: Callable[[keras.layers.Layer], keras.layers.Layer]
) -> keras.Model:
    """Returns the model with its convolutions wrapped and all other layers unchanged."""

    def clone(layer: keras.layers.Layer) -> keras.layers.Layer:
        return wrap(layer) if type(layer) is keras.layers.Conv2D else layer

    return keras.models.clone_model(fused.keras, clone_function=clone)


def _weights(model: keras.Model) -> dict[str, list[np.ndarray]]:
    return {layer.name: layer.get_weights() for layer in model.layers if layer.weights}


class _Tuned(keras.Model):
    """A model that trains by a task's loss, which reads all of its outputs at once."""

    def __init__(self, model: keras.Model, shipment: Shipment) -> None:
        super().__init__(model.input, model.output)
        self._shipment, self._mean = shipment, keras.metrics.Mean()

    def train_step(self, batch: tuple[tf.Tensor, Any]) -> dict[str, tf.Tensor]:
        """Updates the weights; returns the mean loss of all steps so far."""
        images, encoded = batch
        with tf.GradientTape() as tape:
            outputs = self(images, training=True)
            if not isinstance(outputs, Mapping):
                outputs = dict.fromkeys(self._shipment.shipped.outputs, outputs)
            loss = self._shipment.task.loss(encoded, outputs)
        self.optimizer.minimize(loss, self.trainable_variables, tape=tape)
        self._mean.update_state(loss)
        return {"loss": self._mean.result()}


def _fit(
    model: keras.Model, shipment: Shipment, tuning: FineTuning, callbacks: Iterable[Any] = ()
) -> None:
    def on_batch_end(step: int, logs: dict[str, float]) -> None:
        if not np.isfinite(logs["loss"]):
            raise TrainingError(
                f"{shipment.name} diverged at step {step + 1}, expected a learning rate below "
                f"{tuning.rate:g}"
            )
        if tuning.on_step is not None:
            tuning.on_step(step + 1, logs["loss"])

    progress = keras.callbacks.LambdaCallback(on_batch_end=on_batch_end)
    schedule = keras.optimizers.schedules.PolynomialDecay(tuning.rate, tuning.steps, 0.0)
    tuned = _Tuned(model, shipment)
    tuned.compile(keras.optimizers.legacy.Adam(schedule))
    tuned.fit(
        tuning.stream,
        steps_per_epoch=tuning.steps,
        verbose=0,
        callbacks=[*callbacks, progress],
    )


def _compressed(
    shipment: Shipment, arrays: Arrays, kind: str, tuning: FineTuning, **settings: Any
) -> Shipment:
    """Returns the network with other weights, and adds this compression to its list of them."""
    before = shipment.facts.get("origin", {}).get("compressed", [])
    entry = {"kind": kind, **settings, "steps": tuning.steps, "rate": tuning.rate}
    facts = {**shipment.facts, "compressed": [*before, entry]}
    return replace(shipment, arrays=arrays, facts=facts)
