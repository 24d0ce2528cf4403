"""Tasks whose networks compute one map, ``logits``, and those that answer with a map."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from PIL import Image

from nas_tf.input_geometry import InputGeometry
from nas_tf.networks.heads import Head
from nas_tf.sizes import Size
from nas_tf.tasks import painting
from nas_tf.tasks.base import FILE_SUFFIX, Answer, Metrics, Outputs, Pass, Task
from nas_tf.tasks.resolution import enlarged, nearest

LOGITS = "logits"


class DenseTask(Task):
    """A task of one map, ``logits``: a teacher can teach it, and maps can be averaged.

    Averages are those of mirror images and of an image at several scales.
    """

    channels: int
    """The number of the map's channels."""

    @property
    def head(self) -> Head:
        """A convolution to the task's channels."""
        return Head(self.name, self.channels)

    def unflipped(self, outputs: Outputs) -> Outputs:
        """Mirrors the map of mirrored images back."""
        return {LOGITS: outputs[LOGITS][:, :, ::-1]}

    def merged(self, passes: Sequence[Pass], image_size: Size) -> Outputs:
        """Returns the mean map at the resolution of the first, mirrored ones turned back."""
        first, maps = passes[0], []
        common = tf.shape(first.outputs[LOGITS])[1:3]
        for part in passes:
            outputs = self.unflipped(part.outputs) if part.is_mirrored else part.outputs
            y = outputs[LOGITS]
            maps.append(y if part.size == first.size else tf.image.resize(y, common))
        return {LOGITS: tf.add_n(maps) / len(maps)}

    def distance(self, outputs: Outputs, teacher: tf.Tensor) -> tf.Tensor:
        """Returns the mean squared distance to a teacher's map, at the teacher's resolution."""
        teacher = tf.cast(teacher, tf.float32)
        apart = enlarged(outputs[LOGITS], tf.shape(teacher)[1:3]) - teacher
        return tf.reduce_mean(apart**2)


class MapTask(DenseTask):
    """A task whose target and answer are maps of the image's size: the only primary answer.

    Windows of a larger picture are joined, and an endpoint returns maps as PNG files.
    """

    windows = True

    def stored(self, encoded: tf.Tensor, size: Size) -> tf.Tensor:
        """Returns maps [batch, height, width] at a size, with the nearest pixels of the target."""
        return nearest(encoded, size)

    def in_picture(self, answer: Answer, geometry: InputGeometry, size: tf.Tensor) -> Answer:
        """Joins the windows' maps."""
        (name,) = self.primary
        return {name: geometry.joined(answer[name], size)}

    def to_png(self, values: Any) -> tf.Tensor:
        """Returns a map as the 8 or 16 bits per value of a PNG file, by default unchanged."""
        return tf.convert_to_tensor(values)

    def from_png(self, values: np.ndarray) -> np.ndarray:
        """Returns the map whose values a PNG file has, by default unchanged."""
        return values

    def to_file(self, answer: Answer) -> Answer:
        """Returns the map as a PNG file."""
        (name,) = self.primary
        values = self.to_png(answer[name])
        channels = values if values.shape.rank == 3 else values[..., None]
        return {f"{name}{FILE_SUFFIX}": tf.io.encode_png(channels)}

    def from_file(self, answer: Answer) -> Answer:
        """Returns the map of a PNG file; an answer with the map itself is returned unchanged."""
        (name,) = self.primary
        file = answer.get(f"{name}{FILE_SUFFIX}")
        return answer if file is None else {name: self.from_png(np.asarray(file))}

    @abstractmethod
    def coloured(self, values: np.ndarray) -> np.ndarray:
        """Returns a map's values as colours, RGB bytes."""

    def paint(
        self, image: np.ndarray, answer: Answer, *, size: Size | None = None, opacity: float = 1.0
    ) -> np.ndarray:
        """Returns the image, covered by the map's colours."""
        (name,) = self.primary
        return painting.covered(image, self.coloured(np.asarray(answer[name])), opacity)

    def value_picture(self, answer: Answer) -> Image.Image:
        """Returns the map as a PNG file has it."""
        (name,) = self.primary
        return Image.fromarray(self.to_png(answer[name]).numpy())

    def picture(self, image: np.ndarray, target: Any, outputs: Outputs) -> np.ndarray:
        """Returns the image with the colours of the true and of the predicted map."""
        (name,) = self.primary
        target = np.asarray(target)
        predicted = self.answer(single(outputs), target.shape[:2])[name][0]
        maps = (self.coloured(np.asarray(values)) for values in (target, predicted))
        return painting.side_by_side(painting.photograph(image), *maps)


class MapMetrics(Metrics):
    """Figures of maps, which are compared at the resolution of the targets."""

    def update(self, target: Any, outputs: Outputs, image_size: Size) -> None:
        """Accumulates a batch, with its maps enlarged to the targets."""
        self.add(target, self.task.marked(outputs, tf.shape(target)[1:3]))


def single(outputs: Mapping[str, Any]) -> Outputs:
    """Returns the outputs of one image as those of a batch."""
    return {name: tf.convert_to_tensor(values)[None] for name, values in outputs.items()}
