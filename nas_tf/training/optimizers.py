"""Optimisers of flat weight vectors, learning-rate schedules and averaged weights."""

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
    if schedule.kind == "step":
        return schedule.factor ** sum(share >= at for at in schedule.at)
    return 1.0


class PolyakAverage:
    """Exponential averages of vectors, starting at their first values like tfa.MovingAverage.

    Running means and variances of batch normalisation are averages of batch statistics. Those
    that fit averaged weights cover the same past, so that they use the same decay.
    """

    def __init__(self, decay: float, trainable: dict, statistics: dict) -> None:
        self._decay = decay
        self.trainable = {part: _like(vector) for part, vector in trainable.items()}
        self.statistics = {part: _like(vector) for part, vector in statistics.items()}

    def update(self, trainable: dict, measured: dict) -> None:
        """Accumulates the weights after a step and the batch statistics that it measured."""
        for part, average in self.trainable.items():
            average.assign_sub((1 - self._decay) * (average - trainable[part]))
        for part, batch in measured.items():
            average = self.statistics[part]
            average.assign_sub((1 - self._decay) * (average - batch))


def _like(vector: tf.Variable) -> tf.Variable:
    return tf.Variable(vector, trainable=False, aggregation=tf.VariableAggregation.MEAN)
