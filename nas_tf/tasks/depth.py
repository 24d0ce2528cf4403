"""Depth estimation: the distance of each pixel in metres."""

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import tensorflow as tf
from matplotlib import colormaps

from nas_tf.errors import ConfigError
from nas_tf.tasks.base import DenseMetrics, Metrics, Result, TargetKind, TargetSpec, Task
from nas_tf.tasks.painting import photograph, side_by_side
from nas_tf.tasks.resolution import aligned, enlarged

_FIGURES = ("rmse", "rmse_log", "abs_rel", "sqr_rel", "delta1", "delta2", "delta3")


class Depth(Task):
    """Depth estimation with the inverse Huber loss; missing depths (0) count nowhere.

    A raw target is a map of metres, which is also the encoded target::

        task = Depth(least=0.5, most=10)
        metrics = task.metrics()
        metrics.update(tf.fill((1, 8, 8), 2.0), tf.fill((1, 2, 2, 1), 2.2), (8, 8))
        print(task.score(metrics.result()))

    Args:
        least: Smaller predictions are raised to this many metres before they are scored, as
            relative and logarithmic figures need.
        most: Larger predictions are lowered to this many metres before they are scored.
    """

    name = "depth"
    channels = 1
    target = TargetSpec("depth", TargetKind.DEPTH, 0)

    def __init__(self, *, least: float = 1e-3, most: float = 80.0) -> None:
        if not 0 < least < most:
            raise ConfigError(f"least is {least} and most {most}, expected 0 < least < most")
        self.least, self.most = least, most

    def settings(self) -> Mapping[str, Any]:
        """Returns the bounds of scored depths."""
        return {"least": self.least, "most": self.most}

    def loss(
        self, encoded: tf.Tensor, logits: tf.Tensor, *, at: Literal["target", "logits"] = "target"
    ) -> tf.Tensor:
        """Returns berHu: absolute below c, a fifth of the largest error, and quadratic above."""
        depth, logits = aligned(encoded, logits, at)
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

    def picture(self, image: np.ndarray, target: Any, logits: np.ndarray) -> np.ndarray:
        """Returns image, true and predicted depth in a common scale; missing depths are black."""
        target = np.asarray(target)
        predicted = enlarged(tf.convert_to_tensor(logits)[None], target.shape)[0, ..., 0].numpy()
        farthest = float(target.max()) or self.most
        return side_by_side(
            photograph(image), _coloured(target, farthest), _coloured(predicted, farthest)
        )


class DepthMetrics(DenseMetrics):
    """Root mean squares, relative errors and the shares within factors of 1.25."""

    def __init__(self, task: Depth) -> None:
        self._task = task
        self._sums = tf.Variable(tf.zeros(len(_FIGURES) + 1, tf.float64), trainable=False)

    def predicted(self, logits: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
        """Returns the metres of each pixel; a prediction that is not finite counts as least."""
        depth = enlarged(logits, size)[..., 0]
        return tf.where(tf.math.is_finite(depth), depth, self._task.least)

    def add(self, target: tf.Tensor, predicted: tf.Tensor) -> None:
        """Accumulates the known pixels of a batch."""
        known = target > 0
        true = tf.cast(tf.boolean_mask(target, known), tf.float64)
        depth = tf.cast(tf.boolean_mask(predicted, known), tf.float64)
        depth = tf.clip_by_value(depth, self._task.least, self._task.most)
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

    def reset(self) -> None:
        """Discards all batches."""
        self._sums.assign(tf.zeros_like(self._sums))

    def merge(self, other: Metrics) -> None:
        """Adds the sums of other metrics."""
        self._sums.assign_add(other._sums)  # type: ignore[attr-defined]

    def table(self) -> list[dict[str, Any]]:
        """Returns a row per figure."""
        return [{"figure": key, "value": value} for key, value in self.result().items()]


def _coloured(depth: np.ndarray, farthest: float) -> np.ndarray:
    colours = colormaps["inferno_r"](np.clip(depth / farthest, 0, 1), bytes=True)[..., :3]
    return np.where((depth > 0)[..., None], colours, 0).astype(np.uint8)
