"""A task of two outputs that are no maps, with an encoding of its own, scored by its loss."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from nas_tf.input_geometry import InputGeometry
from nas_tf.networks.heads import Head
from nas_tf.sizes import Size
from nas_tf.tasks import Answer, Metrics, Outputs, TargetSpec, Task, painting
from nas_tf.tasks.base import Resolution, per_image

FARTHEST = 9.0


class Range(Task):
    """Predicts the nearest and the farthest known depth of an image."""

    name = "range"
    headline = "near_enough"
    primary = ("range",)
    target = TargetSpec("depth")
    needs_validation_loss = True

    @property
    def head(self) -> Head:
        return Head(self.name, 2)

    def encode(self, target: Any, image_size: Size) -> tf.Tensor:
        flat = tf.reshape(target, (len(target), -1))
        nearest = tf.reduce_min(tf.where(flat > 0, flat, FARTHEST), -1)
        return tf.stack([nearest, tf.reduce_max(flat, -1)], -1)

    def loss(self, encoded: Any, outputs: Outputs, *, at: Resolution = "target") -> tf.Tensor:
        return tf.reduce_mean(tf.abs(self.answer(outputs, (1, 1))["range"] - encoded))

    def metrics(self) -> "RangeMetrics":
        return RangeMetrics(self)

    def score(self, result: Mapping[str, float]) -> float:
        return math.exp(-result["loss"]) if math.isfinite(result["loss"]) else 0.0

    def answer(self, outputs: Outputs, image_size: Size) -> Answer:
        return {"range": tf.concat([outputs["near"], outputs["far"]], -1)}

    def agreement(self, answer: Answer, reference: Answer) -> np.ndarray:
        return per_image(np.abs(answer["range"] - reference["range"]) < 0.01)

    def in_picture(self, answer: Answer, geometry: InputGeometry, size: tf.Tensor) -> Answer:
        return {"range": answer["range"][0]}

    def paint(
        self, image: np.ndarray, answer: Answer, *, size: Size | None = None, opacity: float = 1.0
    ) -> np.ndarray:
        colours = painting.scale_colours(np.asarray(answer["range"])[None], FARTHEST)
        return painting.covered(image, colours, opacity)

    def picture(self, image: np.ndarray, target: Any, outputs: Outputs) -> np.ndarray:
        plain = painting.photograph(image)
        truth = {"range": self.encode(target[None], plain.shape[:2])[0]}
        shown = (truth, self.answer(outputs, plain.shape[:2]))
        return painting.side_by_side(plain, *(self.paint(plain, answer) for answer in shown))


class RangeMetrics(Metrics):
    """The share of depths within a tenth."""

    def __init__(self, task: Range) -> None:
        super().__init__(task)
        self._near_enough = self._count = 0

    def add(self, target: Any, answer: Answer) -> None:
        truth = self.task.encode(target, (1, 1)).numpy()
        near_enough = np.abs(np.asarray(answer["range"]) - truth) <= truth / 10
        self._near_enough += int(near_enough.sum())
        self._count += near_enough.size

    def result(self) -> Mapping[str, float]:
        return {"near_enough": self._near_enough / max(1, self._count)}

    def table(self) -> list[dict[str, Any]]:
        return [{"figure": "near_enough", "value": self.result()["near_enough"]}]
