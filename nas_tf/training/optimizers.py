"""One optimiser for a part's flat vector, and the gradient it gets to see."""

import tensorflow as tf
from tensorflow import keras

from nas_tf.config.schema import Optimiser, Schedule


def make(settings: Optimiser) -> keras.optimizers.Optimizer:
    """The Keras optimiser; its learning rate is set anew at every step."""
    if settings.kind == "sgd":
        return keras.optimizers.SGD(settings.learning_rate, momentum=settings.momentum)
    return keras.optimizers.Adam(
        settings.learning_rate, beta_2=settings.beta_2, epsilon=settings.epsilon
    )


def effective_gradient(settings: Optimiser, gradient: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """The gradient clipped by its norm, then with the L2 term that weight decay is."""
    if settings.clip is not None:
        gradient = tf.clip_by_norm(gradient, settings.clip)
    return gradient + settings.weight_decay * weights if settings.weight_decay else gradient


def learning_rate_factor(schedule: Schedule, step: int, steps: int) -> float:
    """What the learning rate is multiplied by at a step of a stage of so many steps."""
    if step < schedule.warmup_steps:
        return (step + 1) / schedule.warmup_steps
    share = step / steps
    if schedule.kind == "poly":
        return max(0.0, 1 - share / schedule.span) ** schedule.power
    if schedule.kind == "step":
        return schedule.factor ** sum(share >= at for at in schedule.at)
    return 1.0


class PolyakAverage:
    """Exponential averages of vectors, begun at their first values, as tfa.MovingAverage does.

    Running means and variances of batch normalisation are averages of batch statistics; the ones
    that fit averaged weights are averaged over the same past, so they get the same decay.
    """

    def __init__(self, decay: float, trainable: dict, statistics: dict) -> None:
        self._decay = decay
        self.trainable = {part: _like(vector) for part, vector in trainable.items()}
        self.statistics = {part: _like(vector) for part, vector in statistics.items()}

    def update(self, trainable: dict, measured: dict) -> None:
        """Takes in the weights after a step, and the batch statistics it measured."""
        for part, average in self.trainable.items():
            average.assign_sub((1 - self._decay) * (average - trainable[part]))
        for part, batch in measured.items():
            average = self.statistics[part]
            average.assign_sub((1 - self._decay) * (average - batch))


def _like(vector: tf.Variable) -> tf.Variable:
    return tf.Variable(vector, trainable=False, aggregation=tf.VariableAggregation.MEAN)
