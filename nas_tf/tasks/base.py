"""The contract of every task: its targets, loss, score and picture.

A raw target is the field of an example, augmented with the image. ``Task.encode`` turns it into
the encoded target that the loss compares with. A stored target is an encoded one at the
resolution of the feature cache.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Literal, TypeAlias

import numpy as np
import tensorflow as tf

from nas_tf.errors import ConfigError
from nas_tf.sizes import Size

Result: TypeAlias = Mapping[str, float]


class TargetKind(Enum):
    """The kinds of targets, which augmentation treats differently."""

    LABEL = "label"
    DEPTH = "depth"
    KEYPOINTS = "keypoints"


@dataclass(frozen=True, slots=True)
class TargetSpec:
    """The field of an example that is the raw target.

    Args:
        key: Name of the field.
        kind: Kind of the target, by which augmentation treats it.
        fill: Value that augmentation pads it with: the ignore label, or 0 for a missing depth.
    """

    key: str
    kind: TargetKind
    fill: int = 0


class Metrics(ABC):
    """Figures that accumulate batch by batch; an instance is not thread-safe."""

    @abstractmethod
    def update(self, target: Any, logits: tf.Tensor, image_size: Size) -> None:
        """Accumulates a batch of raw targets and logits for images of a size."""

    @abstractmethod
    def result(self) -> Result:
        """Returns the figures over all batches since the last reset."""

    @abstractmethod
    def reset(self) -> None:
        """Discards all batches."""

    @abstractmethod
    def merge(self, other: "Metrics") -> None:
        """Adds the batches that another instance of the same kind has accumulated."""

    @abstractmethod
    def table(self) -> list[dict[str, Any]]:
        """Returns the figures in detail, a row per class, threshold or joint."""


class DenseMetrics(Metrics):
    """Figures of a task with one value per pixel, for which whole pictures are scored."""

    @abstractmethod
    def predicted(self, logits: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
        """Returns predictions [batch, height, width] at a size; not finite logits are marked."""

    @abstractmethod
    def add(self, target: tf.Tensor, predicted: tf.Tensor) -> None:
        """Accumulates a batch of raw targets and predictions of the same size."""

    def update(self, target: Any, logits: tf.Tensor, image_size: Size) -> None:
        """Accumulates a batch, with its logits enlarged to the targets."""
        self.add(target, self.predicted(logits, tf.shape(target)[1:3]))


class Task(ABC):
    """A prediction task; ``channels`` is the number of outputs that the network's head needs.

    A task holds settings only, so that threads may share it.
    """

    name: str
    channels: int
    target: TargetSpec
    extras: tuple[str, ...] = ()
    """Fields of an example that the score needs in addition to the target; the raw target is then
    a dictionary of the target and these fields."""

    def encode(self, target: Any, image_size: Size) -> tf.Tensor:
        """Returns the encoded target that the loss compares with, by default the raw one."""
        return target

    def settings(self) -> Mapping[str, Any]:
        """Returns its values of the keys in a configuration's ``task`` section."""
        return {}

    @abstractmethod
    def loss(
        self, encoded: tf.Tensor, logits: tf.Tensor, *, at: Literal["target", "logits"] = "target"
    ) -> tf.Tensor:
        """Returns the mean loss, at the target's resolution or, cheaper, at the logits'."""

    @abstractmethod
    def metrics(self) -> Metrics:
        """Returns new metrics of this task, without any batch."""

    @abstractmethod
    def score(self, result: Result) -> float:
        """Returns the figure in [0, 1] that a search maximises."""

    @abstractmethod
    def picture(self, image: np.ndarray, target: Any, logits: np.ndarray) -> np.ndarray:
        """Returns image, raw target and prediction of an example side by side, as RGB bytes."""

    def unflipped(self, logits: tf.Tensor) -> tf.Tensor:
        """Mirrors the logits of mirrored images back, for flip testing."""
        return logits[:, :, ::-1]

    def flip_tested(
        self, predict: Callable[[tf.Tensor], tf.Tensor], images: tf.Tensor
    ) -> tf.Tensor:
        """Returns the mean of the logits of images and of their mirror images, mirrored back."""
        return (predict(images) + self.unflipped(predict(images[:, :, ::-1]))) / 2


def check_count(name: str, value: Any) -> int:
    """Returns the value if it is a positive integer, else raises."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ConfigError(f"{name} is {value!r}, expected an integer of 1 or more")
    return value


def check_length(name: str, values: Sequence[Any], count: int, noun: str) -> None:
    """Raises unless there is a value for each of ``count``."""
    if len(values) != count:
        raise ConfigError(f"{name} has {len(values)} entries, expected {count}, one per {noun}")
