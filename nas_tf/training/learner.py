"""A network in training: its weights as vectors, and the graph of a training step."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import tensorflow as tf

from nas_tf.config.schema import Optimiser
from nas_tf.networks.arrays import PartLayout
from nas_tf.networks.blueprint import Blueprint
from nas_tf.networks.functional import Computed, Functional, Precision
from nas_tf.networks.state import State
from nas_tf.tasks import Task
from nas_tf.training import hardware, optimizers
from nas_tf.training.loss_scale import LossScale
from nas_tf.training.optimizers import PolyakAverage


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """The settings of a training step.

    Args:
        optimisers: Optimiser of each part that learns; a part without one stays unchanged.
        normalising: Parts that normalise by the batch and update their running statistics.
        momentum: Momentum of the running statistics. That of a trained network, such as 0.999,
            would let them lag behind weights that move within a hundred steps. What they were
            before the first step has no share in them.
        polyak: Decay of the averages of what the step changes; None leaves them unchanged.
        distillation: Weight of the squared distance to the teacher's logits.
        auxiliary_weight: Weight of each auxiliary head's loss.
        loss_at: Resolution at which losses are computed, the target's or the logits'.
    """

    optimisers: Mapping[str, Optimiser]
    normalising: frozenset[str]
    momentum: float = 0.9
    polyak: float | None = None
    distillation: float = 0.0
    auxiliary_weight: float = 0.0
    loss_at: Literal["target", "logits"] = "target"


@dataclass(frozen=True)
class Tally:
    """The number of steps and the sum of their losses.

    A step updates them with the weights: whenever it is interrupted, all are updated or none.
    """

    steps: tf.Variable
    losses: tf.Variable

    @classmethod
    def zero(cls) -> "Tally":
        """Returns the tally before the first step."""
        return cls(tf.Variable(0, dtype=tf.int64), tf.Variable(0.0, dtype=tf.float64))

    def add(self, loss: tf.Tensor) -> None:
        """Counts a step."""
        self.steps.assign_add(1)
        self.losses.assign_add(tf.cast(loss, tf.float64))


class Learner:
    """Trains one network; ``tracked`` contains every variable that a resumed run needs.

    A step follows one of several recipes. Each is traced at its first step, and they may alternate
    at every step. A part has one optimiser, with the same moments in every recipe that trains the
    part; its clip and weight decay are the recipe's. The learner trains on the devices of the
    distribution strategy in whose scope it was created, and is not thread-safe.

    Args:
        blueprint: The network, or its decoder alone.
        task: Task that computes the loss.
        recipes: Settings of a step, by the names that ``step`` accepts.
        state: The initial weights and statistics.
        parts: Layouts of the state's vectors.
        precision: The arithmetic of the training.
        seed: Seed of dropout.
        network: The way in which the blueprint is computed.
        tallies: By the names of recipes, those that count their steps.
    """

    def __init__(
        self,
        blueprint: Blueprint,
        task: Task,
        recipes: Mapping[str, Recipe],
        state: State,
        parts: Mapping[str, PartLayout],
        *,
        precision: Precision,
        seed: int = 0,
        network: type[Functional] = Functional,
        tallies: Mapping[str, Tally] | None = None,
    ) -> None:
        hardware.compute_in_one_order()
        self._network = network(blueprint, precision, parts)
        self._task, self._seed = task, seed
        self.strategy = tf.distribute.get_strategy()
        self.trainable = {part: _variable(state.trainable[part]) for part in parts}
        self.statistics = {part: _variable(state.statistics[part]) for part in parts}
        averaging = [recipe for recipe in recipes.values() if recipe.polyak is not None]
        self._average = PolyakAverage(
            {part: self.trainable[part] for each in averaging for part in each.optimisers},
            {
                part: self.statistics[part]
                for each in averaging
                for part in sorted(each.normalising)
            },
        )
        self.optimisers = optimizers.make_all(
            [recipe.optimisers for recipe in recipes.values()], self.trainable
        )
        self.recipes, self._tallies = dict(recipes), tallies or {}
        self._scale = LossScale() if precision.compute == tf.float16 else None
        self._step = tf.function(self._distributed, autograph=False)

    def step(
        self,
        inputs: Any,
        encoded: Any,
        rates: Mapping[str, float],
        teacher: Any = None,
        *,
        by: str = "train",
    ) -> tf.Tensor:
        """Updates the weights once and returns the loss before the update.

        Args:
            inputs: Images, or a mapping of taps.
            encoded: The encoded target, or the stored one with taps.
            rates: Learning rate of each part that learns.
            teacher: The teacher's logits.
            by: Name of the recipe.
        """
        factors = np.array([rates[part] for part in self.recipes[by].optimisers], np.float32)
        return self._step(inputs, encoded, teacher, factors, by)

    def state(self) -> State:
        """Returns the state to export: averages where there are any, else the live vectors."""
        trainable = self.trainable | self._average.trainable
        statistics = self.statistics | self._average.statistics
        return State(
            {part: vector.numpy() for part, vector in trainable.items()},
            {part: vector.numpy() for part, vector in statistics.items()},
        )

    @property
    def tracked(self) -> dict[str, Any]:
        """All variables and optimisers by stable names, for a checkpoint."""
        named: dict[str, Any] = {}
        for kind, holder in (("live", self), ("average", self._average)):
            named |= {f"{kind}_weights_{part}": v for part, v in holder.trainable.items()}
            named |= {f"{kind}_statistics_{part}": v for part, v in holder.statistics.items()}
        named |= {f"optimiser_{part}": each for part, each in self.optimisers.items()}
        return named | (self._scale.tracked if self._scale else {})

    def _distributed(
        self, inputs: Any, encoded: Any, teacher: Any, rates: tf.Tensor, by: str
    ) -> tf.Tensor:
        for part, rate in zip(self.recipes[by].optimisers, tf.unstack(rates), strict=True):
            self.optimisers[part].learning_rate.assign(rate)
        given = (inputs, encoded, teacher, by)
        if self._scale is None:
            losses = self.strategy.run(self._replica_step, given)
        else:
            losses, *computed, finite = self.strategy.run(self._computed, given)
            finite = self.strategy.experimental_local_results(finite)[0]

            def apply() -> tf.Tensor:
                self.strategy.run(self._apply, (by, *computed))
                return finite

            tf.cond(finite, apply, lambda: finite)
            self._scale.update(finite)
        loss = self.strategy.reduce(tf.distribute.ReduceOp.MEAN, losses, axis=None)
        if by in self._tallies:
            self._tallies[by].add(loss)
        return loss

    def _replica_step(self, inputs: Any, encoded: Any, teacher: Any, by: str) -> tf.Tensor:
        loss, gradients, measured, _ = self._computed(inputs, encoded, teacher, by)
        self._apply(by, gradients, measured)
        return loss

    def _computed(self, inputs: Any, encoded: Any, teacher: Any, by: str) -> tuple[Any, ...]:
        """Returns loss, gradients and batch statistics, and in float16 if all are finite."""
        replica, recipe = tf.distribute.get_replica_context(), self.recipes[by]
        weights = {part: tf.identity(vector) for part, vector in self.trainable.items()}
        computed = self._network(
            inputs,
            weights,
            self.statistics,
            training=recipe.normalising,
            seed=self._dropout_seed(replica),
        )
        loss, measured = self.loss(computed, encoded, teacher, by=by), computed.measured
        learned = [weights[part] for part in recipe.optimisers]
        if self._scale is None:
            gradients = _gradients(loss, learned)
        else:
            scaled = _gradients(self._scale.scaled(loss), learned)
            gradients = [self._scale.unscaled(gradient) for gradient in scaled]
        if self.strategy.num_replicas_in_sync > 1:  # with one replica it would leak the graph
            gradients, measured = replica.all_reduce(
                tf.distribute.ReduceOp.MEAN, (gradients, measured)
            )
        finite = self._scale and self._scale.finite([*gradients, *measured.values()])
        return loss, gradients, measured, finite

    def _dropout_seed(self, replica: Any) -> tf.Tensor:
        """Returns a seed that differs at every step, by the steps of each recipe's first part."""
        number = tf.cast(replica.replica_id_in_sync_group, tf.int64)
        return tf.stack([tf.constant(self._seed, tf.int64) * 4096 + number, self._steps_done()])

    def _steps_done(self) -> tf.Tensor:
        """Returns the number of steps that all recipes have taken."""
        first = dict.fromkeys(next(iter(recipe.optimisers)) for recipe in self.recipes.values())
        return sum(self.optimisers[part].iterations for part in first)

    def _apply(self, by: str, gradients: list[tf.Tensor], measured: dict[str, tf.Tensor]) -> None:
        recipe = self.recipes[by]
        learned = {part: self.trainable[part] for part in recipe.optimisers}
        steps = tf.cast(self._steps_done() + 1, tf.float32)
        for (part, weights), gradient in zip(learned.items(), gradients, strict=True):
            effective = optimizers.effective_gradient(recipe.optimisers[part], gradient, weights)
            self.optimisers[part].apply_gradients(
                [(effective, weights)], skip_gradients_aggregation=True
            )
        share = (1 - recipe.momentum) / (1 - tf.pow(recipe.momentum, steps))
        for part, batch in measured.items():
            running = self.statistics[part]
            running.assign_sub(share * (running - batch))
        if recipe.polyak is not None:
            self._average.update(recipe.polyak, learned, measured)

    def loss(
        self, computed: Computed, encoded: Any, teacher: Any, *, by: str = "train"
    ) -> tf.Tensor:
        """Returns the task's loss, plus those of auxiliary heads and the teacher's distance."""
        recipe, task = self.recipes[by], self._task
        loss = task.loss(encoded, computed.outputs, at=recipe.loss_at)
        if recipe.auxiliary_weight:
            for auxiliary in computed.auxiliaries.values():
                term = task.loss(encoded, auxiliary, at=recipe.loss_at)
                loss += recipe.auxiliary_weight * term
        if recipe.distillation and teacher is not None:
            loss += recipe.distillation * task.distance(computed.outputs, teacher)
        return loss


def _gradients(loss: tf.Tensor, weights: list[tf.Tensor]) -> list[tf.Tensor]:
    """Returns gradients whose terms are summed in pairs.

    A gradient tape sums many terms at once, and TensorFlow's memory optimiser lets such sums of
    large tensors run in the order in which their terms arrive: the last bits would differ between
    runs.
    """
    return tf.gradients(
        loss,
        weights,
        aggregation_method=tf.AggregationMethod.EXPERIMENTAL_TREE,
        unconnected_gradients="zero",
    )


def _variable(vector: np.ndarray) -> tf.Variable:
    return tf.Variable(vector, dtype=tf.float32, aggregation=tf.VariableAggregation.MEAN)
