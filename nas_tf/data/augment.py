"""Augments an example by a view: one motion for all its parts, light and colour, noise."""

from collections.abc import Mapping

import tensorflow as tf

from nas_tf.data.geometry import Motion, move_image, sample_motion
from nas_tf.data.info import DatasetInfo
from nas_tf.data.targets import TARGETS
from nas_tf.data.views import View

Example = dict[str, tf.Tensor]
_NOISE_STREAM = 2


def augment(
    example: Example, view: View, info: DatasetInfo, fills: Mapping[str, float], seed: tf.Tensor
) -> Example:
    """Returns the example through a view, image in [-1, 1]; the same seed gives the same bytes.

    ``fills`` maps the wanted targets to the values that pad them.
    """
    seeds = tf.random.experimental.stateless_split(seed, 2)
    motion = sample_motion(view, tf.shape(example["image"])[:2], seeds[0])
    moved = move(example, motion, info, fills)
    image = recolour(moved["image"], view, seeds[1]) / 127.5 - 1
    derived = {key: TARGETS[key].derived(image) for key in fills}
    moved |= {key: value for key, value in derived.items() if value is not None}
    return {**moved, "image": _with_noise(image, view, seed)}


def move(
    example: Example, motion: Motion, info: DatasetInfo, fills: Mapping[str, float]
) -> Example:
    """Applies a motion to every part; metres and pixel lengths change with the scale."""
    moved = {
        key: TARGETS[key].moved(value, motion, info, fills.get(key, 0))
        for key, value in example.items()
        if key in TARGETS
    }
    return {**example, **moved, "image": move_image(example["image"], motion)}


def recolour(image: tf.Tensor, view: View, seed: tf.Tensor) -> tf.Tensor:
    """Changes light and colour of an image in 0–255; without changes it is returned untouched."""
    if not view.recolours:
        return image
    seeds = tf.random.experimental.stateless_split(seed, 4)
    image = image / 255
    if view.brightness:
        image = tf.image.stateless_random_brightness(image, view.brightness, seeds[0])
    if view.contrast:
        image = tf.image.stateless_random_contrast(image, *_around(view.contrast), seeds[1])
    image = tf.clip_by_value(image, 0, 1)
    if view.saturation:
        image = tf.image.stateless_random_saturation(image, *_around(view.saturation), seeds[2])
    if view.hue:
        image = tf.image.stateless_random_hue(image, view.hue, seeds[3])
    return 255 * tf.clip_by_value(image, 0, 1)


def _with_noise(image: tf.Tensor, view: View, seed: tf.Tensor) -> tf.Tensor:
    """Adds the view's noise to an image in [-1, 1]; it is not clipped."""
    if not view.noise:
        return image
    seed = tf.random.experimental.stateless_fold_in(seed, _NOISE_STREAM)
    return image + view.noise / 127.5 * tf.random.stateless_normal(tf.shape(image), seed)


def _around(change: float) -> tuple[float, float]:
    """Returns the smallest and the largest factor of a change."""
    return 1 - change, 1 + change
