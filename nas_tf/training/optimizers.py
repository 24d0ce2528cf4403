"""Optimisers of flat weight vectors, learning-rate schedules and averaged weights."""

import math
from collections.abc import Iterable, Mapping

import tensorflow as tf
from tensorflow import keras

from nas_tf.config.schema import Optimiser, Schedule


def make(settings: Optimiser) -> keras.optimizers.Optimizer:
    """Returns the Keras optimiser, whose learning rate the caller sets before every step."""
    if settings.kind == "sgd":
        return keras.optimizers.SGD(settings.learning_rate, momentum=settings.momentum)
    return keras.optimizers.Adam(
        settings.learning_rate, beta_2=settings.beta_2, epsilon=settings.epsilon
    )


def make_all(
    recipes: Iterable[Mapping[str, Optimiser]], weights: Mapping[str, tf.Variable]
) -> dict[str, keras.optimizers.Optimizer]:
    """Returns one optimiser a part, and raises if recipes need different moments of a part."""
    made: dict[str, keras.optimizers.Optimizer] = {}
    moments: dict[str, tuple] = {}
    for part, settings in (item for recipe in recipes for item in recipe.items()):
        own = settings.kind, settings.momentum, settings.beta_2, settings.epsilon
        if moments.setdefault(part, own) != own:
            raise ValueError(
                f"recipes train {part} by optimisers of kind, momentum, beta_2 and epsilon "
                f"{moments[part]} and {own}, expected the same, since its moments exist once"
            )
        if part not in made:
            made[part] = make(settings)
            made[part].build([weights[part]])
    return made


def effective_gradient(settings: Optimiser, gradient: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """Returns the gradient clipped by its norm, plus weight decay as an L2 term."""
    if settings.clip is not None:
        gradient = tf.clip_by_norm(gradient, settings.clip)
    return gradient + settings.weight_decay * weights if settings.weight_decay else gradient


def learning_rate_factor(schedule: Schedule, step: int, steps: int) -> float:
    """Returns the learning-rate factor at ``step`` of a stage of ``steps`` steps."""
    if step < schedule.warmup_steps:
        return (step + 1) / schedule.warmup_steps
    share = step / steps
    if schedule.kind == "poly":
        return max(0.0, 1 - share / schedule.span) ** schedule.power
    if schedule.kind == "cosine":
        wave = (1 + math.cos(math.pi * schedule.cycles * share)) / 2
        return schedule.least + (1 - schedule.least) * wave * (1 - share) ** schedule.power
    if schedule.kind == "step":
        return schedule.factor ** sum(share >= at for at in schedule.at)
    return 1.0


class PolyakAverage:
    """Exponential averages of vectors, starting at their first values like tfa.MovingAverage.

    Running means and variances of batch normalisation are averages of batch statistics. Those
    that fit averaged weights cover the same past, so that they use the same decay. Those of an
    untrained network are all 0 or 1, which fits no weights: they start at the first batch's.
    """

    def __init__(self, trainable: dict, statistics: dict) -> None:
        self.trainable = {part: _like(vector) for part, vector in trainable.items()}
        self.statistics = {part: _like(vector) for part, vector in statistics.items()}

    def update(self, decay: float, trainable: dict, measured: dict) -> None:
        """Accumulates the weights after a step and the batch statistics that it measured."""
        for part, value in trainable.items():
            self.trainable[part].assign_sub((1 - decay) * (self.trainable[part] - value))
        for part, value in measured.items():
            average = self.statistics[part]
            untrained = tf.reduce_all((average == 0) | (average == 1))
            share = tf.where(untrained, 1.0, 1 - decay)
            average.assign_sub(share * (average - value))


def _like(vector: tf.Variable) -> tf.Variable:
    return tf.Variable(vector, trainable=False, aggregation=tf.VariableAggregation.MEAN)
