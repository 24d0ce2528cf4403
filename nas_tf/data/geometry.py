"""One affine motion for the image and everything annotated on it, so they cannot drift apart.

Pixel (x, y) covers the square around (x, y); lengths are measured from the corner of the image,
where pixel centres are at x + 0.5 (half-pixel convention, as tf.image resizes).
"""

import math
from dataclasses import dataclass

import tensorflow as tf

from nas_tf.data.views import View

_GREY = 127.5


@dataclass(frozen=True, slots=True)
class Motion:
    """A drawn motion: mirror, turn (radians) and scale about the centre, then shift (x, y).

    A motion that is ``still`` only shifts by whole pixels, which costs a copy and no sampling; an
    ``upright`` one never turns, so rows and columns are sampled apart, at half the cost.
    """

    scale: tf.Tensor
    turn: tf.Tensor
    mirror: tf.Tensor
    shift: tf.Tensor
    still: bool = False
    upright: bool = False


def sample_motion(view: View, size: tf.Tensor, seed: tf.Tensor) -> Motion:
    """Draws a motion for an image of (height, width); the same seed draws the same."""
    draws = tf.random.stateless_uniform([5], seed)
    scale = _scale(view, tf.cast(size, tf.float32), draws[0])
    scaled = tf.round(tf.cast(size, tf.float32) * scale)
    room = tf.cast(view.crop, tf.float32) - scaled
    centred = tf.floor(room / 2)
    cropped = -tf.floor(draws[1:3] * (1 - room))
    shift = centred if view.centred else tf.where(room < 0, cropped, centred)
    turn = (2 * draws[3] - 1) * math.radians(view.rotate)
    mirror = draws[4] < 0.5 if view.mirror else tf.constant(False)
    return Motion(scale, turn, mirror, shift[::-1], view.still, not view.rotate)


def move_image(image: tf.Tensor, motion: Motion, crop: tuple[int, int]) -> tf.Tensor:
    """Bilinear, padded with mid-grey, which is 0 once the image is in [-1, 1]."""
    image = tf.cast(image, tf.float32)
    if motion.upright and not motion.still:
        return _resample(image - _GREY, motion, crop) + _GREY
    return _move(image, motion, crop, "BILINEAR", _GREY)


def move_dense(target: tf.Tensor, motion: Motion, crop: tuple[int, int], fill: float) -> tf.Tensor:
    """Nearest, padded with the target's own fill: no value appears that was not there."""
    return _move(target[..., None], motion, crop, "NEAREST", fill)[..., 0]


def move_points(
    points: tf.Tensor, motion: Motion, size: tf.Tensor, crop: tuple[int, int], mirrored: list[int]
) -> tf.Tensor:
    """Moves keypoints [P, J, 3], swaps left and right in a mirror, drops what leaves the crop."""
    points = tf.where(motion.mirror, tf.gather(points, mirrored, axis=1), points)
    linear, offset = _forward(motion, size)
    moved = tf.einsum("ij,pkj->pki", linear, points[..., :2] + 0.5) + offset - 0.5
    height, width = crop
    limit = tf.constant([width, height], tf.float32) - 0.5
    inside = tf.reduce_all((moved >= -0.5) & (moved < limit), axis=-1)
    kept = (inside & (points[..., 2] > 0))[..., None]
    return tf.where(kept, tf.concat([moved, points[..., 2:]], axis=-1), 0.0)


def _scale(view: View, size: tf.Tensor, draw: tf.Tensor) -> tf.Tensor:
    """The factor between the stored image and its scaled copy."""
    scale = view.scale[0] + draw * (view.scale[1] - view.scale[0])
    if view.longer_side:
        scale *= view.longer_side / tf.reduce_max(size)
    if view.shorter_at_least:
        scale = tf.maximum(scale, view.shorter_at_least / tf.reduce_min(size))
    if view.longer_at_most:
        scale = tf.minimum(scale, view.longer_at_most / tf.reduce_max(size))
    return scale


def _forward(motion: Motion, size: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """The matrix and offset that take a place in the image to its place in the crop."""
    centre = tf.cast(size, tf.float32)[::-1] / 2
    cos, sin = tf.cos(motion.turn), tf.sin(motion.turn)
    flip = tf.where(motion.mirror, -1.0, 1.0)
    linear = motion.scale * tf.stack([[cos * flip, -sin], [sin * flip, cos]])
    return linear, motion.scale * centre + motion.shift - tf.linalg.matvec(linear, centre)


def _move(
    pixels: tf.Tensor, motion: Motion, crop: tuple[int, int], how: str, fill: float
) -> tf.Tensor:
    """Samples every pixel of the crop where it came from."""
    if motion.still:
        return _shift(pixels, tf.cast(motion.shift[::-1], tf.int32), crop, fill)
    linear, offset = _forward(motion, tf.shape(pixels)[:2])
    # Mirror and turn are orthogonal, so the inverse is the transpose over the square of the scale.
    inverse = tf.transpose(linear) / motion.scale**2
    origin = tf.linalg.matvec(inverse, 0.5 - offset) - 0.5
    rows = tf.concat([inverse, origin[:, None]], axis=1)
    moved = tf.raw_ops.ImageProjectiveTransformV3(
        images=pixels[None],
        transforms=tf.concat([tf.reshape(rows, [1, 6]), tf.zeros([1, 2])], axis=1),
        output_shape=tf.constant(crop),
        fill_value=tf.cast(fill, tf.float32),
        interpolation=how,
        fill_mode="CONSTANT",
    )
    return tf.ensure_shape(moved[0], (*crop, pixels.shape[-1]))


def _resample(pixels: tf.Tensor, motion: Motion, crop: tuple[int, int]) -> tf.Tensor:
    """Scales, mirrors and shifts without a turn; 0 outside the image."""
    pixels = tf.cond(motion.mirror, lambda: tf.reverse(pixels, axis=[1]), lambda: pixels)
    moved = tf.raw_ops.ScaleAndTranslate(
        images=pixels[None],
        size=tf.constant(crop),
        scale=tf.stack([motion.scale, motion.scale]),
        translation=motion.shift[::-1],
        kernel_type="triangle",
        antialias=False,
    )
    return tf.ensure_shape(moved[0], (*crop, pixels.shape[-1]))


def _shift(pixels: tf.Tensor, shift: tf.Tensor, crop: tuple[int, int], fill: float) -> tf.Tensor:
    """Pads where the crop leaves the image and cuts where the image leaves the crop."""
    after = tf.constant(crop) - tf.shape(pixels)[:2] - shift
    padding = tf.maximum(tf.stack([shift, after], axis=1), 0)
    padded = tf.pad(
        pixels, tf.pad(padding, [[0, 1], [0, 0]]), constant_values=tf.cast(fill, pixels.dtype)
    )
    start = tf.concat([tf.maximum(-shift, 0), [0]], axis=0)
    return tf.slice(padded, start, [*crop, pixels.shape[-1]])
