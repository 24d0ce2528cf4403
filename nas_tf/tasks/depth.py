"""Depth estimation: the distance of each pixel in metres."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from nas_tf.errors import ConfigError
from nas_tf.sizes import Size
from nas_tf.tasks.base import (
    Answer,
    Outputs,
    Resolution,
    Result,
    TargetSpec,
    per_image,
)
from nas_tf.tasks.dense import LOGITS, MapMetrics, MapTask, single
from nas_tf.tasks.painting import photograph, scale_colours, side_by_side
from nas_tf.tasks.resolution import aligned, enlarged

DEPTH_UNIT = 256.0
"""Steps per metre of a depth in a PNG: 16 bits of 1/256 metres, as in KITTI's files."""
_FIGURES = ("rmse", "rmse_log", "abs_rel", "sqr_rel", "delta1", "delta2", "delta3")


class Depth(MapTask):
    """Depth estimation with the inverse Huber loss; missing depths (0) count nowhere.

    A raw target is a map of metres, which is also the encoded target. The answer is ``depth`` in
    metres::

        task = Depth(least=0.5, most=10)
        metrics = task.metrics()
        outputs = {"logits": tf.fill((1, 2, 2, 1), 2.2)}
        metrics.update(tf.fill((1, 8, 8), 2.0), outputs, (8, 8))
        print(task.score(metrics.result()))

    Args:
        least: Smaller predictions are raised to this many metres before they are scored, as
            relative and logarithmic figures need.
        most: Larger predictions are lowered to this many metres before they are scored.
    """

    name = "depth"
    headline = "delta1"
    primary = ("depth",)
    channels = 1
    target = TargetSpec("depth", 0)

    def __init__(self, *, least: float = 1e-3, most: float = 80.0) -> None:
        if not 0 < least < most:
            raise ConfigError(f"least is {least} and most {most}, expected 0 < least < most")
        self.least, self.most = least, most

    def settings(self) -> Mapping[str, Any]:
        """Returns the bounds of scored depths."""
        return {"least": self.least, "most": self.most}

    def loss(
        self, encoded: tf.Tensor, outputs: Outputs, *, at: Resolution = "target"
    ) -> tf.Tensor:
        """Returns berHu: absolute below c, a fifth of the largest error, and quadratic above."""
        depth, logits = aligned(encoded, outputs[LOGITS], at)
        known = depth > 0
        error = tf.abs(tf.where(known, logits[..., 0], depth) - depth)
        bound = tf.stop_gradient(0.2 * tf.reduce_max(error))
        quadratic = tf.math.divide_no_nan(error**2 + bound**2, 2 * bound)
        huber = tf.where(error <= bound, error, quadratic)
        count = tf.reduce_sum(tf.cast(known, tf.float32))
        return tf.math.divide_no_nan(tf.reduce_sum(huber), count)

    def metrics(self) -> "DepthMetrics":
        """Returns new metrics of depths."""
        return DepthMetrics(self)

    def score(self, result: Result) -> float:
        """Returns the share of pixels within a factor of 1.25."""
        return float(result["delta1"])

    def answer(self, outputs: Outputs, image_size: Size) -> Answer:
        """Returns the metres of each pixel, within the bounds."""
        metres = enlarged(outputs[LOGITS], image_size)[..., 0]
        return {"depth": tf.clip_by_value(metres, self.least, self.most)}

    def marked(self, outputs: Outputs, image_size: Size) -> Answer:
        """Returns the metres of each pixel; a prediction that is not finite counts as least."""
        depth = enlarged(outputs[LOGITS], image_size)[..., 0]
        return {"depth": tf.where(tf.math.is_finite(depth), depth, self.least)}

    def agreement(self, answer: Answer, reference: Answer) -> np.ndarray:
        """Returns the share of depths within one percent."""
        depth = reference["depth"]
        return per_image(np.abs(answer["depth"] - depth) <= 0.01 * depth)

    def to_png(self, values: Any) -> tf.Tensor:
        """Returns depths as 16 bits of 1/256 metres."""
        steps = tf.cast(tf.round(values * DEPTH_UNIT), tf.int32)
        return tf.cast(tf.minimum(steps, 65535), tf.uint16)

    def from_png(self, values: np.ndarray) -> np.ndarray:
        """Returns the metres of 16 bits."""
        return values / DEPTH_UNIT

    def coloured(self, values: np.ndarray) -> np.ndarray:
        """Returns depths as colours from near to the farthest, near ones bright."""
        return scale_colours(values, max(float(values.max()), 1e-6))

    def picture(self, image: np.ndarray, target: Any, outputs: Outputs) -> np.ndarray:
        """Returns image, true and predicted depth in a common scale; missing depths are black."""
        target = np.asarray(target)
        predicted = enlarged(single(outputs)[LOGITS], target.shape)[0, ..., 0].numpy()
        farthest = float(target.max()) or self.most
        maps = (
            np.where((depth > 0)[..., None], scale_colours(depth, farthest), np.uint8(0))
            for depth in (target, predicted)
        )
        return side_by_side(photograph(image), *maps)


class DepthMetrics(MapMetrics):
    """Root mean squares, relative errors and the shares within factors of 1.25."""

    task: Depth

    def __init__(self, task: Depth) -> None:
        super().__init__(task)
        self._sums = tf.Variable(tf.zeros(len(_FIGURES) + 1, tf.float64), trainable=False)

    def add(self, target: tf.Tensor, answer: Answer) -> None:
        """Accumulates the known pixels of a batch."""
        known = target > 0
        true = tf.cast(tf.boolean_mask(target, known), tf.float64)
        depth = tf.cast(tf.boolean_mask(answer["depth"], known), tf.float64)
        depth = tf.clip_by_value(depth, self.task.least, self.task.most)
        factor = tf.maximum(depth / true, true / depth)
        figures = [
            (depth - true) ** 2,
            (tf.math.log(depth) - tf.math.log(true)) ** 2,
            tf.abs(depth - true) / true,
            (depth - true) ** 2 / true,
            *(tf.cast(factor < 1.25**n, tf.float64) for n in (1, 2, 3)),
            tf.ones_like(true),
        ]
        self._sums.assign_add(tf.stack([tf.reduce_sum(figure) for figure in figures]))

    def result(self) -> Result:
        """Returns the figures over all known pixels; without any, shares of 0 and no errors."""
        *sums, count = self._sums.numpy()
        if count == 0:
            return dict.fromkeys(_FIGURES[4:], 0.0)
        means = dict(zip(_FIGURES, (float(total / count) for total in sums), strict=True))
        return {**means, "rmse": means["rmse"] ** 0.5, "rmse_log": means["rmse_log"] ** 0.5}

    def table(self) -> list[dict[str, Any]]:
        """Returns a row per figure."""
        return [{"figure": key, "value": value} for key, value in self.result().items()]
