"""Cuts whole pictures of a split into windows, for scores that leave no pixel out."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import tensorflow as tf

from nas_tf.data.examples import Examples
from nas_tf.data.streams import without_autotuning
from nas_tf.input_geometry import InputGeometry
from nas_tf.tasks.base import TargetSpec

_PARALLEL = 2
"""Pictures that are decoded ahead: two of 50 megapixels are 300 MB."""

Predict = Callable[[np.ndarray], Any]
"""Maps windows [count, height, width, 3] as bytes to maps [count, height, width], or several."""


@dataclass(frozen=True)
class PredictedPicture:
    """A picture's target and its prediction, both of the picture's own size."""

    target: np.ndarray
    prediction: Any


@dataclass(frozen=True)
class WholePictures:
    """The stored pictures of a split, and the geometry that cuts them into windows.

    Args:
        examples: Prepared examples of the split.
        geometry: Cuts a picture into windows and joins the windows' maps.
        target: Target that is compared with the predictions.
        subset: Indices of the examples to use; None for all.
    """

    examples: Examples
    geometry: InputGeometry
    target: TargetSpec
    subset: tuple[int, ...] | None = None

    def __len__(self) -> int:
        """Returns the number of pictures."""
        return len(self.examples) if self.subset is None else len(self.subset)

    def spread(self, count: int) -> "WholePictures":
        """Returns ``count`` of the pictures, evenly spaced over the split."""
        return replace(self, subset=spread(self.subset or range(len(self.examples)), count))

    def shown(self, stored: dict[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the picture, as bytes, and the target of an example."""
        return stored["image"], stored[self.target.key]

    def windows(self) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Yields the windows, the target, and height and width of each picture in order."""
        indices = range(len(self.examples)) if self.subset is None else self.subset

        def cut(index: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
            picture, target = self.shown(self.examples.get(index))
            return self.geometry.cut(picture), target, tf.shape(picture)[:2]

        stream = tf.data.Dataset.from_tensor_slices(np.asarray(indices, np.int64))
        stream = without_autotuning(stream.map(cut, num_parallel_calls=_PARALLEL))
        return self.examples.checked(stream.as_numpy_iterator())

    def predictions(self, predict: Predict, batch: int) -> Iterator[PredictedPicture]:
        """Yields every picture with its prediction; windows of several pictures share a batch."""
        waiting: list[tuple[int, np.ndarray, np.ndarray]] = []
        windows: list[np.ndarray] = []
        maps: list[Any] = []
        for cut, target, size in self.windows():
            if windows and windows[0].shape != cut.shape[1:]:
                maps += _maps_by_window(predict(np.stack(windows)))
                windows.clear()
            waiting.append((len(cut), target, size))
            windows += list(cut)
            while len(windows) >= batch:
                maps += _maps_by_window(predict(np.stack(windows[:batch])))
                del windows[:batch]
            yield from self._finished(waiting, maps)
        if windows:
            maps += _maps_by_window(predict(np.stack(windows)))
        yield from self._finished(waiting, maps)

    def _finished(
        self, waiting: list[tuple[int, np.ndarray, np.ndarray]], maps: list[Any]
    ) -> Iterator[PredictedPicture]:
        """Yields the pictures whose windows are all predicted, and removes them from the lists."""
        while waiting and waiting[0][0] <= len(maps):
            count, target, size = waiting.pop(0)
            own_maps = maps[:count]
            del maps[:count]
            joined = tf.nest.map_structure(
                lambda *parts, size=size: self.geometry.joined(np.stack(parts), size).numpy(),
                *own_maps,
            )
            yield PredictedPicture(target, joined)


def spread(indices: Sequence[int], count: int) -> tuple[int, ...]:
    """Returns ``count`` of the indices, evenly spaced from the first to the last."""
    positions = {round(n * (len(indices) - 1) / max(1, count - 1)) for n in range(count)}
    return tuple(int(indices[position]) for position in sorted(positions))


def _maps_by_window(maps: Any) -> list[Any]:
    """Returns a structure of maps for each window of a batch."""
    parts = [np.asarray(part) for part in tf.nest.flatten(maps)]
    return [
        tf.nest.pack_sequence_as(maps, [part[n] for part in parts]) for n in range(len(parts[0]))
    ]
