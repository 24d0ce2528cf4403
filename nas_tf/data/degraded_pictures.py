"""The pictures of a score of restoration: whole, with noise that is fixed for each of them.

The protocol ``standard`` degrades a picture once and restores all of it. A network that reads a
limited field gives the same to the parts of a large picture, if each has that field around it. The
protocol ``hinas`` degrades overlapping patches one by one and averages what is restored of them.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
import tensorflow as tf

from nas_tf.data.augment import degraded, grey
from nas_tf.data.pipeline import seed_of
from nas_tf.data.views import View
from nas_tf.data.whole_pictures import PredictedPicture, WholePictures
from nas_tf.sizes import Size
from nas_tf.tasks import Restoration

PATCH, STEP = 64, 48
"""The side of a patch of the protocol ``hinas``, and the distance of two."""
_MOST_PIXELS, _PART = 1 << 20, 768
"""Larger pictures are restored in parts of at most this side, without what is around them."""

Place = tuple[slice, slice]
Restore = Callable[[np.ndarray], np.ndarray]
"""Maps degraded images [count, height, width, 3] in [-1, 1] to restored ones in [0, 1]."""


@dataclass(frozen=True)
class _Part:
    """A part of a degraded picture, its place, and the place in it that is taken of it."""

    image: np.ndarray
    place: Place
    taken: Place = (slice(None), slice(None))


@dataclass(frozen=True, kw_only=True)
class DegradedPictures(WholePictures):
    """Clean pictures, and how they are degraded; with several levels of noise each has all.

    ``windows``, for exported models, yields bytes: noise is rounded and clipped there.

    Args:
        task: The task, with the protocol and the levels.
        view: Degrades pictures and makes them grey; its crop has no effect.
        margin: Pixels around a part that its network reads, in the protocol ``standard``.
    """

    task: Restoration
    view: View
    margin: int = 0

    def __len__(self) -> int:
        """Returns the number of pictures that are restored, at all levels of noise."""
        return super().__len__() * max(1, len(self.task.levels))

    def shown(self, stored: dict[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the degraded picture, as bytes, and the clean one in [-1, 1]."""
        seed = seed_of(stored["id"])
        image, clean = self._pair(stored)
        worse, _ = degraded(image, self.view, seed)
        return tf.cast(tf.round(tf.clip_by_value(worse, 0, 255)), tf.uint8), clean / 127.5 - 1

    def restored(self, restore: Restore, batch: int) -> Iterator[PredictedPicture]:
        """Yields every picture's target and what is restored of it, 0 to 1 but for outliers."""
        total = len(self.examples) if self.subset is None else len(self.subset)
        for index in range(total) if self.subset is None else self.subset:
            (stored,) = self.examples.checked(map(self.examples.get, [tf.constant(index)]))
            seed = seed_of(stored["id"])
            image, clean = self._pair(stored)
            for level in self.task.levels or (None,):
                parts = self._parts(image, seed, level)
                found = _joined(parts, restore, batch, clean.shape[:2])
                target = {"clean": clean.numpy() / 127.5 - 1, "level": level or 0.0}
                yield PredictedPicture(target, found)

    def _pair(self, stored: dict[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns image and clean picture in 0–255, which are one without pairs."""
        example = grey(stored) if self.view.grey else stored
        image = tf.cast(example["image"], tf.float32)
        return image, tf.cast(example.get("clean", image), tf.float32)

    def _parts(self, image: tf.Tensor, seed: tf.Tensor, level: float | None) -> Iterator[_Part]:
        """Yields the degraded parts of an image at a level of noise."""
        view, size = self.view, image.shape[:2]
        if level is not None:
            view = replace(view, degradation=view.degradation.at(level))
        if self.task.protocol == "hinas":
            starts = (_starts(side) for side in size)
            for number, (y, x) in enumerate(product(*starts)):
                place = slice(y, y + PATCH), slice(x, x + PATCH)
                own = tf.random.experimental.stateless_fold_in(seed, number)
                yield _Part(degraded(image[place], view, own)[0] / 127.5 - 1, place)
            return
        worse = degraded(image, view, seed)[0].numpy() / 127.5 - 1
        for place in _divided(size):
            around = [slice(max(0, p.start - self.margin), p.stop + self.margin) for p in place]
            taken = [
                slice(p.start - a.start, p.stop - a.start)
                for p, a in zip(place, around, strict=True)
            ]
            yield _Part(worse[around[0], around[1]], place, (taken[0], taken[1]))


def _starts(side: int) -> list[int]:
    """Returns where patches start along a side, the last of them flush with its end."""
    last = max(0, side - PATCH)
    return sorted({*range(0, last, STEP), last})


def _divided(size: Size) -> list[Place]:
    """Returns the places that cover a picture, one if it is not too large."""
    height, width = (_PART, _PART) if size[0] * size[1] > _MOST_PIXELS else size
    return [
        (slice(y, min(y + height, size[0])), slice(x, min(x + width, size[1])))
        for y, x in product(range(0, size[0], height), range(0, size[1], width))
    ]


def _joined(parts: Iterator[_Part], restore: Restore, batch: int, size: Size) -> np.ndarray:
    """Returns the mean of what is restored of the parts, at each pixel."""
    total, count, waiting = None, np.zeros((*size, 1), np.float32), []

    def add() -> None:
        nonlocal total
        found = restore(np.stack([np.asarray(part.image) for part in waiting]))
        if total is None:
            total = np.zeros((*size, found.shape[-1]), np.float32)
        for part, values in zip(waiting, found, strict=True):
            total[part.place] += values[part.taken]
            count[part.place] += 1
        waiting.clear()

    for part in parts:
        if waiting and (len(waiting) == batch or waiting[0].image.shape != part.image.shape):
            add()
        waiting.append(part)
    add()
    return total / count
