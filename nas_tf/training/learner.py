"""A network that learns: its vectors, one graph for a step and one for predictions."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import tensorflow as tf

from nas_tf.config.schema import Optimiser
from nas_tf.networks.arrays import PartLayout
from nas_tf.networks.blueprint import Blueprint
from nas_tf.networks.functional import Functional, Precision
from nas_tf.networks.state import State
from nas_tf.tasks import Task
from nas_tf.tasks.resolution import enlarged
from nas_tf.training import hardware, optimizers
from nas_tf.training.optimizers import PolyakAverage


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What a step does.

    Args:
        optimisers: Of each part that learns; a part without one stays as it is.
        normalising: Parts that normalise by the batch and update their running statistics.
        momentum: How slowly running statistics follow. A trained network's own momentum, such
            as 0.999, would leave them behind weights that move within a hundred steps.
        polyak: Decay of the averages, or None for none.
        distillation: Weight of the squared distance to the teacher's logits.
        auxiliary_weight: Weight of each auxiliary's loss.
        loss_at: At whose resolution losses are taken.
    """

    optimisers: Mapping[str, Optimiser]
    normalising: frozenset[str]
    momentum: float = 0.9
    polyak: float | None = None
    distillation: float = 0.0
    auxiliary_weight: float = 0.0
    loss_at: Literal["target", "logits"] = "target"


class Learner:
    """Trains one network; every number that a resumed run needs is in ``tracked``.

    Args:
        blueprint: The network, or its decoder alone.
        task: Gives the loss.
        recipe: What a step does.
        state: Where it starts.
        parts: Layouts of the state's vectors.
        precision: In which arithmetic it trains.
        seed: Of what is random inside the network.
    """

    def __init__(
        self,
        blueprint: Blueprint,
        task: Task,
        recipe: Recipe,
        state: State,
        parts: Mapping[str, PartLayout],
        *,
        precision: Precision,
        seed: int = 0,
    ) -> None:
        hardware.compute_in_one_order()
        self._network = Functional(blueprint, precision, parts)
        self._task, self._seed = task, seed
        self.strategy = tf.distribute.get_strategy()
        self.trainable = {part: _variable(state.trainable[part]) for part in parts}
        self.statistics = {part: _variable(state.statistics[part]) for part in parts}
        self._average = None
        if recipe.polyak is not None:
            self._average = PolyakAverage(recipe.polyak, self.trainable, self.statistics)
        self.optimisers = {part: optimizers.make(one) for part, one in recipe.optimisers.items()}
        for part, optimiser in self.optimisers.items():
            optimiser.build([self.trainable[part]])
        self.recipe = recipe
        self._step = tf.function(self._distributed, autograph=False)

    def use(self, recipe: Recipe) -> None:
        """Goes on by another recipe, from the same vectors and optimiser states."""
        if recipe != self.recipe:
            self.recipe = recipe
            self._step = tf.function(self._distributed, autograph=False)

    def step(
        self, inputs: Any, dense: Any, rates: Mapping[str, float], teacher: Any = None
    ) -> tf.Tensor:
        """One update; returns the loss it started from.

        Args:
            inputs: Images, or a mapping of taps.
            dense: The dense target.
            rates: Learning rate of each part that learns.
            teacher: The teacher's logits.
        """
        factors = np.array([rates[part] for part in self.optimisers], np.float32)
        return self._step(inputs, dense, teacher, factors)

    def state(self) -> State:
        """What is shipped: the averaged weights where there are averages."""
        return State(
            {part: vector.numpy() for part, vector in self._shown.trainable.items()},
            {part: vector.numpy() for part, vector in self._shown.statistics.items()},
        )

    @property
    def tracked(self) -> dict[str, Any]:
        """All variables and optimisers, by stable names, for a checkpoint."""
        named: dict[str, Any] = {}
        for kind, one in (("live", self), ("average", self._average)):
            if one is not None:
                named |= {f"{kind}_weights_{part}": v for part, v in one.trainable.items()}
                named |= {f"{kind}_statistics_{part}": v for part, v in one.statistics.items()}
        return named | {f"optimiser_{part}": one for part, one in self.optimisers.items()}

    @property
    def _shown(self) -> Any:
        return self._average or self

    def _distributed(self, inputs: Any, dense: Any, teacher: Any, rates: tf.Tensor) -> tf.Tensor:
        for optimiser, rate in zip(self.optimisers.values(), tf.unstack(rates), strict=True):
            optimiser.learning_rate.assign(rate)
        losses = self.strategy.run(self._one_replica, (inputs, dense, teacher))
        return self.strategy.reduce(tf.distribute.ReduceOp.MEAN, losses, axis=None)

    def _one_replica(self, inputs: Any, dense: Any, teacher: Any) -> tf.Tensor:
        replica = tf.distribute.get_replica_context()
        weights = {part: tf.identity(vector) for part, vector in self.trainable.items()}
        outputs, measured = self._network(
            inputs,
            weights,
            self.statistics,
            training=self.recipe.normalising,
            seed=self._dropout_seed(replica),
        )
        loss = self.loss(outputs, dense, teacher)
        gradients = _gradients(loss, [weights[part] for part in self.optimisers])
        if self.strategy.num_replicas_in_sync > 1:  # for one, it would keep the graph for ever
            gradients, measured = replica.all_reduce(
                tf.distribute.ReduceOp.MEAN, (gradients, measured)
            )
        self._apply(gradients, measured)
        return loss

    def _dropout_seed(self, replica: Any) -> tf.Tensor:
        done = next(iter(self.optimisers.values())).iterations
        number = tf.cast(replica.replica_id_in_sync_group, tf.int64)
        return tf.stack([tf.constant(self._seed, tf.int64) * 4096 + number, done])

    def _apply(self, gradients: list[tf.Tensor], measured: dict[str, tf.Tensor]) -> None:
        for (part, optimiser), gradient in zip(self.optimisers.items(), gradients, strict=True):
            weights = self.trainable[part]
            seen = optimizers.effective_gradient(self.recipe.optimisers[part], gradient, weights)
            optimiser.apply_gradients([(seen, weights)], skip_gradients_aggregation=True)
        for part, batch in measured.items():
            running = self.statistics[part]
            running.assign_sub((1 - self.recipe.momentum) * (running - batch))
        if self._average is not None:
            self._average.update(self.trainable, measured)

    def loss(self, outputs: dict[str, tf.Tensor], dense: Any, teacher: Any) -> tf.Tensor:
        """The task's loss, of the auxiliaries too, and the distance to the teacher."""
        recipe, task = self.recipe, self._task
        logits = outputs["logits"]
        loss = task.loss(dense, logits, at=recipe.loss_at)
        if recipe.auxiliary_weight:
            for name, auxiliary in outputs.items():
                if name != "logits":
                    term = task.loss(dense, auxiliary, at=recipe.loss_at)
                    loss += recipe.auxiliary_weight * term
        if recipe.distillation and teacher is not None:
            teacher = tf.cast(teacher, tf.float32)
            distance = enlarged(logits, tf.shape(teacher)[1:3]) - teacher
            loss += recipe.distillation * tf.reduce_mean(distance**2)
        return loss


def _gradients(loss: tf.Tensor, weights: list[tf.Tensor]) -> list[tf.Tensor]:
    """Gradients whose terms are summed two by two.

    A gradient tape sums many at once, and TensorFlow's memory optimiser lets such sums of large
    tensors run in the order in which their terms arrive: last bits would differ between runs.
    """
    return tf.gradients(
        loss,
        weights,
        aggregation_method=tf.AggregationMethod.EXPERIMENTAL_TREE,
        unconnected_gradients="zero",
    )


def _variable(vector: np.ndarray) -> tf.Variable:
    return tf.Variable(vector, dtype=tf.float32, aggregation=tf.VariableAggregation.MEAN)
