"""Scoring a network on a split: at one scale or several, with mirror images or without.

Pictures are scored whole, at their own size, wherever a task predicts one value a pixel; poses,
whose examples are cut-out persons, are scored in the view that the data set has for them.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import tensorflow as tf

from nas_tf.config.schema import Evaluation
from nas_tf.data import pipeline
from nas_tf.data.examples import Examples
from nas_tf.data.views import View
from nas_tf.data.whole_pictures import WholePictures, spread
from nas_tf.networks.arrays import PartLayout, layouts
from nas_tf.networks.blueprint import Blueprint, Size
from nas_tf.networks.functional import Functional
from nas_tf.networks.state import State
from nas_tf.tasks import Metrics, Task

_PIXELS = 1 << 22
"""Pixels in one update of the metrics; larger pictures are split into strips of rows."""


@dataclass(frozen=True)
class Split:
    """The examples that score, and how they are seen."""

    examples: Examples
    view: View
    subset: tuple[int, ...] | None = None

    def __len__(self) -> int:
        """How many examples there are."""
        return len(self.examples) if self.subset is None else len(self.subset)

    def spread(self, count: int) -> "Split":
        """A few examples from all over it."""
        return replace(self, subset=spread(self.subset or range(len(self.examples)), count))

    def batches(self, task: Task, batch: int) -> Iterator[tuple[Any, Any]]:
        """Images and targets in order."""
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
    """Predicts with shipped networks in float32 and gathers the task's figures.

    Args:
        draw: Gives the blueprint at an input size.
        task: Gives the figures.
        parts: Layouts of the states to come.
        crop: Size of the images.
        evaluation: Batch, scales and mirror images.
    """

    def __init__(
        self,
        draw: Callable[[Size], Blueprint],
        task: Task,
        parts: Mapping[str, PartLayout],
        crop: Size,
        evaluation: Evaluation,
    ) -> None:
        self._task, self._crop, self._evaluation = task, crop, evaluation
        self._networks = [
            Functional(draw(_scaled(crop, scale)).deployed(), parts=parts)
            for scale in evaluation.scales
        ]
        self._run = tf.function(self._logits, autograph=False)

    def score(
        self,
        state: State,
        pictures: WholePictures | Split,
        progress: Callable[[int], None] | None = None,
    ) -> Metrics:
        """The task's figures; ``progress`` is called with the number of pictures scored so far."""
        metrics, done = self._task.metrics(), 0
        if isinstance(pictures, Split):
            for _, target, logits in self.predictions(state, pictures):
                metrics.update(target, logits, self._crop)
                done += len(logits)
                if progress is not None:
                    progress(done)
            return metrics
        vectors = _constants(state)

        def predicted(windows: Any) -> tf.Tensor:
            images = tf.cast(tf.constant(windows), tf.float32) / 127.5 - 1
            logits = self._run(filled(images, self._evaluation.batch), *vectors)
            return metrics.predicted(logits[: len(windows)], self._crop)

        for scored in pictures.answered(predicted, self._evaluation.batch):
            rows = max(1, _PIXELS // scored.target.shape[1])
            for first in range(0, len(scored.target), rows):
                strip = slice(first, first + rows)
                metrics.add(scored.target[None, strip], scored.answer[None, strip])
            done += 1
            if progress is not None:
                progress(done)
        return metrics

    def predictions(self, state: State, split: Split) -> Iterator[tuple[Any, Any, tf.Tensor]]:
        """Images, targets and logits, batch by batch."""
        vectors = _constants(state)
        size = self._evaluation.batch
        for images, target in split.batches(self._task, size):
            yield images, target, self._run(filled(images, size), *vectors)[: len(images)]

    def _logits(self, images: tf.Tensor, trainable: Any, statistics: Any) -> tf.Tensor:
        def predict(network: Functional, seen: tf.Tensor) -> tf.Tensor:
            return network(seen, trainable, statistics)[0]["logits"]

        sums = []
        for network in self._networks:
            size = network.blueprint.input_size
            seen = images if size == tuple(self._crop) else tf.image.resize(images, size)
            one = network
            if self._evaluation.flip:
                logits = self._task.flip_tested(lambda x, one=one: predict(one, x), seen)
            else:
                logits = predict(network, seen)
            like = tf.shape(sums[0])[1:3] if sums else tf.shape(logits)[1:3]
            sums.append(tf.image.resize(logits, like))
        return tf.add_n(sums) / len(sums)


def shipped(blueprint: Blueprint, state: State) -> Callable[[Any], tf.Tensor]:
    """A network as it is shipped: logits in float32 of images, or of taps for a decoder."""
    network = Functional(blueprint.deployed(), parts=layouts(blueprint))
    trainable, statistics = (
        {part: tf.constant(vector) for part, vector in one.items()} for one in _vectors(state)
    )
    return lambda inputs: network(inputs, trainable, statistics)[0]["logits"]


def filled(part: tf.Tensor, batch: int) -> tf.Tensor:
    """A smaller batch filled up with zeros, so that one graph serves all."""
    absent = batch - len(part)
    return tf.pad(part, [[0, absent]] + [[0, 0]] * (part.shape.rank - 1)) if absent else part


def _scaled(crop: Size, scale: float) -> Size:
    return round(crop[0] * scale), round(crop[1] * scale)


def _constants(state: State) -> list[dict[str, tf.Tensor]]:
    return [{part: tf.constant(v) for part, v in vector.items()} for vector in _vectors(state)]


def _vectors(state: State) -> Iterable[Mapping[str, Any]]:
    return state.trainable, state.statistics
