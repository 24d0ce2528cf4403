"""Scores a network on a split: at one scale or several, with mirror images or without.

Whole pictures are scored at their own size if a task predicts one value per pixel; poses, whose
examples are cut-out persons, are scored in the view that the data set has for them.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import tensorflow as tf

from nas_tf.config.schema import Evaluation
from nas_tf.data import pipeline
from nas_tf.data.examples import Examples
from nas_tf.data.views import View
from nas_tf.data.whole_pictures import WholePictures, spread
from nas_tf.networks.arrays import PartLayout, layouts
from nas_tf.networks.blueprint import Blueprint
from nas_tf.networks.functional import Functional
from nas_tf.networks.state import State
from nas_tf.sizes import Size
from nas_tf.tasks import Metrics, Task

_PIXELS = 1 << 22
"""Pixels per update of the metrics; larger pictures are split into strips of rows."""


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
        self._task, self._crop, self._evaluation = task, crop, evaluation
        self._networks = [
            Functional(blueprint_at(_scaled(crop, scale)).deployed(), parts=parts)
            for scale in evaluation.scales
        ]
        self._run = tf.function(self._logits, autograph=False)

    def score(
        self,
        state: State,
        pictures: WholePictures | Split,
        progress: Callable[[int], None] | None = None,
    ) -> Metrics:
        """Returns the task's figures; ``progress`` is called with the scored pictures' number."""
        metrics, done = self._task.metrics(), 0
        if isinstance(pictures, Split):
            for _, target, logits in self.predictions(state, pictures):
                metrics.update(target, logits, self._crop)
                done += len(logits)
                if progress is not None:
                    progress(done)
            return metrics
        vectors = _constants(state)

        def predict(windows: Any) -> tf.Tensor:
            images = tf.cast(tf.constant(windows), tf.float32) / 127.5 - 1
            logits = self._run(padded(images, self._evaluation.batch), *vectors)
            return metrics.predicted(logits[: len(windows)], self._crop)

        for scored in pictures.predictions(predict, self._evaluation.batch):
            rows = max(1, _PIXELS // scored.target.shape[1])
            for first in range(0, len(scored.target), rows):
                strip = slice(first, first + rows)
                metrics.add(scored.target[None, strip], scored.prediction[None, strip])
            done += 1
            if progress is not None:
                progress(done)
        return metrics

    def predictions(self, state: State, split: Split) -> Iterator[tuple[Any, Any, tf.Tensor]]:
        """Iterates batches of images, raw targets and logits."""
        vectors = _constants(state)
        size = self._evaluation.batch
        for images, target in split.batches(self._task, size):
            yield images, target, self._run(padded(images, size), *vectors)[: len(images)]

    def _logits(self, images: tf.Tensor, trainable: Any, statistics: Any) -> tf.Tensor:
        def predict(network: Functional, inputs: tf.Tensor) -> tf.Tensor:
            return network(inputs, trainable, statistics)[0]["logits"]

        sums = []
        for network in self._networks:
            size = network.blueprint.input_size
            inputs = images if size == tuple(self._crop) else tf.image.resize(images, size)
            run = partial(predict, network)
            logits = self._task.flip_tested(run, inputs) if self._evaluation.flip else run(inputs)
            common = tf.shape(sums[0])[1:3] if sums else tf.shape(logits)[1:3]
            sums.append(tf.image.resize(logits, common))
        return tf.add_n(sums) / len(sums)


def shipped(blueprint: Blueprint, state: State) -> Callable[[Any], tf.Tensor]:
    """Returns a function that computes the exported network's float32 logits.

    Its argument is images, or taps for a decoder.
    """
    network = Functional(blueprint.deployed(), parts=layouts(blueprint))
    trainable, statistics = (
        {part: tf.constant(vector) for part, vector in vectors.items()}
        for vectors in _vectors(state)
    )
    return lambda inputs: network(inputs, trainable, statistics)[0]["logits"]


def padded(part: tf.Tensor, batch: int) -> tf.Tensor:
    """Returns a smaller batch padded with zeros, so that one graph serves all."""
    absent = batch - len(part)
    return tf.pad(part, [[0, absent]] + [[0, 0]] * (part.shape.rank - 1)) if absent else part


def _scaled(crop: Size, scale: float) -> Size:
    return round(crop[0] * scale), round(crop[1] * scale)


def _constants(state: State) -> list[dict[str, tf.Tensor]]:
    return [
        {part: tf.constant(vector) for part, vector in vectors.items()}
        for vectors in _vectors(state)
    ]


def _vectors(state: State) -> Iterable[Mapping[str, Any]]:
    return state.trainable, state.statistics
