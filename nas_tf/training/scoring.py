"""Scores a network on a split: at one scale or several, with mirror images or without.

Whole pictures are scored at their own size if a task predicts one value per pixel; poses, whose
examples are cut-out persons, and boxes are scored in the view that the data set has for them.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import tensorflow as tf

from nas_tf.config.schema import Evaluation
from nas_tf.data import pipeline
from nas_tf.data.degraded_pictures import DegradedPictures
from nas_tf.data.examples import Examples
from nas_tf.data.views import View
from nas_tf.data.whole_pictures import WholePictures, spread
from nas_tf.errors import ConfigError
from nas_tf.networks.arrays import PartLayout, layouts
from nas_tf.networks.blueprint import Blueprint
from nas_tf.networks.cost import cost
from nas_tf.networks.functional import Functional
from nas_tf.networks.state import State
from nas_tf.sizes import Size
from nas_tf.tasks import Answer, Metrics, Outputs, Pass, Task
from nas_tf.tasks.dense import LOGITS
from nas_tf.training import hardware

_PIXELS = 1 << 22
"""Pixels per update of the metrics; larger pictures are split into strips of rows."""
_UNLIMITED = 1 << 20
"""The margin around a part of a picture for a network that reads all of it."""


@dataclass(frozen=True)
class Split:
    """The examples of a score, or a subset of them, and their view."""

    examples: Examples
    view: View
    subset: tuple[int, ...] | None = None

    def __len__(self) -> int:
        """Returns the number of examples."""
        return len(self.examples) if self.subset is None else len(self.subset)

    def spread(self, count: int) -> "Split":
        """Returns a split of ``count`` examples from all over this one."""
        return replace(self, subset=spread(self.subset or range(len(self.examples)), count))

    def batches(self, task: Task, batch: int) -> Iterator[tuple[Any, Any]]:
        """Iterates batches of images and raw targets, in order."""
        stream = pipeline.evaluation(
            self.examples,
            task.target,
            self.view,
            batch=batch,
            subset=self.subset,
            extras=task.extras,
        )
        return self.examples.checked(stream)


class Scorer:
    """Predicts with exported networks in float32 and accumulates the task's figures.

    Args:
        blueprint_at: Returns the blueprint at an input size.
        task: Task that computes the figures.
        parts: Layouts of the states that will be scored.
        crop: Size of the images.
        evaluation: Batch, scales and mirror images.
    """

    def __init__(
        self,
        blueprint_at: Callable[[Size], Blueprint],
        task: Task,
        parts: Mapping[str, PartLayout],
        crop: Size,
        evaluation: Evaluation,
    ) -> None:
        check_evaluation(task, evaluation)
        self._task, self._crop, self._evaluation = task, crop, evaluation
        self._networks = [
            Functional(blueprint_at(_scaled(crop, scale)).deployed(), parts=parts)
            for scale in evaluation.scales
        ]
        hardware.fuse_if_possible(self._networks[0].blueprint)
        self._is_plain = len(evaluation.scales) == 1 and not evaluation.flip
        self._is_plain &= self._networks[0].blueprint.input_size == tuple(crop)
        self._run = tf.function(self._outputs, autograph=False)
        self._run_at_any_size = tf.function(self._outputs, autograph=False, reduce_retracing=True)

    def score(
        self,
        state: State,
        pictures: WholePictures | Split,
        progress: Callable[[int], None] | None = None,
    ) -> Metrics:
        """Returns the task's figures; ``progress`` is called with the scored pictures' number.

        A loss is only among them without mirror images and other scales.
        """
        metrics, done = metrics_of(self._task) if self._is_plain else self._task.metrics(), 0
        if isinstance(pictures, DegradedPictures):
            return self._score_restored(state, pictures, progress)
        if isinstance(pictures, Split):
            for images, target, outputs in self.predictions(state, pictures):
                metrics.update(target, outputs, self._crop)
                done += len(images)
                if progress is not None:
                    progress(done)
            return metrics
        vectors = _constants(state)

        def predict(windows: Any) -> Answer:
            images = tf.cast(tf.constant(windows), tf.float32) / 127.5 - 1
            outputs = self._run(padded(images, self._evaluation.batch), *vectors)
            return self._task.marked(first_rows(outputs, len(windows)), self._crop)

        for scored in pictures.predictions(predict, self._evaluation.batch):
            rows = max(1, _PIXELS // scored.target.shape[1])
            for first in range(0, len(scored.target), rows):
                strip = slice(first, first + rows)
                answer = {name: part[None, strip] for name, part in scored.prediction.items()}
                metrics.add(scored.target[None, strip], answer)
            done += 1
            if progress is not None:
                progress(done)
        return metrics

    def _score_restored(
        self,
        state: State,
        pictures: DegradedPictures,
        progress: Callable[[int], None] | None,
    ) -> Metrics:
        """Returns the figures of pictures that are restored at their own size."""
        field = cost(self._networks[0].blueprint).receptive_field
        pictures = replace(pictures, margin=_UNLIMITED if field is None else max(field) // 2)
        metrics, vectors = pictures.task.metrics(), _constants(state)

        def restore(images: Any) -> Any:
            return self._run_at_any_size(tf.constant(images), *vectors)[LOGITS].numpy()

        for done, scored in enumerate(pictures.restored(restore, self._evaluation.batch), start=1):
            target = {name: tf.constant(part)[None] for name, part in scored.target.items()}
            metrics.update(target, {LOGITS: scored.prediction[None]}, scored.prediction.shape[:2])
            if progress is not None:
                progress(done)
        return metrics

    def predictions(self, state: State, split: Split) -> Iterator[tuple[Any, Any, Outputs]]:
        """Iterates batches of images, raw targets and outputs."""
        vectors = _constants(state)
        size = self._evaluation.batch
        for images, target in split.batches(self._task, size):
            outputs = self._run(padded(images, size), *vectors)
            yield images, target, first_rows(outputs, len(images))

    def _outputs(self, images: tf.Tensor, trainable: Any, statistics: Any) -> Outputs:
        passes = []
        for network in self._networks:
            size = network.blueprint.input_size
            inputs = images if size == tuple(self._crop) else tf.image.resize(images, size)
            for is_mirrored in (False, True) if self._evaluation.flip else (False,):
                turned = inputs[:, :, ::-1] if is_mirrored else inputs
                outputs = network(turned, trainable, statistics).outputs
                passes.append(Pass(outputs, size, is_mirrored))
        return passes[0].outputs if self._is_plain else self._task.merged(passes, self._crop)


class WithLoss(Metrics):
    """A task's metrics, and the mean loss of the examples as the figure ``loss``."""

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        self._metrics, self._sum, self._count = task.metrics(), 0.0, 0

    def update(self, target: Any, outputs: Outputs, image_size: Size) -> None:
        """Accumulates a batch; each example's loss is its own, whatever batch it is in."""
        encoded = self.task.encode(target, image_size)
        count = len(tf.nest.flatten(target)[0])
        for n in range(count):
            parts = encoded, dict(outputs)
            own = tf.nest.map_structure(lambda part, n=n: part[n : n + 1], parts)
            self._sum += float(self.task.loss(*own))
        self._count += count
        self._metrics.update(target, outputs, image_size)

    def add(self, target: Any, answer: Answer) -> None:
        """Raises, since answers have no loss."""
        raise NotImplementedError(f"the score of {self.task.name} needs losses, not answers alone")

    def result(self) -> Mapping[str, float]:
        """Returns the task's figures and the loss."""
        return {**self._metrics.result(), "loss": self._sum / max(1, self._count)}

    def table(self) -> list[dict[str, Any]]:
        """Returns the task's figures in detail."""
        return self._metrics.table()


def metrics_of(task: Task) -> Metrics:
    """Returns new metrics of a task, with the loss among the figures if its score needs it."""
    return WithLoss(task) if task.needs_validation_loss else task.metrics()


def check_evaluation(task: Task, evaluation: Evaluation) -> None:
    """Raises if outputs are to be merged that the task cannot merge."""
    if task.own_size and evaluation.scales != (1.0,):
        raise ConfigError(
            f"evaluation.scales is {json.dumps(evaluation.scales)}, and pictures of {task.name} "
            "are scored at their own size, expected [1.0]"
        )
    if task.merges:
        return
    for key, value, accepted in (
        ("flip", evaluation.flip, False),
        ("scales", evaluation.scales, (1.0,)),
    ):
        if value != accepted:
            raise ConfigError(
                f"evaluation.{key} is {json.dumps(value)}, and outputs of {task.name} cannot be "
                f"merged, expected {json.dumps(accepted)}"
            )


def shipped(blueprint: Blueprint, state: State) -> Callable[[Any], Outputs]:
    """Returns a function that computes the exported network's float32 outputs.

    Its argument is images, or taps for a decoder.
    """
    hardware.fuse_if_possible(blueprint)
    network = Functional(blueprint.deployed(), parts=layouts(blueprint))
    trainable, statistics = _constants(state)
    return lambda inputs: network(inputs, trainable, statistics).outputs


def padded(part: tf.Tensor, batch: int) -> tf.Tensor:
    """Returns a smaller batch padded with zeros, so that one graph serves all."""
    absent = batch - len(part)
    return tf.pad(part, [[0, absent]] + [[0, 0]] * (part.shape.rank - 1)) if absent else part


def first_rows(outputs: Outputs, count: int) -> Outputs:
    """Returns the outputs of the first rows of a padded batch."""
    return {name: values[:count] for name, values in outputs.items()}


def _scaled(crop: Size, scale: float) -> Size:
    return round(crop[0] * scale), round(crop[1] * scale)


def _constants(state: State) -> list[dict[str, tf.Tensor]]:
    return [
        {part: tf.constant(vector) for part, vector in vectors.items()}
        for vectors in _vectors(state)
    ]


def _vectors(state: State) -> Iterable[Mapping[str, Any]]:
    return state.trainable, state.statistics
