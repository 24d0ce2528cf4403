"""The loss and the figures of restored pictures: squared error, PSNR and SSIM.

Pictures are [batch, height, width, channels] in [0, 1]. Pixels that pad a clean picture are not
known: they count nowhere. SSIM has a Gaussian window of 11 pixels with a deviation of 1.5. Scores
take complete windows only, as scikit-image and tf.image do; the loss takes all, with zeros around
the picture, as the public HiNAS code does, which reads higher.
"""

import math
from typing import Any

import numpy as np
import tensorflow as tf

from nas_tf.errors import ConfigError
from nas_tf.tasks.base import Answer, Metrics, Result, Task

WINDOW = 11
MOST_PSNR = 100.0
"""The PSNR of equal pictures, in decibels."""
_DEVIATION = 1.5
_C1, _C2 = 0.01**2, 0.03**2
_LEAST_SSIM = 0.01
"""Below it, the logarithm in the loss continues as a straight line."""


def ssim_map(first: tf.Tensor, second: tf.Tensor, *, padded: bool = False) -> tf.Tensor:
    """Returns SSIM in the window around each pixel, of complete windows only unless ``padded``."""
    parts = (first, second, first * first, second * second, first * second)
    smooth = _smoothed(tf.concat(parts, axis=-1), "SAME" if padded else "VALID")
    mean1, mean2, square1, square2, product = tf.split(smooth, len(parts), axis=-1)
    means, squares = mean1 * mean2, mean1 * mean1 + mean2 * mean2
    contrast = (2 * (product - means) + _C2) / (square1 + square2 - squares + _C2)
    return (2 * means + _C1) / (squares + _C1) * contrast


def _smoothed(maps: tf.Tensor, padding: str) -> tf.Tensor:
    """Returns maps smoothed by the Gaussian window, rows and columns separately."""
    places = np.arange(WINDOW) - WINDOW // 2
    weights = np.exp(-(places**2) / (2 * _DEVIATION**2))
    line = tf.constant(weights / weights.sum(), maps.dtype)
    for shape in ((WINDOW, 1, 1, 1), (1, WINDOW, 1, 1)):
        kernel = tf.tile(tf.reshape(line, shape), (1, 1, maps.shape[-1], 1))
        maps = tf.nn.depthwise_conv2d(maps, kernel, (1, 1, 1, 1), padding)
    return maps


def loss(clean: tf.Tensor, restored: tf.Tensor, known: tf.Tensor, weight: float) -> tf.Tensor:
    """Returns (MSE + weight · log10(1 / SSIM)) / 2 of the known pixels [batch, height, width, 1].

    SSIM is the mean over the batch, of which then the logarithm is taken.
    """
    zero = tf.zeros((), clean.dtype)
    clean, restored = tf.where(known, clean, zero), tf.where(known, restored, zero)
    share = tf.cast(known, clean.dtype)
    count = tf.reduce_sum(share) * clean.shape[-1]
    error = tf.math.divide_no_nan(tf.reduce_sum((restored - clean) ** 2), count)
    similarity = tf.reduce_sum(ssim_map(restored, clean, padded=True) * share)
    similarity = tf.where(count > 0, tf.math.divide_no_nan(similarity, count), 1 + zero)
    return (error + weight * _log_inverse(similarity)) / 2


def _log_inverse(similarity: tf.Tensor) -> tf.Tensor:
    """Returns log10(1 / SSIM), which continues as its tangent where SSIM is near 0 or below."""
    above = tf.maximum(similarity, _LEAST_SSIM)
    below = tf.nn.relu(_LEAST_SSIM - similarity) / (_LEAST_SSIM * math.log(10))
    return below - tf.math.log(above) / math.log(10)


def psnr(clean: tf.Tensor, restored: tf.Tensor, known: tf.Tensor) -> tf.Tensor:
    """Returns the PSNR of each picture's known pixels in decibels, at most ``MOST_PSNR``."""
    share = tf.cast(known, clean.dtype)
    error = tf.reduce_sum(share * (restored - clean) ** 2, axis=(1, 2, 3))
    mean = error / tf.reduce_sum(share * tf.ones_like(clean), axis=(1, 2, 3))
    return -10 * tf.math.log(tf.maximum(mean, 10 ** (-MOST_PSNR / 10))) / math.log(10)


def ssim(
    clean: tf.Tensor, restored: tf.Tensor, known: tf.Tensor, *, padded: bool = False
) -> tf.Tensor:
    """Returns each picture's mean SSIM, NaN for one without a complete window of known pixels.

    If ``padded``, the mean is over all known pixels, with zeros around them.
    """
    share = tf.cast(known, clean.dtype)
    if padded:
        clean, restored = share * clean, share * restored
    elif min(clean.shape[1:3]) < WINDOW:
        return tf.fill(tf.shape(clean)[:1], tf.constant(float("nan"), clean.dtype))
    else:
        share = -tf.nn.max_pool2d(-share, WINDOW, 1, "VALID")
    similarity = share * ssim_map(clean, restored, padded=padded)
    count = tf.reduce_sum(share * tf.ones_like(similarity), axis=(1, 2, 3))
    return tf.reduce_sum(similarity, axis=(1, 2, 3)) / count


class Quality(Metrics):
    """PSNR and SSIM, means over pictures, in all and for each level of noise.

    Pictures smaller than the window have no SSIM and do not count in its mean.
    """

    def __init__(self, task: Task, *, levels: tuple[float, ...], padded: bool) -> None:
        super().__init__(task)
        self._levels, self._padded = levels, padded
        self._found: list[tuple[float, float, float, float]] = []

    def add(self, target: Any, answer: Answer) -> None:
        """Accumulates a batch of pictures, as bytes or in [0, 1]."""
        clean, known = self.task.truth(target)
        clean = tf.cast(clean, tf.float64)
        restored = tf.convert_to_tensor(answer["restored"])
        if restored.shape[-1] != clean.shape[-1]:
            raise ConfigError(
                f"the network restores {restored.shape[-1]} channels and is scored on "
                f"{clean.shape[-1]}, expected task.channels={restored.shape[-1]}"
            )
        scale = 255.0 if restored.dtype == tf.uint8 else 1.0
        restored = tf.cast(restored, tf.float64) / scale
        wrong = tf.where(clean > 0.5, tf.zeros_like(clean), tf.ones_like(clean))
        restored = tf.where(tf.math.is_finite(restored), restored, wrong)
        pictures = clean, restored, known
        levels = target["level"] if self._levels else tf.zeros(len(clean))
        padded = ssim(*pictures, padded=True) if self._padded else tf.zeros(len(clean))
        figures = levels, psnr(*pictures), ssim(*pictures), padded
        rows = zip(*(np.asarray(part, np.float64).tolist() for part in figures), strict=True)
        known_any = np.asarray(tf.reduce_any(known, axis=(1, 2, 3))).tolist()
        self._found += [row for row, counts in zip(rows, known_any, strict=True) if counts]

    def result(self) -> Result:
        """Returns the figures over all pictures, then those of each level."""
        figures = self._means(self._found)
        for level in self._levels:
            own = self._means(self._at(level))
            figures |= {f"{name}_{level:g}": value for name, value in own.items()}
        return figures

    def table(self) -> list[dict[str, Any]]:
        """Returns a row for all pictures and one for each level of noise."""
        parts = {f"sigma {level:g}": self._at(level) for level in self._levels}
        parts = {"all": self._found} | parts
        return [
            {"noise": name, **self._means(rows), "pictures": len(rows)}
            for name, rows in parts.items()
        ]

    def _at(self, level: float) -> list[tuple[float, float, float, float]]:
        """Returns the rows of the pictures whose level is nearest to one."""
        return [
            row
            for row in self._found
            if min(self._levels, key=lambda other, row=row: abs(other - row[0])) == level
        ]

    def _means(self, rows: list[tuple[float, float, float, float]]) -> dict[str, float]:
        """Returns the mean figures; 0 without a picture that has one."""
        columns = np.array(rows, np.float64).reshape(-1, 4)
        names = ("psnr", "ssim", "ssim_zero_padded")[: 3 if self._padded else 2]
        means = {}
        for number, name in enumerate(names, start=1):
            values = columns[:, number][np.isfinite(columns[:, number])]
            means[name] = max(0.0, float(values.mean())) if len(values) else 0.0
        return means
