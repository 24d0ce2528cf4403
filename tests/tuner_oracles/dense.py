"""Dense networks, which KerasTuner's own tuners train in no time."""

from pathlib import Path
from typing import Any

import keras_tuner as kt
import tensorflow as tf


class Dense(kt.HyperModel):
    """Builds a real model of real layers."""

    def build(self, hp: kt.HyperParameters) -> tf.keras.Model:
        model = tf.keras.Sequential(
            [
                tf.keras.layers.Dense(
                    hp.Int("units", 2, 8, step=2), hp.Choice("act", ["relu", "elu"])
                ),
                tf.keras.layers.Dense(1),
            ]
        )
        model.compile(hp.Choice("optimizer", ["sgd", "adam"]), "mse")
        return model


def tuner(oracle: Any, folder: Path, **more: Any) -> kt.Tuner:
    return kt.Tuner(
        oracle=oracle, hypermodel=Dense(), directory=folder, project_name="search", **more
    )


def data() -> tuple[tf.Tensor, tf.Tensor]:
    x = tf.random.stateless_normal((32, 3), seed=(1, 2))
    return x, tf.reduce_sum(x, axis=1, keepdims=True)
