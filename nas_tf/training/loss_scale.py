"""The factor of the loss when a network is trained in float16."""

from collections.abc import Sequence

import tensorflow as tf

_FIRST = 2.0**15
_STEPS = 2000


class LossScale:
    """A factor that keeps small gradients above 0, as in Mixed Precision Training (ICLR 2018).

    A step whose gradients overflow halves it and changes nothing else; 2,000 steps in a row
    without any double it. ``tracked`` contains the variables that a resumed run needs.

    ::

        scale = LossScale()
        gradient = scale.unscaled(tf.constant(65504.0))
        scale.update(scale.finite([gradient]))
    """

    def __init__(self) -> None:
        self.factor = tf.Variable(_FIRST, trainable=False)
        self.steps = tf.Variable(0, trainable=False, dtype=tf.int64)

    @property
    def tracked(self) -> dict[str, tf.Variable]:
        """The variables by stable names, for a checkpoint."""
        return {"loss_scale": self.factor, "loss_scale_steps": self.steps}

    def scaled(self, loss: tf.Tensor) -> tf.Tensor:
        """Returns the loss that gradients are computed of."""
        return loss * self.factor

    def unscaled(self, gradient: tf.Tensor) -> tf.Tensor:
        """Returns the gradient of the loss itself."""
        return gradient / self.factor

    def finite(self, values: Sequence[tf.Tensor]) -> tf.Tensor:
        """Returns true if no value has overflowed."""
        return tf.reduce_all([tf.reduce_all(tf.math.is_finite(value)) for value in values])

    def update(self, finite: tf.Tensor) -> None:
        """Changes the factor after a step."""
        steps = tf.where(finite, self.steps + 1, 0)
        doubles = steps == _STEPS
        grown = tf.where(doubles, 2 * self.factor, self.factor)
        self.factor.assign(tf.where(finite, grown, tf.maximum(self.factor / 2, 1.0)))
        self.steps.assign(tf.where(doubles, tf.zeros_like(steps), steps))
