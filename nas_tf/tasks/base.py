"""The contract of every task: its target, head, loss, answer, score and picture.

A raw target is the field of an example, augmented with the image. ``Task.encode`` turns it into
the encoded target that the loss compares with. A stored target is an encoded one at the
resolution of the feature cache. Outputs are what a network computes, by name; an answer is what
an exported network returns: outputs at the image's size, decoded to labels, metres or positions.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple, TypeAlias

import numpy as np
import tensorflow as tf
from PIL import Image

from nas_tf.errors import ConfigError
from nas_tf.input_geometry import InputGeometry
from nas_tf.networks.heads import Head
from nas_tf.sizes import Size

Result: TypeAlias = Mapping[str, float]
Outputs: TypeAlias = Mapping[str, tf.Tensor]
"""A network's raw outputs by their names in its blueprint."""
Answer: TypeAlias = Mapping[str, Any]
"""Tensors or arrays by name, as an exported network returns them."""
FILE_SUFFIX = "_png_bytes"
"""The end of the name of an answer that an endpoint returns as a PNG file."""
Resolution: TypeAlias = Literal["target", "logits"]


class Pass(NamedTuple):
    """A network's outputs for images at one size, mirrored or not."""

    outputs: Outputs
    size: Size
    is_mirrored: bool = False


@dataclass(frozen=True, slots=True)
class TargetSpec:
    """The field of an example that is the raw target.

    Args:
        key: Name of the field.
        fill: Value that augmentation pads it with: the ignore label, or 0 for a missing depth.
    """

    key: str
    fill: int = 0


class Metrics(ABC):
    """Figures of a task that accumulate batch by batch; an instance is not thread-safe."""

    def __init__(self, task: "Task") -> None:
        self.task = task

    def update(self, target: Any, outputs: Outputs, image_size: Size) -> None:
        """Accumulates a batch of raw targets and outputs for images of a size."""
        self.add(target, self.task.marked(outputs, image_size))

    @abstractmethod
    def add(self, target: Any, answer: Answer) -> None:
        """Accumulates a batch of raw targets and answers, which may be marked ones."""

    @abstractmethod
    def result(self) -> Result:
        """Returns the figures over all batches."""

    @abstractmethod
    def table(self) -> list[dict[str, Any]]:
        """Returns the figures in detail, a row per class, threshold or joint."""


class Task(ABC):
    """A prediction task; it holds settings only, so that threads may share it."""

    name: ClassVar[str]
    """The name in configurations and metadata."""
    headline: str
    """The name of the figure that tables show, between 0 and 1, higher is better."""
    primary: ClassVar[tuple[str, ...]]
    """The names in an answer that pictures of any size get and that are drawn."""
    target: TargetSpec
    extras: tuple[str, ...] = ()
    """Fields of an example that the score needs in addition to the target; the raw target is then
    a dictionary of the target and these fields."""
    names: tuple[str, ...] = ()
    """The names of what is predicted, such as classes or joints, where there are any."""
    score_range: tuple[float, float] = (0.0, 1.0)
    """The lowest and the highest score."""
    needs_validation_loss: bool = False
    """True if ``score`` reads the mean loss over the scored examples as the figure ``loss``."""
    decodes_in_float: ClassVar[bool] = False
    """True if models of 8 bits return the answer, decoded in float, else the undecoded one."""
    windows: bool = False
    """True if a picture larger than the input is cut into windows, whose answers can be joined;
    otherwise it is shrunk."""
    float_signatures: ClassVar[tuple[str, ...]] = ()
    """The names of those ``signatures`` whose images are floats of 0–255, which may exceed it.

    Networks of any size have them.
    """
    own_size: bool = False
    """True if pictures are scored at their own size, as resizing changes what is predicted."""

    @property
    @abstractmethod
    def head(self) -> Head:
        """The head of its networks."""

    def encode(self, target: Any, image_size: Size) -> Any:
        """Returns the encoded target that the loss compares with, by default the raw one."""
        return target

    @property
    def has_encoding(self) -> bool:
        """True if encoded targets differ from raw ones, which scores then need as well."""
        return type(self).encode is not Task.encode

    @property
    def encoding(self) -> tuple[str, ...]:
        """Names the settings that change encoded targets, for the key of cached ones."""
        return ()

    def stored(self, encoded: Any, size: Size) -> Any:
        """Returns encoded targets at the feature cache's resolution, by default unchanged."""
        return encoded

    def settings(self) -> Mapping[str, Any]:
        """Returns its values of the keys in a configuration's ``task`` section."""
        return {}

    @abstractmethod
    def loss(self, encoded: Any, outputs: Outputs, *, at: Resolution = "target") -> tf.Tensor:
        """Returns the mean loss; maps are compared at the target's size or that of the logits."""

    @abstractmethod
    def metrics(self) -> Metrics:
        """Returns new metrics of this task, without any batch."""

    @abstractmethod
    def score(self, result: Result) -> float:
        """Returns the figure within ``score_range`` that a search maximises."""

    @abstractmethod
    def answer(self, outputs: Outputs, image_size: Size) -> Answer:
        """Returns the answer to images of a size, in a graph that every format can export."""

    def undecoded(self, outputs: Outputs, image_size: Size) -> Answer:
        """Returns the part of the answer that runtimes without some operations can compute."""
        return self.answer(outputs, image_size)

    def decoded(self, answer: Answer) -> Answer:
        """Completes an undecoded answer; a complete one is returned unchanged."""
        return answer

    def merged(self, passes: Sequence[Pass], image_size: Size) -> Outputs:
        """Returns from the passes of the same images what ``answer`` decodes to one answer."""
        raise NotImplementedError(f"outputs of {self.name} cannot be merged")

    @property
    def merges(self) -> bool:
        """True if outputs at several sizes and those of mirror images can be merged."""
        return type(self).merged is not Task.merged

    def marked(self, outputs: Outputs, image_size: Size) -> Answer:
        """Returns the answer for a score, in which values that are not finite count as wrong."""
        return self.answer(outputs, image_size)

    @abstractmethod
    def agreement(self, answer: Answer, reference: Answer) -> np.ndarray:
        """Returns for each image the share of its answer that matches the reference's."""

    def closeness(self, answer: Answer, reference: Answer) -> Mapping[str, np.ndarray]:
        """Returns further figures of each image that compare answers, NaN where there is none."""
        return {}

    def signatures(self) -> Mapping[str, Callable[[Outputs], Answer]]:
        """Returns further functions that an endpoint serves, by the names of their signatures."""
        return {}

    @abstractmethod
    def in_picture(self, answer: Answer, geometry: InputGeometry, size: tf.Tensor) -> Answer:
        """Returns the primary answer to a picture at its own size, from that to its windows.

        Args:
            answer: The primary answer to the windows, [count, ...].
            geometry: The geometry by which the picture was cut into windows.
            size: Height and width of the picture.
        """

    def to_file(self, answer: Answer) -> Answer:
        """Returns a picture's answer as an endpoint returns it, maps as PNG files."""
        return answer

    def from_file(self, answer: Answer) -> Answer:
        """Returns a picture's answer from an endpoint's, whose files are decoded to arrays."""
        return answer

    @abstractmethod
    def paint(
        self, image: np.ndarray, answer: Answer, *, size: Size | None = None, opacity: float = 1.0
    ) -> np.ndarray:
        """Returns an image with the answer drawn over it, as RGB bytes.

        Args:
            image: RGB bytes.
            answer: The answer to this image, without a batch dimension.
            size: Height and width in whose pixels positions are, by default the image's.
            opacity: The share of an answer's colours where they cover the image.
        """

    def value_picture(self, answer: Answer) -> Image.Image:
        """Returns the values of an answer as a picture for a PNG file, where it has such."""
        raise ConfigError(
            f"the model returns {', '.join(answer)}, expected a value per pixel, such as labels "
            "or depths, for --mask: --out draws the others"
        )

    @abstractmethod
    def picture(self, image: np.ndarray, target: Any, outputs: Outputs) -> np.ndarray:
        """Returns image, raw target and prediction of an example side by side, as RGB bytes."""

    def about(self) -> Mapping[str, Any]:
        """Returns what the metadata of exported models state of it besides its name."""
        return {}

    @classmethod
    def of_model(cls, about: Mapping[str, Any]) -> "Task":
        """Returns the task of a model with such metadata, to decode and draw its answers."""
        return cls()


def per_image(matches: np.ndarray) -> np.ndarray:
    """Returns the share of true values in each image of a batch."""
    return np.asarray(matches).reshape(len(matches), -1).mean(-1)


def check_count(name: str, value: Any) -> int:
    """Returns the value if it is a positive integer, else raises."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ConfigError(f"{name} is {value!r}, expected an integer of 1 or more")
    return value


def check_length(name: str, values: Sequence[Any], count: int, noun: str) -> None:
    """Raises unless there is a value for each of ``count``."""
    if len(values) != count:
        raise ConfigError(f"{name} has {len(values)} entries, expected {count}, one per {noun}")
