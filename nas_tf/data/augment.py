"""Augments an example by a view: one motion for all its parts, light and colour, degradation."""

from collections.abc import Mapping

import tensorflow as tf

from nas_tf.data.geometry import Motion, move_image, sample_motion
from nas_tf.data.info import DatasetInfo
from nas_tf.data.targets import TARGETS
from nas_tf.data.views import View

Example = dict[str, tf.Tensor]
_DEGRADATION_STREAM, _TURN_STREAM = 2, 3
_LUMA = (19595, 38470, 7471)
"""The weights of red, green and blue in 8-bit luma, of 65536, as Pillow has them."""


def augment(
    example: Example, view: View, info: DatasetInfo, fills: Mapping[str, float], seed: tf.Tensor
) -> Example:
    """Returns the example through a view, image in [-1, 1]; the same seed gives the same bytes.

    ``fills`` maps the wanted targets to the values that pad them.
    """
    seeds = tf.random.experimental.stateless_split(seed, 2)
    example = _turned(grey(example) if view.grey else example, view, seed)
    motion = sample_motion(view, tf.shape(example["image"])[:2], seeds[0])
    moved = move(example, motion, info, fills)
    image = recolour(moved["image"], view, seeds[1])
    worse, level = degraded(image, view, seed)
    derived = {
        key: TARGETS[key].derived(image, level, motion, fill)
        for key, fill in fills.items()
        if key not in moved
    }
    moved |= {key: value for key, value in derived.items() if value is not None}
    return {**moved, "image": worse / 127.5 - 1}


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


def grey(example: Example) -> Example:
    """Returns the example with pictures whose channels all are the 8-bit luma."""

    def luma(picture: tf.Tensor) -> tf.Tensor:
        weighted = tf.cast(picture, tf.int32) * tf.constant(_LUMA)
        summed = tf.reduce_sum(weighted, axis=-1, keepdims=True)
        return tf.tile(tf.cast((summed + (1 << 15)) // (1 << 16), tf.uint8), (1, 1, 3))

    return example | {key: luma(example[key]) for key in ("image", "clean") if key in example}


def _turned(example: Example, view: View, seed: tf.Tensor) -> Example:
    """Returns the example turned by a random number of quarters, which no pixel is changed by."""
    if not view.turns:
        return example
    seed = tf.random.experimental.stateless_fold_in(seed, _TURN_STREAM)
    quarters = tf.random.stateless_uniform([], seed, 0, 4, tf.int32)
    turned = {
        key: TARGETS[key].turned(value, quarters)
        for key, value in example.items()
        if key in TARGETS
    }
    return {**example, **turned, "image": tf.image.rot90(example["image"], quarters)}


def degraded(image: tf.Tensor, view: View, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns an image in 0–255 after the view's degradation, and the level of its noise."""
    if view.degradation is None:
        return image, tf.constant(0.0)
    seed = tf.random.experimental.stateless_fold_in(seed, _DEGRADATION_STREAM)
    worse = view.degradation.apply(image[..., :1] if view.grey else image, seed)
    return tf.broadcast_to(worse, tf.shape(image)), view.degradation.level(seed)


def _around(change: float) -> tuple[float, float]:
    """Returns the smallest and the largest factor of a change."""
    return 1 - change, 1 + change
