"""One optimiser for a part's flat vector, and the gradient it gets to see."""

import tensorflow as tf
from tensorflow import keras

from nas_tf.config.schema import Optimiser


def make(settings: Optimiser) -> keras.optimizers.Optimizer:
    """The Keras optimiser; its learning rate is set anew at every step."""
    if settings.kind == "sgd":
        return keras.optimizers.SGD(settings.learning_rate, momentum=settings.momentum)
    return keras.optimizers.Adam(
        settings.learning_rate, beta_2=settings.beta_2, epsilon=settings.epsilon
    )


def seen_gradient(settings: Optimiser, gradient: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """The gradient clipped by its norm, then with the L2 term that weight decay is."""
    if settings.clip is not None:
        gradient = tf.clip_by_norm(gradient, settings.clip)
    return gradient + settings.weight_decay * weights if settings.weight_decay else gradient
