"""FCOS (ICCV 2019): which location learns which box, the losses, and boxes from predictions.

Locations are those of the levels in turn, row by row. An encoded target is float32 [batch,
locations, 6]: the class from 1, or 0 for background; the distances to the left, top, right and
bottom side of the box; and the centerness.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import tensorflow as tf

from nas_tf.networks.fcos import LEVELS, level_sizes
from nas_tf.sizes import Size

RANGES = (64, 128, 256, 512)
"""The largest of a box's distances that P3, P4, P5 and P6 learn; P7 learns all larger ones."""
_ALPHA, _FAR = 0.25, 1e12


class Losses(NamedTuple):
    """The three terms of the loss."""

    classes: tf.Tensor
    boxes: tf.Tensor
    centerness: tf.Tensor


def locations(image_size: Size) -> tf.Tensor:
    """Returns the points [locations, 2] (x, y) in the image that the locations stand for."""
    points = []
    for name, (height, width) in level_sizes(image_size).items():
        stride = LEVELS[name]
        x = tf.range(width, dtype=tf.float32) * stride + stride // 2
        y = tf.range(height, dtype=tf.float32) * stride + stride // 2
        points.append(tf.reshape(tf.stack(tf.meshgrid(x, y), axis=-1), (-1, 2)))
    return tf.concat(points, axis=0)


def _limits(image_size: Size, ranges: Sequence[float]) -> tf.Tensor:
    """Returns the least and the largest distance [locations, 2] of each location."""
    counts = [height * width for height, width in level_sizes(image_size).values()]
    pairs = zip((-1, *ranges), (*ranges, 1e8), strict=True)
    rows = [
        tf.constant([pair] * count, tf.float32) for pair, count in zip(pairs, counts, strict=True)
    ]
    return tf.concat(rows, axis=0)


def assigned(boxes: tf.Tensor, image_size: Size, ranges: Sequence[float] = RANGES) -> tf.Tensor:
    """Returns the encoded target of boxes [batch, boxes, 5], of which class -1 is none.

    A location inside several boxes of its level's range learns the smallest.
    """
    points, limits = locations(image_size), _limits(image_size, ranges)
    sides = boxes[:, None, :, :4]
    x, y = points[:, 0, None], points[:, 1, None]
    distances = tf.stack(
        [x - sides[..., 0], y - sides[..., 1], sides[..., 2] - x, sides[..., 3] - y], axis=-1
    )
    largest = tf.reduce_max(distances, axis=-1)
    fits = (tf.reduce_min(distances, axis=-1) > 0) & (boxes[:, None, :, 4] >= 0)
    fits &= (largest >= limits[:, :1]) & (largest <= limits[:, 1:])
    area = (sides[..., 2] - sides[..., 0] + 1) * (sides[..., 3] - sides[..., 1] + 1)
    area = tf.where(fits, area, _FAR)
    chosen = tf.argmin(area, axis=-1, output_type=tf.int32)
    positive = tf.reduce_any(fits, axis=-1)
    label = tf.where(positive, tf.gather(boxes[..., 4], chosen, batch_dims=1) + 1, 0.0)
    distances = tf.gather(distances, chosen, axis=2, batch_dims=2)
    distances = tf.where(positive[..., None], distances, 0.0)
    return tf.concat([label[..., None], distances, _centerness(distances)[..., None]], axis=-1)


def _centerness(distances: tf.Tensor) -> tf.Tensor:
    left, top, right, bottom = tf.unstack(distances, axis=-1)
    across = tf.math.divide_no_nan(tf.minimum(left, right), tf.maximum(left, right))
    down = tf.math.divide_no_nan(tf.minimum(top, bottom), tf.maximum(top, bottom))
    return tf.sqrt(across * down)


def flat(outputs: Mapping[str, tf.Tensor], name: str) -> tf.Tensor:
    """Returns one of the outputs of all levels as [batch, locations, channels]."""
    maps = [tf.cast(outputs[f"{level}.{name}"], tf.float32) for level in LEVELS]
    return tf.concat(
        [tf.reshape(part, (tf.shape(part)[0], -1, part.shape[-1])) for part in maps], axis=1
    )


def losses(target: tf.Tensor, logits: tf.Tensor, boxes: tf.Tensor, center: tf.Tensor) -> Losses:
    """Returns the focal loss, the loss of the IoU, and that of the centerness.

    Args:
        target: The encoded target.
        logits: Logits of the classes [batch, locations, classes].
        boxes: Distances to the sides, [batch, locations, 4].
        center: Logits of the centerness, [batch, locations, 1].
    """
    label, truth, centerness = target[..., 0], target[..., 1:5], target[..., 5]
    positive = tf.cast(label > 0, logits.dtype)
    count = tf.reduce_sum(positive)
    images = tf.cast(tf.shape(target)[0], logits.dtype)
    focal = tf.reduce_sum(_focal(label, logits)) / (count + images)
    weight = centerness * positive
    boxes_loss = tf.math.divide_no_nan(
        tf.reduce_sum(weight * -tf.math.log(_overlap(truth, boxes))), tf.reduce_sum(weight)
    )
    cross = tf.nn.sigmoid_cross_entropy_with_logits(centerness, center[..., 0]) * positive
    return Losses(focal, boxes_loss, tf.math.divide_no_nan(tf.reduce_sum(cross), count))


def _focal(label: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    classes = tf.range(1, logits.shape[-1] + 1, dtype=label.dtype)
    true = tf.cast(label[..., None] == classes, logits.dtype)
    cross = tf.nn.sigmoid_cross_entropy_with_logits(true, logits)
    probability = tf.sigmoid(logits)
    wrong = true * (1 - probability) + (1 - true) * probability
    return (true * _ALPHA + (1 - true) * (1 - _ALPHA)) * wrong**2 * cross


def _overlap(truth: tf.Tensor, boxes: tf.Tensor) -> tf.Tensor:
    """Returns the intersection over the union of boxes at one location, each plus 1."""
    common = tf.minimum(truth, boxes)
    inner = (common[..., 0] + common[..., 2]) * (common[..., 1] + common[..., 3])

    def area(sides: tf.Tensor) -> tf.Tensor:
        return (sides[..., 0] + sides[..., 2]) * (sides[..., 1] + sides[..., 3])

    return (inner + 1) / (area(truth) + area(boxes) - inner + 1)


def corners(distances: tf.Tensor, image_size: Size) -> tf.Tensor:
    """Returns boxes [batch, locations, 4] (x1, y1, x2, y2) within the image from distances."""
    points = locations(image_size)
    height, width = image_size
    first = points - distances[..., :2]
    second = points + distances[..., 2:]
    most = tf.constant([width, height], tf.float32)
    return tf.concat([tf.clip_by_value(part, 0.0, most) for part in (first, second)], axis=-1)
