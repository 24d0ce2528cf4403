"""Augments an example by a view: one motion for all its parts, then light and colour."""

import tensorflow as tf

from nas_tf.data.geometry import Motion, move_dense, move_image, move_points, sample_motion
from nas_tf.data.info import DatasetInfo
from nas_tf.data.views import View

Example = dict[str, tf.Tensor]


def augment(
    example: Example, view: View, info: DatasetInfo, fills: dict[str, float], seed: tf.Tensor
) -> Example:
    """Returns the example through a view, image in [-1, 1]; the same seed gives the same bytes."""
    seeds = tf.random.experimental.stateless_split(seed, 2)
    motion = sample_motion(view, tf.shape(example["image"])[:2], seeds[0])
    moved = move(example, motion, view.crop, info, fills)
    moved["image"] = recolour(moved["image"], view, seeds[1]) / 127.5 - 1
    return moved


def move(
    example: Example,
    motion: Motion,
    crop: tuple[int, int],
    info: DatasetInfo,
    fills: dict[str, float],
) -> Example:
    """Applies a motion to every part; metres and pixel lengths change with the scale."""
    size = tf.shape(example["image"])[:2]
    moved = {**example, "image": move_image(example["image"], motion, crop)}
    if "label" in example:
        moved["label"] = move_dense(example["label"], motion, crop, fills["label"])
    if "depth" in example:
        # An image twice as large is that of a scene half as far away.
        moved["depth"] = move_dense(example["depth"], motion, crop, fills["depth"]) / motion.scale
    if "keypoints" in example:
        mirrored = list(info.mirrored_joints)
        moved["keypoints"] = move_points(example["keypoints"], motion, size, crop, mirrored)
    if "head_size" in example:
        moved["head_size"] = example["head_size"] * motion.scale
    if "area" in example:
        moved["area"] = example["area"] * motion.scale**2
    return moved


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


def _around(change: float) -> tuple[float, float]:
    """Returns the smallest and the largest factor of a change."""
    return 1 - change, 1 + change
