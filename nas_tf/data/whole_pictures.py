"""Whole pictures of a split, window by window, for scores that leave no pixel out."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import tensorflow as tf

from nas_tf.data.examples import Examples
from nas_tf.input_geometry import InputGeometry
from nas_tf.tasks.base import TargetSpec

_AT_ONCE = 2
"""Pictures that are decoded ahead: two of 50 megapixels are 300 MB."""

Answer = Callable[[np.ndarray], Any]
"""From windows [count, height, width, 3] as bytes to maps [count, height, width], or several."""


@dataclass(frozen=True)
class Scored:
    """A picture's target and what was answered, both of the picture's own size."""

    target: np.ndarray
    answer: Any


@dataclass(frozen=True)
class WholePictures:
    """The pictures of a split as they are stored, and the geometry they are seen through.

    Args:
        examples: The split, as it is stored.
        geometry: How a picture becomes windows, and maps of windows one map.
        target: Which map is the truth.
        subset: Indices of the examples to take; all where there are none.
    """

    examples: Examples
    geometry: InputGeometry
    target: TargetSpec
    subset: tuple[int, ...] | None = None

    def __len__(self) -> int:
        """How many pictures there are."""
        return len(self.examples) if self.subset is None else len(self.subset)

    def spread(self, count: int) -> "WholePictures":
        """A few pictures from all over the split."""
        return replace(self, subset=spread(self.subset or range(len(self.examples)), count))

    def windows(self) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Windows, target, and the picture's height and width, of each example in order."""
        indices = range(len(self.examples)) if self.subset is None else self.subset

        def cut(index: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
            stored = self.examples.get(index)
            picture = stored["image"]
            return self.geometry.cut(picture), stored[self.target.key], tf.shape(picture)[:2]

        stream = tf.data.Dataset.from_tensor_slices(np.asarray(indices, np.int64))
        stream = stream.map(cut, num_parallel_calls=_AT_ONCE)
        return self.examples.checked(stream.as_numpy_iterator())

    def answered(self, answer: Answer, batch: int) -> Iterator[Scored]:
        """Every picture with its answer; windows of several pictures share a batch."""
        waiting: list[tuple[int, np.ndarray, np.ndarray]] = []
        windows: list[np.ndarray] = []
        maps: list[Any] = []
        for cut, target, size in self.windows():
            waiting.append((len(cut), target, size))
            windows += list(cut)
            while len(windows) >= batch:
                maps += _each(answer(np.stack(windows[:batch])))
                del windows[:batch]
            yield from self._finished(waiting, maps)
        if windows:
            maps += _each(answer(np.stack(windows)))
        yield from self._finished(waiting, maps)

    def _finished(
        self, waiting: list[tuple[int, np.ndarray, np.ndarray]], maps: list[Any]
    ) -> Iterator[Scored]:
        """Pictures all of whose windows are answered, taken off both lists."""
        while waiting and waiting[0][0] <= len(maps):
            count, target, size = waiting.pop(0)
            own = maps[:count]
            del maps[:count]
            joined = tf.nest.map_structure(
                lambda *parts, size=size: self.geometry.joined(np.stack(parts), size).numpy(), *own
            )
            yield Scored(target, joined)


def spread(indices: Sequence[int], count: int) -> tuple[int, ...]:
    """A few of the indices, evenly from the first to the last."""
    places = {round(n * (len(indices) - 1) / max(1, count - 1)) for n in range(count)}
    return tuple(int(indices[place]) for place in sorted(places))


def _each(answers: Any) -> list[Any]:
    """One structure of maps for each window of a batch."""
    parts = [np.asarray(part) for part in tf.nest.flatten(answers)]
    return [
        tf.nest.pack_sequence_as(answers, [part[n] for part in parts])
        for n in range(len(parts[0]))
    ]
