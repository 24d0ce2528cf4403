"""Fills the shards of a feature cache: encodes batch by batch and writes in the background."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeAlias

import numpy as np
import tensorflow as tf
from tensorflow import keras

from nas_tf.errors import DataError
from nas_tf.sizes import Size
from nas_tf.training.shards import Shard

Source: TypeAlias = Callable[[int], Iterable[tuple[Any, ...]]]
Progress: TypeAlias = Callable[[int, int], None]
Stored: TypeAlias = Callable[[Any, Any], tf.Tensor]
"""Returns encoded targets at a size, as they are stored."""


class Encoder:
    """Turns a batch of images and encoded targets into the fields that are stored.

    Fields are ``tap0``, ``tap1``, …, ``target`` and, with a teacher, ``teacher``. The stored
    target is the encoded one at ``target_size``, by default that of the first tap, and the
    teacher's logits are resized to it bilinearly.
    """

    def __init__(
        self,
        model: keras.Model,
        stored: Stored,
        teacher: keras.Model | None,
        dtype: str,
        batch: int,
        extras: tuple[str, ...] = (),
        target_size: Size | None = None,
    ) -> None:
        self._batch, self._extras = batch, extras
        self._model, self._teacher, self._dtype = model, teacher, tf.as_dtype(dtype)
        self._stored, self._target_size = stored, target_size
        taps = [f"tap{n}" for n in range(len(tf.nest.flatten(model.output)))]
        self._encoded_fields = (*taps, "target", *(["teacher"] if teacher is not None else []))
        self.fields = (*self._encoded_fields, *extras)
        self._run = tf.function(self._encode, autograph=False)

    def __call__(self, images: Any, targets: Any, extras: Any = None) -> dict[str, np.ndarray]:
        """Encodes one batch; a smaller batch is padded, so that one graph serves all."""
        rows = len(images)
        arrays = self._run(*(self._padded(part) for part in (images, targets)))
        encoded = zip(self._encoded_fields, arrays, strict=True)
        return {
            **{field: np.asarray(memoryview(array))[:rows] for field, array in encoded},
            **{field: np.asarray(extras[field]) for field in self._extras},
        }

    def bytes_per_row(self, images: Any, targets: Any, extras: Any = None) -> int:
        """Returns the size of one row on disk, computed from the shapes alone."""
        padded = [self._padded(part) for part in (images, targets)]
        stored = list(self._run.get_concrete_function(*padded).structured_outputs)
        stored += [tf.convert_to_tensor(extras[field]) for field in self._extras]
        return sum(int(np.prod(array.shape[1:])) * array.dtype.size for array in stored)

    def _padded(self, part: Any) -> tf.Tensor:
        part = tf.convert_to_tensor(part)
        absent = self._batch - len(part)
        return tf.pad(part, [[0, absent]] + [[0, 0]] * (part.shape.rank - 1)) if absent else part

    def _encode(self, images: tf.Tensor, targets: tf.Tensor) -> list[tf.Tensor]:
        taps = tf.nest.flatten(self._model(images, training=False))
        size = self._target_size
        if size is None:
            size = tf.shape(taps[0])[1:3] if None in taps[0].shape[1:3] else taps[0].shape[1:3]
        stored = [self._cast(tap) for tap in taps]
        stored.append(self._stored(targets, size))
        if self._teacher is not None:
            logits = self._teacher(images, training=False)
            logits = logits["logits"] if isinstance(logits, dict) else logits
            logits = tf.image.resize(tf.cast(logits, tf.float32), size)
            stored.append(self._cast(logits))
        return stored

    def _cast(self, array: tf.Tensor) -> tf.Tensor:
        return tf.cast(array, self._dtype)


def write_shards(
    shards: list[Shard],
    counts: list[int],
    missing: list[int],
    source: Source,
    opened: Iterator[Any],
    encode: Encoder,
    progress: Progress | None,
) -> None:
    """Encodes and writes the missing shards; neighbouring shards share one pass of the source.

    ``counts`` are the rows of each shard; ``opened`` iterates the source from the first missing
    row. One thread writes while the caller's thread encodes.
    """
    total = sum(counts)
    done = total - sum(counts[n] for n in missing)
    writing: Future[None] | None = None
    with ThreadPoolExecutor(1) as writer:
        for run in _runs(missing):
            first = sum(counts[: run[0]])
            batches = opened if run[0] == missing[0] else iter(source(first))
            for number in run:
                parts = _encoded_rows(batches, encode, counts[number], first)
                first += counts[number]
                if writing is not None:
                    writing.result()
                writing = writer.submit(_write, shards[number], parts)
                done += counts[number]
                if progress is not None:
                    progress(done, total)
        if writing is not None:
            writing.result()


def _runs(numbers: list[int]) -> list[list[int]]:
    runs: list[list[int]] = []
    for number in numbers:
        if runs and runs[-1][-1] == number - 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return runs


def _encoded_rows(
    batches: Iterator[Any], encode: Encoder, rows: int, first: int
) -> list[dict[str, np.ndarray]]:
    parts: list[dict[str, np.ndarray]] = []
    count = 0
    while count < rows:
        batch = next(batches, None)
        if batch is None:
            raise DataError(
                f"feature cache: the source ended after {first + count} rows, "
                f"expected at least {first + rows}"
            )
        parts.append(encode(*batch))
        count += len(parts[-1]["tap0"])
    if count != rows:
        raise DataError(
            f"feature cache: a batch crosses row {first + rows}, expected batches that fill shards"
        )
    return parts


def _write(shard: Shard, parts: list[dict[str, np.ndarray]]) -> None:
    """Checks and writes the batches of a shard, in the writer's thread."""
    for field, array in ((field, part[field]) for part in parts for field in part):
        if not _is_finite(array):
            raise DataError(
                f"feature cache: {field} is not finite in {array.dtype}; store single precision, "
                "or check the weights"
            )
    shard.remove()
    shard.write(parts)


def _is_finite(array: np.ndarray) -> bool:
    """Returns whether all values are finite; ``numpy.isfinite`` is slow on half precision."""
    if array.dtype == np.float16:
        exponent = np.uint16(0x7C00)  # all ones: infinite or not a number
        return not (array.view(np.uint16) & exponent == exponent).any()
    return array.dtype.kind != "f" or bool(np.isfinite(array).all())
