"""The contract of a dense prediction task: what is learned, how it is scored, how it looks.

An *example* is a dictionary of the data room: ``image`` uint8 [H, W, 3] and any of

- ``label`` uint8 [H, W]: class of a pixel;
- ``depth`` float32 [H, W]: metres, 0 = missing;
- ``keypoints`` float32 [P, J, 3]: x and y in pixels (0 is the centre of the first pixel), and
  0 absent, 1 labelled but hidden, 2 visible.

Further fields a metric may read: ``head_size`` float32 [P] pixels, ``area`` float32 [P] pixels²,
``id`` string.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, ClassVar, Literal, Self

import numpy as np
import tensorflow as tf

from nas_tf.errors import DataError

Example = Mapping[str, tf.Tensor]
At = Literal["target", "logits"]


class TargetKind(Enum):
    """How augmentation must treat a target when it moves the image."""

    LABEL = "label"
    DEPTH = "depth"
    KEYPOINTS = "keypoints"


@dataclass(frozen=True)
class TargetSpec:
    """The field of an example that a task learns from.

    Attributes:
        key: name of the field.
        kind: decides how the field is resized, cropped and mirrored.
        fill: what padding writes: the ignore label, or 0 for missing depth and absent joints.
        mirror: for keypoints, the joint that each joint becomes in the mirror.
    """

    key: str
    kind: TargetKind
    fill: float
    mirror: tuple[int, ...] = ()


class Metrics(ABC):
    """Figures gathered batch by batch over a data set.

    Only sums are kept, so ``merge`` of two halves equals one pass over the whole.
    """

    @abstractmethod
    def update(self, target: tf.Tensor, logits: tf.Tensor, example: Example | None = None) -> None:
        """Adds a batch; ``example`` holds its further fields, where the task reads them."""

    @abstractmethod
    def result(self) -> dict[str, float]:
        """The figures so far; a figure nothing was measured for is left out."""

    @abstractmethod
    def reset(self) -> None:
        """Forgets everything."""

    @abstractmethod
    def merge(self, other: Self) -> None:
        """Adds what another object of the same task has gathered."""


class Task(ABC):
    """What is predicted for each place of an image.

    Logits come at any resolution up to the target's. Batches have a leading axis throughout;
    ``encode`` and ``picture`` work on one example.
    """

    name: ClassVar[str]

    @property
    @abstractmethod
    def channels(self) -> int:
        """How many output channels a network's head needs."""

    @property
    @abstractmethod
    def target(self) -> TargetSpec:
        """Which field of an example is learned."""

    @abstractmethod
    def encode(self, example: Example) -> tf.Tensor:
        """The target tensor of one example: [H, W], or heatmaps [H/4, W/4, J] for pose."""

    @abstractmethod
    def loss(self, target: tf.Tensor, logits: tf.Tensor, *, at: At = "target") -> tf.Tensor:
        """The scalar to minimise; 0 where nothing is annotated.

        Args:
            target: a batch of encoded targets.
            logits: a batch of network outputs.
            at: "target" resizes the logits up (bilinear), "logits" the target down (nearest),
                which costs a sixteenth at a quarter of the resolution.
        """

    @abstractmethod
    def metrics(self) -> Metrics:
        """A fresh, empty set of figures."""

    @abstractmethod
    def reward(self, result: Mapping[str, float]) -> float:
        """One number in [0, 1] for the search to maximise; 0 for a broken network."""

    @abstractmethod
    def table(self, result: Mapping[str, float]) -> list[dict[str, Any]]:
        """The detailed figures, one row per class, joint or threshold."""

    @abstractmethod
    def predict(self, logits: tf.Tensor, size: tuple[int, int]) -> tf.Tensor:
        """Turns a batch of logits into answers in the form of targets for an image of ``size``."""

    @abstractmethod
    def paint(self, image: np.ndarray, target: np.ndarray) -> np.ndarray:
        """One target, or answer, in colour: uint8 RGB of the image's size."""

    def picture(
        self, image: np.ndarray, target: np.ndarray, prediction: np.ndarray | None = None
    ) -> np.ndarray:
        """Image, truth and, where given, answer side by side: uint8 RGB."""
        panels = [image, self.paint(image, target)]
        if prediction is not None:
            panels.append(self.paint(image, prediction))
        return np.concatenate(panels, axis=1)


def field(example: Example, key: str, task: str) -> tf.Tensor:
    """A field of an example, or one line that says which the task needs and which there are."""
    if key not in example:
        raise DataError(
            f"task {task} needs the field {key!r}, the example has {', '.join(sorted(example))}"
        )
    return example[key]
