"""The kinds of annotations: how they are stored, checked, counted, resized, moved and batched.

``TARGETS`` maps each key of an example dictionary, apart from ``id`` and ``image``, to its kind.
All that prepares, checks, reads, moves or batches examples looks it up here; a new kind of target
is a class in this module, and a drawing in ``example_sheet``.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds
from tensorflow import Tensor
from tensorflow_datasets.core.features import FeatureConnector

from nas_tf.data.geometry import (
    NO_BOX,
    Motion,
    move_boxes,
    move_dense,
    move_image,
    move_points,
)
from nas_tf.data.info import DatasetInfo
from nas_tf.errors import ConfigError
from nas_tf.input_geometry import resized, resized_map
from nas_tf.sizes import Size


class Target(ABC):
    """A kind of annotation; by default a value that neither resizing nor a motion changes."""

    absent: ClassVar[float | None] = None
    """The value of the rows that pad an example with fewer people or boxes; None without rows."""
    counted: ClassVar[str] = ""
    """The noun for what ``counts`` counts; empty for an annotation without classes."""

    def __init__(self, key: str) -> None:
        self.key = key

    @abstractmethod
    def feature(self, info: DatasetInfo) -> FeatureConnector | None:
        """Returns the form in which a prepared record holds it, or None if it is derived."""

    def to_record(self, value: np.ndarray) -> np.ndarray:
        """Returns a value in the form of its feature."""
        return value

    def from_record(self, value: Tensor) -> Tensor:
        """Returns the value of a prepared record."""
        return value

    def derived(self, image: Tensor, level: Tensor, motion: Motion, fill: float) -> Tensor | None:
        """Returns the value of an example that has none in a file; None if it must be in one.

        Args:
            image: The augmented image in 0–255, before its degradation.
            level: The deviation of the noise that is added to it.
            motion: The motion that the image was moved by.
            fill: The value that pads a value with pixels.
        """
        return None

    def fault(
        self, value: np.ndarray, size: Size, name: str, file: str, info: DatasetInfo
    ) -> str | None:
        """Returns what is wrong in the example ``name`` with an image of a size, or None."""
        return None

    def without_faults(
        self, value: np.ndarray, size: Size, name: str, file: str, info: DatasetInfo
    ) -> tuple[np.ndarray, list[str]]:
        """Returns the value without the rows that are wrong, and what is wrong in each."""
        return value, []

    def counts(self, value: np.ndarray, info: DatasetInfo) -> np.ndarray:
        """Returns the number of each class, and of all that is ignored in the last place."""
        raise NotImplementedError(f"{self.key} has no classes")

    def resized(self, value: Tensor, size: Tensor, factors: Tensor) -> Tensor:
        """Returns the value for an image resized to ``size``, by factors of height and width."""
        return value

    def moved(self, value: Tensor, motion: Motion, info: DatasetInfo, fill: float) -> Tensor:
        """Returns the value after a motion; ``fill`` pads a value that has pixels."""
        return value

    def turned(self, value: Tensor, quarters: Tensor) -> Tensor:
        """Returns the value of an image that is turned by quarters, anticlockwise."""
        raise ConfigError(f"turns is true, and {self.key} cannot be turned, expected false")

    def batch_shape(self, shape: tf.TensorShape, info: DatasetInfo) -> tf.TensorShape:
        """Returns the shape of a value in a batch; unknown lengths become the batch's largest."""
        return shape


class _Map(Target):
    """A number for each pixel [height, width]; a record holds it with a channel."""

    def to_record(self, value: np.ndarray) -> np.ndarray:
        return value[..., None]

    def from_record(self, value: Tensor) -> Tensor:
        return tf.squeeze(value, axis=-1)

    def fault(
        self, value: np.ndarray, size: Size, name: str, file: str, info: DatasetInfo
    ) -> str | None:
        if value.shape[:2] == size:
            return None
        return (
            f"{self.key} of {name} is {_text(value.shape)}, its image {file} is {_text(size)} "
            "(width x height): both must be of one size; export the pair again"
        )

    def resized(self, value: Tensor, size: Tensor, factors: Tensor) -> Tensor:
        return tf.ensure_shape(resized_map(value, size), (None, None))

    def moved(self, value: Tensor, motion: Motion, info: DatasetInfo, fill: float) -> Tensor:
        return move_dense(value, motion, fill)

    def turned(self, value: Tensor, quarters: Tensor) -> Tensor:
        return tf.image.rot90(value[..., None], quarters)[..., 0]


class _Label(_Map):
    """The class of each pixel, uint8."""

    counted = "pixel"

    def feature(self, info: DatasetInfo) -> FeatureConnector:
        return tfds.features.Image(shape=(None, None, 1), encoding_format="png")

    def counts(self, value: np.ndarray, info: DatasetInfo) -> np.ndarray:
        used = value[value != info.ignore_label]
        counts = np.bincount(used, minlength=len(info.classes))
        return np.append(counts, value.size - used.size)


class _Depth(_Map):
    """The distance of each pixel in metres, float32; 0 is unknown."""

    def feature(self, info: DatasetInfo) -> FeatureConnector:
        return tfds.features.Image(shape=(None, None, 1), dtype=np.float32)

    def moved(self, value: Tensor, motion: Motion, info: DatasetInfo, fill: float) -> Tensor:
        # An image twice as large is that of a scene half as far away.
        return super().moved(value, motion, info, fill) / motion.scale


class _Keypoints(Target):
    """The joints of people, float32 [people, joints, 3]: x and y of pixels, and visibility."""

    absent = 0.0

    def feature(self, info: DatasetInfo) -> FeatureConnector:
        return tfds.features.Tensor(shape=(None, len(info.joints), 3), dtype=tf.float32)

    def resized(self, value: Tensor, size: Tensor, factors: Tensor) -> Tensor:
        points = (value[..., :2] + 0.5) * factors[::-1] - 0.5
        present = value[..., 2:] > 0
        return tf.concat([tf.where(present, points, 0), value[..., 2:]], axis=-1)

    def moved(self, value: Tensor, motion: Motion, info: DatasetInfo, fill: float) -> Tensor:
        return move_points(value, motion, list(info.mirrored_joints))


class _Measure(Target):
    """A length or an area in pixels for each person, float32 [people]."""

    absent = 0.0

    def __init__(self, key: str, dimensions: int) -> None:
        super().__init__(key)
        self._dimensions = dimensions

    def feature(self, info: DatasetInfo) -> FeatureConnector:
        return tfds.features.Tensor(shape=(None,), dtype=tf.float32)

    def resized(self, value: Tensor, size: Tensor, factors: Tensor) -> Tensor:
        area = tf.reduce_prod(factors)
        return value * (area if self._dimensions == 2 else tf.sqrt(area))

    def moved(self, value: Tensor, motion: Motion, info: DatasetInfo, fill: float) -> Tensor:
        return value * motion.scale**self._dimensions


class _Boxes(Target):
    """The boxes of objects, float32 [boxes, 5]: x1, y1, x2, y2 and class.

    Lengths are measured from the corner of the image: (0, 0, width, height) is all of it. A row
    of class -1 is no box. Each example of a batch has ``info.most_boxes`` rows.
    """

    absent = NO_BOX
    counted = "box"

    def feature(self, info: DatasetInfo) -> FeatureConnector:
        return tfds.features.Tensor(shape=(None, 5), dtype=tf.float32)

    def to_record(self, value: np.ndarray) -> np.ndarray:
        return value.astype(np.float32)

    def fault(
        self, value: np.ndarray, size: Size, name: str, file: str, info: DatasetInfo
    ) -> str | None:
        if value.ndim != 2 or value.shape[1] != 5:
            return f"boxes of {name} have shape {value.shape}, expected x1, y1, x2, y2, class"
        if len(value) > info.most_boxes:
            return (
                f"{name} has {len(value)} boxes, expected at most {info.most_boxes}: leave some "
                f"out, or raise most_boxes of {info.name}"
            )
        for number, row in enumerate(value.tolist(), start=1):
            if not _is_inside(row, size):
                return _outside(number, row, size, name, file)
            if row[4] not in range(len(info.classes)):
                return (
                    f"box {number} of {name} is of class {row[4]:g}, expected "
                    f"0–{len(info.classes) - 1}; correct it or declare the class"
                )
        return None

    def without_faults(
        self, value: np.ndarray, size: Size, name: str, file: str, info: DatasetInfo
    ) -> tuple[np.ndarray, list[str]]:
        if value.ndim != 2 or value.shape[1] != 5:
            return value, []
        rows = list(enumerate(value.tolist(), start=1))
        faulty = [item for item in rows if not _is_inside(item[1], size)]
        kept = [row for _, row in rows if _is_inside(row, size)]
        faults = [_outside(number, row, size, name, file) for number, row in faulty]
        return np.array(kept, np.float32).reshape(-1, 5), faults

    def counts(self, value: np.ndarray, info: DatasetInfo) -> np.ndarray:
        return np.bincount(value[:, 4].astype(int), minlength=len(info.classes) + 1)

    def resized(self, value: Tensor, size: Tensor, factors: Tensor) -> Tensor:
        return value * tf.concat([factors[::-1], factors[::-1], [1.0]], axis=0)

    def moved(self, value: Tensor, motion: Motion, info: DatasetInfo, fill: float) -> Tensor:
        return move_boxes(value, motion)

    def batch_shape(self, shape: tf.TensorShape, info: DatasetInfo) -> tf.TensorShape:
        return tf.TensorShape((info.most_boxes, 5))


class _Clean(_Map):
    """The clean picture, float32 [height, width, 3] in [-1, 1] once it is moved.

    It is the image itself before its degradation or, of pairs, a picture of its own in bytes.
    """

    def feature(self, info: DatasetInfo) -> FeatureConnector | None:
        return tfds.features.Image(shape=(None, None, 3)) if info.pairs else None

    def to_record(self, value: np.ndarray) -> np.ndarray:
        return value

    def from_record(self, value: Tensor) -> Tensor:
        return value

    def resized(self, value: Tensor, size: Tensor, factors: Tensor) -> Tensor:
        return tf.ensure_shape(resized(value, size), (None, None, 3))

    def moved(self, value: Tensor, motion: Motion, info: DatasetInfo, fill: float) -> Tensor:
        return self._padded(move_image(value, motion), motion, fill)

    def turned(self, value: Tensor, quarters: Tensor) -> Tensor:
        return tf.image.rot90(value, quarters)

    def derived(self, image: Tensor, level: Tensor, motion: Motion, fill: float) -> Tensor:
        return self._padded(image, motion, fill)

    def _padded(self, image: Tensor, motion: Motion, fill: float) -> Tensor:
        """Returns an image in [-1, 1] with a value where it is padded."""
        inside = move_dense(tf.ones(motion.size), motion, 0.0)[..., None] > 0
        return tf.where(inside, image / 127.5 - 1, tf.cast(fill, tf.float32))


class _Level(Target):
    """The deviation of the noise that a view adds, on the scale 0–255; in no file."""

    def feature(self, info: DatasetInfo) -> None:
        return None

    def derived(self, image: Tensor, level: Tensor, motion: Motion, fill: float) -> Tensor:
        return level


def _is_inside(row: list[float], size: Size) -> bool:
    """Returns whether a box has an area and is inside an image."""
    x1, y1, x2, y2, _ = row
    return 0 <= x1 < x2 <= size[1] and 0 <= y1 < y2 <= size[0]


def _outside(number: int, row: list[float], size: Size, name: str, file: str) -> str:
    """Describes the fault of a box that is not inside its image."""
    x1, y1, x2, y2, _ = row
    return (
        f"box {number} of {name} is from ({x1:g}, {y1:g}) to ({x2:g}, {y2:g}), its "
        f"image {file} is {_text(size)} (width x height): expected x1 < x2 and "
        "y1 < y2 inside the image; correct or remove the box"
    )


def _text(size: tuple[int, ...]) -> str:
    """Formats (height, width) as width x height, as image viewers print it."""
    return f"{size[1]}x{size[0]}"


TARGETS: Mapping[str, Target] = {
    target.key: target
    for target in (
        *(_Label("label"), _Depth("depth"), _Keypoints("keypoints"), _Measure("head_size", 1)),
        *(_Measure("area", 2), _Boxes("boxes"), _Clean("clean"), _Level("level")),
    )
}
