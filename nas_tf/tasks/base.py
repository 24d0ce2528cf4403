"""The contract every task keeps: what is predicted, how it is scored and how it looks."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Literal, TypeAlias

import numpy as np
import tensorflow as tf

from nas_tf.errors import ConfigError

Result: TypeAlias = Mapping[str, float]
Size: TypeAlias = tuple[int, int]


class TargetKind(Enum):
    """How augmentation treats a target."""

    LABEL = "label"
    DEPTH = "depth"
    KEYPOINTS = "keypoints"


@dataclass(frozen=True, slots=True)
class TargetSpec:
    """Which field of an example is the target.

    Args:
        key: Name of the field.
        kind: How augmentation treats it.
        fill: What augmentation pads it with: the ignore label, or 0 for a missing depth.
    """

    key: str
    kind: TargetKind
    fill: int = 0


class Metrics(ABC):
    """Figures that are gathered batch by batch."""

    @abstractmethod
    def update(self, target: Any, logits: tf.Tensor, image_size: Size) -> None:
        """Takes in one batch."""

    @abstractmethod
    def result(self) -> Result:
        """The figures over all batches since the last reset."""

    @abstractmethod
    def reset(self) -> None:
        """Forgets all batches."""

    @abstractmethod
    def merge(self, other: "Metrics") -> None:
        """Takes in what another of the same kind has gathered."""

    @abstractmethod
    def table(self) -> list[dict[str, Any]]:
        """Figures in detail, one row a class, threshold or joint."""


class DenseMetrics(Metrics):
    """Figures of a task that predicts one value a pixel, so that pictures are scored whole."""

    @abstractmethod
    def predicted(self, logits: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
        """The predictions [batch, height, width] at a size, with what is not finite marked."""

    @abstractmethod
    def add(self, target: tf.Tensor, predicted: tf.Tensor) -> None:
        """Takes in a batch of predictions at the targets' own size."""

    def update(self, target: Any, logits: tf.Tensor, image_size: Size) -> None:
        """Takes in one batch, its logits enlarged to the targets."""
        self.add(target, self.predicted(logits, tf.shape(target)[1:3]))


class Task(ABC):
    """What a network predicts. ``channels`` is the number of outputs its head needs."""

    name: str
    channels: int
    target: TargetSpec
    extras: tuple[str, ...] = ()
    """Fields of an example that the score needs beside the target; then both come together as
    a dictionary."""

    def encode(self, target: Any, image_size: Size) -> tf.Tensor:
        """The dense target that the loss compares with; as it is unless a task says otherwise."""
        return target

    def settings(self) -> Mapping[str, Any]:
        """Its values of the keys that a configuration's ``task`` section has for it."""
        return {}

    @abstractmethod
    def loss(
        self, dense: tf.Tensor, logits: tf.Tensor, *, at: Literal["target", "logits"] = "target"
    ) -> tf.Tensor:
        """The mean loss, at the target's resolution or, cheaper, at that of the logits."""

    @abstractmethod
    def metrics(self) -> Metrics:
        """An empty gathering of this task's figures."""

    @abstractmethod
    def score(self, result: Result) -> float:
        """The figure in [0, 1] that a search maximises."""

    @abstractmethod
    def picture(self, image: np.ndarray, target: Any, logits: np.ndarray) -> np.ndarray:
        """Image, truth and prediction of one example side by side, as RGB bytes."""

    def unflipped(self, logits: tf.Tensor) -> tf.Tensor:
        """Turns the logits of mirrored images back, for testing with both."""
        return logits[:, :, ::-1]

    def flip_tested(
        self, predict: Callable[[tf.Tensor], tf.Tensor], images: tf.Tensor
    ) -> tf.Tensor:
        """The mean of the logits of images and of their mirror images, turned back."""
        return (predict(images) + self.unflipped(predict(images[:, :, ::-1]))) / 2


def check_count(what: str, value: Any) -> int:
    """Returns a positive integer, or raises saying what is not one."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ConfigError(f"{what} is {value!r}, expected an integer of 1 or more")
    return value


def check_length(what: str, values: Sequence[Any], count: int, of: str) -> None:
    """Raises unless there is one value for each."""
    if len(values) != count:
        raise ConfigError(f"{what} has {len(values)} entries, expected {count}, one a {of}")
