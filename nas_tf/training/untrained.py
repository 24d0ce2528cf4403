"""Scores of candidates without training, from one batch of features at the initial weights.

They cost a fraction of a training and say less: `benchmarks/untrained.py` measures how far they
rank candidates as rewards do. A higher score predicts a higher reward.
"""

import math
from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
import tensorflow as tf

from nas_tf.config.schema import Config
from nas_tf.genotype import Genotype
from nas_tf.networks import cost
from nas_tf.networks.blueprint import Blueprint, Layer
from nas_tf.networks.functional import Functional, Pass
from nas_tf.networks.state import State, from_arrays, initial_arrays
from nas_tf.training import from_config, own_data
from nas_tf.training.shared_data import SharedData

_FAINT = 1e-20
"""The inputs of synaptic flow, so small that no activation reaches its upper bound."""


class Untrained:
    """Scores candidates of one configuration; ``SCORES`` has the functions by name.

    ::

        untrained = Untrained(configuration, SharedData(configuration))
        print(untrained.score("gradient norm", genotype, seed=1))

    Args:
        config: Configuration of the search.
        shared: Data, features and encoder that all candidates share.
    """

    def __init__(self, config: Config, shared: SharedData) -> None:
        self.config, self.shared = own_data.completed(config), shared

    @cached_property
    def batch(self) -> dict[str, tf.Tensor]:
        """The first batch of stage one: features by tap, and the target."""
        stage = self.config.stage_one
        epoch = self.shared.train.epoch(batch=stage.batch, seed=self.config.seed, epoch=0)
        return next(iter(epoch))

    def score(self, name: str, genotype: Genotype, *, seed: int | None = None) -> float:
        """Returns a score of ``SCORES``, which is not finite where a network has none."""
        seed = self.config.seed if seed is None else seed
        build = from_config.blueprint_builder(self.config, genotype, "search")
        blueprint = build(self.shared.stage_one_view.crop)
        return SCORES[name](self, blueprint, seed)

    def decoder(self, blueprint: Blueprint, seed: int) -> tuple[Blueprint, State]:
        """Returns the part that stage one trains, and its initial weights."""
        decoder = blueprint.decoder(self.shared.taps)
        parts = Functional(decoder).parts
        return decoder, from_arrays(parts, initial_arrays(decoder, seed=seed))


def parameters(_: Untrained, blueprint: Blueprint, __: int) -> float:
    """Returns the number of parameters of the network that ships."""
    return float(cost(blueprint.deployed()).params)


def multiply_adds(_: Untrained, blueprint: Blueprint, __: int) -> float:
    """Returns the multiply-adds of the network that ships, at the size of stage one."""
    return float(cost(blueprint.deployed()).madds)


def gradient_norm(owner: Untrained, blueprint: Blueprint, seed: int) -> float:
    """Returns the Euclidean norm of the gradient of the loss (Abdelfattah et al., ICLR 2021)."""
    decoder, state = owner.decoder(blueprint, seed)
    network, task, batch = Functional(decoder), owner.shared.task, owner.batch

    def loss(weights: dict[str, tf.Tensor]) -> tf.Tensor:
        computed = network(batch, weights, state.statistics, training=frozenset(weights))
        return task.loss(batch["target"], computed.outputs)

    _, gradients = _differentiated(loss, state.trainable)
    return math.sqrt(sum(float(tf.reduce_sum(tf.square(each))) for each in gradients.values()))


def synaptic_flow(owner: Untrained, blueprint: Blueprint, seed: int) -> float:
    """Returns the logarithm of the synaptic flow (Tanaka et al., NeurIPS 2020).

    It is the sum over all weights of weight times gradient, for the sum of all outputs of the
    network with absolute weights, on constant inputs, without batch statistics.
    """
    decoder, state = owner.decoder(blueprint, seed)
    network = Functional(decoder)
    inputs = {
        name: tf.fill(tf.shape(part[:1]), _FAINT)
        for name, part in owner.batch.items()
        if name in network.blueprint.by_name
    }

    def total(weights: dict[str, tf.Tensor]) -> tf.Tensor:
        outputs = network(inputs, weights, state.statistics).outputs
        return tf.add_n([tf.reduce_sum(part) for part in outputs.values()])

    absolute = {part: np.abs(vector) for part, vector in state.trainable.items()}
    _, gradients = _differentiated(total, absolute)
    flow = sum(
        float(np.sum(absolute[part] * np.float64(gradient)))
        for part, gradient in gradients.items()
    )
    return math.log(flow) if flow > 0 else -math.inf


def activation_patterns(owner: Untrained, blueprint: Blueprint, seed: int) -> float:
    """Returns how different the images' patterns of active units are (Mellor et al., ICML 2021).

    It is the log-determinant of the matrix of the units that two images share in being active or
    not, over all rectifiers.
    """
    decoder, state = owner.decoder(blueprint, seed)
    network, batch = _Recording(decoder), owner.batch
    parts = frozenset(state.trainable)

    def shared_units() -> tf.Tensor:
        network.active.clear()
        network(batch, state.trainable, state.statistics, training=parts)
        rows = [tf.reshape(each, (each.shape[0], -1)) for each in network.active]
        return tf.add_n([_agreement(tf.cast(each, tf.float32)) for each in rows])

    if not any(layer.kind in _RECTIFIERS for layer in network.blueprint.layers):
        return -math.inf
    matrix = tf.function(shared_units, autograph=False)().numpy().astype(np.float64)
    sign, value = np.linalg.slogdet(matrix)
    return float(value) if sign > 0 else -math.inf


SCORES: dict[str, Callable[[Untrained, Blueprint, int], float]] = {
    "parameters": parameters,
    "multiply-adds": multiply_adds,
    "gradient norm": gradient_norm,
    "synaptic flow": synaptic_flow,
    "activation patterns": activation_patterns,
}
"""The scores by name."""

_RECTIFIERS = ("relu", "leaky_relu")


class _Recording(Functional):
    """Records which units of rectifiers are active."""

    def __init__(self, blueprint: Blueprint) -> None:
        super().__init__(blueprint)
        self.active: list[tf.Tensor] = []

    def _relu(self, layer: Layer, read: list[tf.Tensor], state: Pass) -> tf.Tensor:
        self.active.append(read[0] > 0)
        return super()._relu(layer, read, state)

    def _leaky_relu(self, layer: Layer, read: list[tf.Tensor], state: Pass) -> tf.Tensor:
        self.active.append(read[0] > 0)
        return super()._leaky_relu(layer, read, state)


def _agreement(active: tf.Tensor) -> tf.Tensor:
    """Returns the number of units that each two rows share in being active or not."""
    idle = 1 - active
    return tf.matmul(active, active, transpose_b=True) + tf.matmul(idle, idle, transpose_b=True)


def _differentiated(
    function: Callable[[dict[str, tf.Tensor]], tf.Tensor], vectors: dict[str, Any]
) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Returns a function's value and its gradients, computed as one graph."""

    def compute(weights: dict[str, tf.Tensor]) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        with tf.GradientTape() as tape:
            tape.watch(weights)
            value = function(weights)
        return value, tape.gradient(value, weights, unconnected_gradients="zero")

    return tf.function(compute, autograph=False)(
        {part: tf.constant(vector, tf.float32) for part, vector in vectors.items()}
    )
