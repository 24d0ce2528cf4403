"""What a network's logits mean to whoever asked: labels, metres or joints."""

from collections.abc import Callable, Mapping

import tensorflow as tf

from nas_tf.input_geometry import InputGeometry
from nas_tf.networks.blueprint import Size
from nas_tf.tasks import Depth, Pose, Segmentation, Task
from nas_tf.tasks.heatmaps import decode, map_size
from nas_tf.tasks.resolution import enlarged

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
    places, heights = decode(maps)
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


def of_files(
    task: Task, maps: tf.RaggedTensor, geometry: InputGeometry, sizes: tf.Tensor
) -> Answer:
    """The answer to pictures that came as files, at their own sizes: PNG files, or joints.

    Args:
        task: What was predicted.
        maps: Labels, depths or joints of the windows of each picture.
        geometry: How pictures became windows.
        sizes: Height and width of each picture.
    """
    if isinstance(task, Pose):
        joints = tf.TensorSpec((task.channels, 3), tf.float32)
        found = tf.map_fn(
            lambda part: _joints_of(geometry, *part), (maps, sizes), fn_output_signature=joints
        )
        return {"keypoints": found}
    name = "depth_png_bytes" if isinstance(task, Depth) else "mask_png_bytes"

    def file(part: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
        joined = geometry.joined(*part)
        if isinstance(task, Depth):
            steps = tf.cast(tf.round(joined * DEPTH_UNIT), tf.int32)
            joined = tf.cast(tf.minimum(steps, 65535), tf.uint16)
        return tf.io.encode_png(joined[..., None])

    return {name: tf.map_fn(file, (maps, sizes), fn_output_signature=tf.string)}


def _joints_of(geometry: InputGeometry, found: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    places = geometry.points(found[0, :, :2], size)
    return tf.concat([places, found[0, :, 2:]], axis=-1)
