"""Turns a network's logits into answers: labels, metres or joints."""

from collections.abc import Callable, Mapping

import tensorflow as tf

from nas_tf.input_geometry import InputGeometry
from nas_tf.sizes import Size
from nas_tf.tasks import Depth, Pose, Segmentation, Task
from nas_tf.tasks.heatmaps import decode, map_size
from nas_tf.tasks.resolution import enlarged

Answer = Mapping[str, tf.Tensor]
DEPTH_UNIT = 256.0
"""Steps per metre of a depth in a PNG: 16 bits of 1/256 metres, as in KITTI's files."""


def answer(task: Task, logits: tf.Tensor, size: Size) -> Answer:
    """Returns the answer to images of a size: one tensor for each of its names.

    Segmentation answers with ``mask``, a uint8 label per pixel; depth with ``depth`` in metres;
    pose with ``keypoints`` as x, y and the height of the peak, and with ``heatmaps``.
    """
    return _ANSWERS[type(task)](task, logits, size)


def undecoded_answer(task: Task, logits: tf.Tensor, size: Size) -> Answer:
    """Returns ``answer`` without ``keypoints``, for runtimes that cannot decode heatmaps."""
    if isinstance(task, Pose):
        return {"heatmaps": enlarged(logits, map_size(size))}
    return answer(task, logits, size)


def joints(heatmaps: tf.Tensor) -> tf.Tensor:
    """Returns the joints [batch, joints, (x, y, height of the peak)] of heatmaps."""
    positions, heights = decode(heatmaps)
    return tf.concat([positions, heights[..., None]], -1)


def _mask(task: Segmentation, logits: tf.Tensor, size: Size) -> Answer:
    labels = tf.argmax(enlarged(logits, size), -1, output_type=tf.int32)
    return {"mask": tf.cast(labels, tf.uint8)}


def _depth(task: Depth, logits: tf.Tensor, size: Size) -> Answer:
    metres = enlarged(logits, size)[..., 0]
    return {"depth": tf.clip_by_value(metres, task.least, task.most)}


def _joints(task: Pose, logits: tf.Tensor, size: Size) -> Answer:
    undecoded = undecoded_answer(task, logits, size)
    return {"keypoints": joints(undecoded["heatmaps"]), **undecoded}


_ANSWERS: Mapping[type[Task], Callable[..., Answer]] = {
    Segmentation: _mask,
    Depth: _depth,
    Pose: _joints,
}


def of_files(
    task: Task, maps: tf.RaggedTensor, geometry: InputGeometry, sizes: tf.Tensor
) -> Answer:
    """Returns the answer to pictures that came as files, at their own sizes: PNG files or joints.

    Args:
        task: The task of the network.
        maps: Labels, depths or joints of the windows of each picture.
        geometry: The geometry by which the pictures were cut into windows.
        sizes: Height and width of each picture.
    """
    if isinstance(task, Pose):
        keypoints = tf.map_fn(
            lambda part: _joints_in_picture(geometry, *part),
            (maps, sizes),
            fn_output_signature=tf.TensorSpec((task.channels, 3), tf.float32),
        )
        return {"keypoints": keypoints}
    name = "depth_png_bytes" if isinstance(task, Depth) else "mask_png_bytes"

    def encode(part: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
        joined = geometry.joined(*part)
        if isinstance(task, Depth):
            steps = tf.cast(tf.round(joined * DEPTH_UNIT), tf.int32)
            joined = tf.cast(tf.minimum(steps, 65535), tf.uint16)
        return tf.io.encode_png(joined[..., None])

    return {name: tf.map_fn(encode, (maps, sizes), fn_output_signature=tf.string)}


def _joints_in_picture(geometry: InputGeometry, found: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    positions = geometry.points(found[0, :, :2], size)
    return tf.concat([positions, found[0, :, 2:]], axis=-1)
