"""Applies one affine motion to the image and its annotations, so that they stay aligned.

Pixel (x, y) covers the square around (x, y); lengths are measured from the corner of the image,
where pixel centres are at x + 0.5 (half-pixel convention, as tf.image resizes).
"""

import math
from dataclasses import dataclass

import tensorflow as tf

from nas_tf.data.views import View
from nas_tf.sizes import Size

NO_BOX = -1.0
"""Each value of a row that holds no box."""

_GREY = 127.5
_SHARE_STREAM = 1
_LEAST_SHARE = 0.25
"""The share of a moved box that must be inside the crop."""


@dataclass(frozen=True, slots=True)
class Motion:
    """A sampled motion: mirror, turn (radians) and scale about the centre, then shift (x, y).

    It moves the pixels of an image of ``size`` (height, width) into a ``crop``.
    A ``still`` motion only shifts by integer pixels, which needs a copy and no interpolation; an
    ``upright`` motion never turns, so rows and columns are interpolated separately, at half the
    cost, and by a ``bicubic`` kernel if that is wanted.
    """

    size: tf.Tensor
    crop: Size
    scale: tf.Tensor
    turn: tf.Tensor
    mirror: tf.Tensor
    shift: tf.Tensor
    still: bool = False
    upright: bool = False
    bicubic: bool = False


def sample_motion(view: View, size: tf.Tensor, seed: tf.Tensor) -> Motion:
    """Samples a motion for an image of (height, width), which depends on the seed only."""
    uniform = tf.random.stateless_uniform([5], seed)
    scale = _scale(view, tf.cast(size, tf.float32), _drawn_scale(view, uniform[0], seed))
    scaled = tf.round(tf.cast(size, tf.float32) * scale)
    room = tf.cast(view.crop, tf.float32) - scaled
    centred = tf.floor(room / 2)
    cropped = -tf.floor(uniform[1:3] * (1 - room))
    shift = centred if view.centred else tf.where(room < 0, cropped, centred)
    turn = (2 * uniform[3] - 1) * math.radians(view.rotate)
    mirror = uniform[4] < 0.5 if view.mirror else tf.constant(False)
    kinds = view.still, not view.rotate, view.bicubic
    return Motion(size, view.crop, scale, turn, mirror, shift[::-1], *kinds)


def move_image(image: tf.Tensor, motion: Motion) -> tf.Tensor:
    """Moves an image and pads it with mid-grey, which is 0 in the range [-1, 1]."""
    image = tf.cast(image, tf.float32)
    if motion.upright and not motion.still:
        return _resample(image - _GREY, motion) + _GREY
    return _move(image, motion, "BILINEAR", _GREY)


def move_dense(target: tf.Tensor, motion: Motion, fill: float) -> tf.Tensor:
    """Moves a dense target, nearest and padded with its ``fill``, so no new values appear."""
    return _move(target[..., None], motion, "NEAREST", fill)[..., 0]


def move_points(points: tf.Tensor, motion: Motion, mirrored: list[int]) -> tf.Tensor:
    """Moves keypoints [P, J, 3]; a mirror swaps sides, and points outside the crop are dropped."""
    points = tf.where(motion.mirror, tf.gather(points, mirrored, axis=1), points)
    linear, offset = _forward(motion)
    moved = tf.einsum("ij,pkj->pki", linear, points[..., :2] + 0.5) + offset - 0.5
    limit = tf.constant(motion.crop[::-1], tf.float32) - 0.5
    inside = tf.reduce_all((moved >= -0.5) & (moved < limit), axis=-1)
    present = (inside & (points[..., 2] > 0))[..., None]
    return tf.where(present, tf.concat([moved, points[..., 2:]], axis=-1), 0.0)


def move_boxes(boxes: tf.Tensor, motion: Motion) -> tf.Tensor:
    """Moves boxes [N, 5] and clips them to the crop; a turned box becomes its bounding box.

    A box becomes ``NO_BOX`` if less than a pixel or than a quarter of it is inside.
    """
    linear, offset = _forward(motion)
    corners = tf.stack(
        [tf.gather(boxes, [0, 2, 2, 0], axis=1), tf.gather(boxes, [1, 1, 3, 3], axis=1)], axis=-1
    )
    moved = tf.einsum("ij,bkj->bki", linear, corners) + offset
    first, last = tf.reduce_min(moved, axis=1), tf.reduce_max(moved, axis=1)
    limit = tf.constant(motion.crop[::-1], tf.float32)
    start, end = (tf.clip_by_value(corner, 0.0, limit) for corner in (first, last))
    inside, area = tf.reduce_prod(end - start, axis=1), tf.reduce_prod(last - first, axis=1)
    present = (inside >= 1) & (inside >= _LEAST_SHARE * area)
    return tf.where(present[:, None], tf.concat([start, end, boxes[:, 4:]], axis=1), NO_BOX)


def _drawn_scale(view: View, uniform: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Returns a factor in the range of the view, or 1 for the share that is not scaled."""
    scale = view.scale[0] + uniform * (view.scale[1] - view.scale[0])
    if view.scale_share == 1:
        return scale
    seed = tf.random.experimental.stateless_fold_in(seed, _SHARE_STREAM)
    return tf.where(tf.random.stateless_uniform([], seed) < view.scale_share, scale, 1.0)


def _scale(view: View, size: tf.Tensor, scale: tf.Tensor) -> tf.Tensor:
    """Returns the factor between the stored image and its scaled copy, by a drawn factor."""
    if view.longer_side:
        scale *= view.longer_side / tf.reduce_max(size)
    if view.shorter_at_least:
        scale = tf.maximum(scale, view.shorter_at_least / tf.reduce_min(size))
    if view.longer_at_most:
        scale = tf.minimum(scale, view.longer_at_most / tf.reduce_max(size))
    return scale


def _forward(motion: Motion) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the matrix and offset that map positions in the image to positions in the crop."""
    centre = tf.cast(motion.size, tf.float32)[::-1] / 2
    cos, sin = tf.cos(motion.turn), tf.sin(motion.turn)
    flip = tf.where(motion.mirror, -1.0, 1.0)
    linear = motion.scale * tf.stack([[cos * flip, -sin], [sin * flip, cos]])
    return linear, motion.scale * centre + motion.shift - tf.linalg.matvec(linear, centre)


def _move(pixels: tf.Tensor, motion: Motion, interpolation: str, fill: float) -> tf.Tensor:
    """Interpolates every pixel of the crop at its position in the image."""
    if motion.still:
        return _shift(pixels, tf.cast(motion.shift[::-1], tf.int32), motion.crop, fill)
    linear, offset = _forward(motion)
    # Mirror and turn are orthogonal, so the inverse is the transpose over the square of the scale.
    inverse = tf.transpose(linear) / motion.scale**2
    origin = tf.linalg.matvec(inverse, 0.5 - offset) - 0.5
    rows = tf.concat([inverse, origin[:, None]], axis=1)
    moved = tf.raw_ops.ImageProjectiveTransformV3(
        images=pixels[None],
        transforms=tf.concat([tf.reshape(rows, [1, 6]), tf.zeros([1, 2])], axis=1),
        output_shape=tf.constant(motion.crop),
        fill_value=tf.cast(fill, tf.float32),
        interpolation=interpolation,
        fill_mode="CONSTANT",
    )
    return tf.ensure_shape(moved[0], (*motion.crop, pixels.shape[-1]))


def _resample(pixels: tf.Tensor, motion: Motion) -> tf.Tensor:
    """Scales, mirrors and shifts without a turn; pixels outside the image are 0.

    The bicubic kernel is that of Pillow: it widens where it shrinks, and ends at black and white.
    """
    pixels = tf.cond(motion.mirror, lambda: tf.reverse(pixels, axis=[1]), lambda: pixels)
    moved = tf.raw_ops.ScaleAndTranslate(
        images=pixels[None],
        size=tf.constant(motion.crop),
        scale=tf.stack([motion.scale, motion.scale]),
        translation=motion.shift[::-1],
        kernel_type="keyscubic" if motion.bicubic else "triangle",
        antialias=motion.bicubic,
    )
    if motion.bicubic:
        moved = tf.clip_by_value(moved, -_GREY, _GREY)
    return tf.ensure_shape(moved[0], (*motion.crop, pixels.shape[-1]))


def _shift(pixels: tf.Tensor, shift: tf.Tensor, crop: Size, fill: float) -> tf.Tensor:
    """Pads where the crop exceeds the image and crops where the image exceeds the crop."""
    after = tf.constant(crop) - tf.shape(pixels)[:2] - shift
    padding = tf.maximum(tf.stack([shift, after], axis=1), 0)
    padded = tf.pad(
        pixels, tf.pad(padding, [[0, 1], [0, 0]]), constant_values=tf.cast(fill, pixels.dtype)
    )
    start = tf.concat([tf.maximum(-shift, 0), [0]], axis=0)
    return tf.slice(padded, start, [*crop, pixels.shape[-1]])
