"""Polyak averaging: the mean that tells the truth about a short training (CVPR 2019, 3.3)."""

import tensorflow as tf


class Average:
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
