"""Degrades clean pictures: rain, a smaller size, noise, JPEG and missing pixels.

Every random value depends on the seed alone, so a picture and a seed give the same degraded
picture in any order and in any process. Pictures are float32 [height, width, channels] in 0–255;
noise is neither clipped nor rounded.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import tensorflow as tf

from nas_tf.errors import ConfigError

_WHITE = 255.0
_STEEPEST, _OPACITY = math.radians(30), 0.8
_ENDS = 3
"""The number of levels at which a range of noise is scored: its ends and its middle."""


@dataclass(frozen=True, slots=True)
class Rain:
    """Bright streaks of one slope, up to 30 degrees from the vertical.

    Args:
        share: Share of the pixels at which a streak begins.
        length: Length of a streak in pixels.
    """

    share: float = 0.004
    length: int = 15

    def __post_init__(self) -> None:
        _check("rain.share", self.share, 0, 1)
        _check("rain.length", self.length, 1, 255)

    def apply(self, image: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Returns the picture behind streaks."""
        seeds = tf.random.experimental.stateless_split(seed, 3)
        shape = tf.concat([tf.shape(image)[:2], [1]], axis=0)
        begins = tf.random.stateless_uniform(shape, seeds[0]) < self.share
        light = tf.random.stateless_uniform(shape, seeds[1], 0.5, 1.0)
        slope = tf.random.stateless_uniform([], seeds[2], -_STEEPEST, _STEEPEST)
        drops = tf.where(begins, light, 0.0)[None]
        line = self._line(slope)[..., None, None]
        streaks = tf.minimum(tf.nn.conv2d(drops, line, 1, "SAME")[0], 1.0)
        return image + _OPACITY * streaks * (_WHITE - image)

    def _line(self, slope: tf.Tensor) -> tf.Tensor:
        """Returns a line through the middle of a square, with soft edges."""
        reach = self.length // 2
        positions = tf.range(-reach, reach + 1, dtype=tf.float32)
        down, across = positions[:, None], positions[None]
        along = down * tf.cos(slope) + across * tf.sin(slope)
        apart = tf.abs(across * tf.cos(slope) - down * tf.sin(slope))
        return tf.where(tf.abs(along) <= self.length / 2, tf.nn.relu(1 - apart), 0.0)


@dataclass(frozen=True, slots=True)
class Downscale:
    """A picture made smaller by a factor and enlarged again, both bicubic."""

    factor: float

    def __post_init__(self) -> None:
        _check("downscale.factor", self.factor, 1, 16)

    def apply(self, image: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Returns the picture with fewer details."""
        own = tf.shape(image)[:2]
        size = tf.maximum(tf.cast(tf.round(tf.cast(own, tf.float32) / self.factor), tf.int32), 1)
        small = tf.image.resize(image, size, "bicubic", antialias=True)
        return tf.clip_by_value(tf.image.resize(small, own, "bicubic"), 0.0, _WHITE)


@dataclass(frozen=True, slots=True)
class Noise:
    """Gaussian noise of a standard deviation on the scale 0–255.

    Args:
        sigma: The deviation, or several of which each picture has one.
        between: If true, the deviation is anywhere between the two of ``sigma``.
    """

    sigma: tuple[float, ...]
    between: bool = False

    def __post_init__(self) -> None:
        for value in self.sigma:
            _check("noise.sigma", value, 0, 255)
        ordered = len(self.sigma) == 2 and self.sigma[0] < self.sigma[1]
        if not self.sigma or (self.between and not ordered):
            raise ConfigError(
                f"noise.sigma is {list(self.sigma)}, expected one or more deviations, or the "
                "lower and the higher end of a range"
            )

    @classmethod
    def of(cls, sigma: float | str | Sequence[float]) -> "Noise":
        """Returns the noise of a number, of a list, or of a range such as ``0-55``."""
        if isinstance(sigma, str):
            parts = sigma.replace("–", "-").split("-")
            try:
                return cls(tuple(map(float, parts)), between=True)
            except ValueError:
                raise ConfigError(
                    f"noise.sigma is {sigma!r}, expected a number, a list, or a range such as 0-55"
                ) from None
        return cls(tuple(map(float, sigma if isinstance(sigma, Sequence) else (sigma,))))

    @property
    def levels(self) -> tuple[float, ...]:
        """The deviations at which pictures are scored, lowest first."""
        if not self.between:
            return tuple(sorted(self.sigma))
        low, high = self.sigma
        return tuple(low + n * (high - low) / (_ENDS - 1) for n in range(_ENDS))

    def level(self, seed: tf.Tensor) -> tf.Tensor:
        """Returns the deviation that a seed draws."""
        place = tf.random.stateless_uniform([], seed)
        if self.between:
            return self.sigma[0] + place * (self.sigma[1] - self.sigma[0])
        number = tf.cast(place * len(self.sigma), tf.int32)
        return tf.constant(self.sigma)[tf.minimum(number, len(self.sigma) - 1)]

    def apply(self, image: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Returns the picture with noise."""
        seeds = tf.random.experimental.stateless_split(seed, 2)
        normal = tf.random.stateless_normal(tf.shape(image), seeds[1], alg="philox")
        return image + self.level(seeds[0]) * normal


@dataclass(frozen=True, slots=True)
class Jpeg:
    """The traces of a JPEG file of a quality from 1 to 100."""

    quality: int

    def __post_init__(self) -> None:
        _check("jpeg.quality", self.quality, 1, 100)

    def apply(self, image: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Returns the picture as such a file shows it; bytes by necessity."""
        pixels = tf.cast(tf.round(tf.clip_by_value(image, 0.0, _WHITE)), tf.uint8)
        file = tf.io.encode_jpeg(pixels, quality=self.quality)
        decoded = tf.io.decode_jpeg(file, channels=image.shape[-1], dct_method="INTEGER_ACCURATE")
        return tf.cast(decoded, tf.float32)


@dataclass(frozen=True, slots=True)
class Missing:
    """Black pixels at random places, a share of all."""

    share: float

    def __post_init__(self) -> None:
        _check("missing.share", self.share, 0, 1)

    def apply(self, image: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Returns the picture without these pixels."""
        shape = tf.concat([tf.shape(image)[:2], [1]], axis=0)
        return tf.where(tf.random.stateless_uniform(shape, seed) < self.share, 0.0, image)


@dataclass(frozen=True, slots=True)
class Degradation:
    """One or more degradations, applied in the order of the arguments.

    ::

        degradation = Degradation(noise=Noise.of([30, 50, 70]))
        noisy = degradation.apply(image, tf.constant([1, 2]))
    """

    rain: Rain | None = None
    downscale: Downscale | None = None
    noise: Noise | None = None
    jpeg: Jpeg | None = None
    missing: Missing | None = None

    def apply(self, image: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Returns the degraded picture of a seed."""
        for name, step in self._steps().items():
            image = step.apply(image, self._seed(seed, name))
        return image

    def level(self, seed: tf.Tensor) -> tf.Tensor:
        """Returns the deviation of the noise that ``apply`` adds with this seed, 0 without any."""
        if self.noise is None:
            return tf.constant(0.0)
        own = self._seed(seed, "noise")
        return self.noise.level(tf.random.experimental.stateless_split(own, 2)[0])

    @property
    def levels(self) -> tuple[float, ...]:
        """The deviations at which pictures are scored, if there are several."""
        levels = self.noise.levels if self.noise is not None else ()
        return levels if len(levels) > 1 else ()

    def scored(self) -> "Degradation":
        """Returns the degradation with the levels of scores in place of a range."""
        return replace(self, noise=Noise(self.levels)) if self.levels else self

    def at(self, level: float) -> "Degradation":
        """Returns the degradation with noise of one deviation."""
        return replace(self, noise=Noise((level,)))

    def _steps(self) -> dict[str, Rain | Downscale | Noise | Jpeg | Missing]:
        steps = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: step for name, step in steps.items() if step is not None}

    def _seed(self, seed: tf.Tensor, name: str) -> tf.Tensor:
        """Returns the seed of a step, which does not depend on the other steps."""
        number = [field.name for field in fields(self)].index(name)
        return tf.random.experimental.stateless_fold_in(seed, number + 1)


def _check(key: str, value: float, least: float, most: float) -> None:
    """Raises unless a setting is a number within bounds."""
    if (
        isinstance(value, bool)
        or not isinstance(value, (int, float))
        or not least <= value <= most
    ):
        raise ConfigError(f"{key} is {value!r}, expected a number of {least} to {most}")
