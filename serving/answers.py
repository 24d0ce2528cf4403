"""What a network's logits mean to whoever asked: labels, metres or joints."""

from collections.abc import Callable, Mapping

import tensorflow as tf

from nas_tf.networks.blueprint import Size
from nas_tf.tasks import Depth, Pose, Segmentation, Task
from nas_tf.tasks.heatmaps import map_size, read
from nas_tf.tasks.resolution import enlarged, nearest

Answer = Mapping[str, tf.Tensor]
DEPTH_UNIT = 256.0
"""Of a depth in a PNG, as KITTI's: 16 bits of 1/256 metres."""


def answer(task: Task, logits: tf.Tensor, size: Size) -> Answer:
    """The answer to images of a size: one tensor for each of its names.

    Segmentation gives ``mask``, a uint8 label a pixel; depth gives ``depth`` in metres; pose gives
    ``keypoints`` as x, y and the height of the peak, and ``heatmaps``.
    """
    return _ANSWERS[type(task)](task, logits, size)


def unread(task: Task, logits: tf.Tensor, size: Size) -> Answer:
    """The same, but of poses the heatmaps alone, for runtimes that read no joints from them."""
    if isinstance(task, Pose):
        return {"heatmaps": enlarged(logits, map_size(size))}
    return answer(task, logits, size)


def joints(maps: tf.Tensor) -> tf.Tensor:
    """The joints [batch, joints, (x, y, height of the peak)] of heatmaps."""
    places, heights = read(maps)
    return tf.concat([places, heights[..., None]], -1)


def _mask(task: Segmentation, logits: tf.Tensor, size: Size) -> Answer:
    labels = tf.argmax(enlarged(logits, size), -1, output_type=tf.int32)
    return {"mask": tf.cast(labels, tf.uint8)}


def _depth(task: Depth, logits: tf.Tensor, size: Size) -> Answer:
    metres = enlarged(logits, size)[..., 0]
    return {"depth": tf.clip_by_value(metres, task.least, task.most)}


def _joints(task: Pose, logits: tf.Tensor, size: Size) -> Answer:
    given = unread(task, logits, size)
    return {"keypoints": joints(given["heatmaps"]), **given}


_ANSWERS: Mapping[type[Task], Callable[..., Answer]] = {
    Segmentation: _mask,
    Depth: _depth,
    Pose: _joints,
}


def pictured(task: Task, given: Answer, size: Size, sizes: tf.Tensor) -> Answer:
    """The answer to images that came as files of their own sizes: as PNG files, or joints there.

    Args:
        task: What was predicted.
        given: The answer at the network's size.
        size: That size.
        sizes: Height and width of every image as it came.
    """
    if isinstance(task, Pose):
        factors = tf.cast(sizes, tf.float32)[:, None, ::-1] / tf.constant(size[::-1], tf.float32)
        places = (given["keypoints"][..., :2] + 0.5) * factors - 0.5
        return {"keypoints": tf.concat([places, given["keypoints"][..., 2:]], -1)}
    if isinstance(task, Depth):
        steps = tf.cast(tf.round(given["depth"] * DEPTH_UNIT), tf.int32)
        maps, name = tf.cast(tf.minimum(steps, 65535), tf.uint16), "depth_png_bytes"
    else:
        maps, name = given["mask"], "mask_png_bytes"
    files = tf.map_fn(_file, (maps, sizes), fn_output_signature=tf.string)
    return {name: files}


def _file(one: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
    """A map at a size, as a PNG file; each pixel is the nearest of the map."""
    values, size = one
    return tf.io.encode_png(nearest(values[None], size)[0][..., None])
