"""Prepared examples in any order, inside the graph, decoded once where memory allows."""

import shlex
from collections.abc import Iterable, Iterator
from typing import TypeVar

import tensorflow as tf
from array_record.python.array_record_data_source import ArrayRecordDataSource

from nas_tf.data.info import DatasetInfo
from nas_tf.data.store import open_split
from nas_tf.errors import DataError

CACHE_BYTES = 1 << 30
"""Decoded examples kept in memory at most; a larger split is decoded anew each time."""

_DAMAGED = "a damaged record"

Batch = TypeVar("Batch")


class Examples:
    """The examples of one prepared split, by index.

    Random access is what makes a training stream resumable at any step: the order is computed,
    never buffered. ``cache_bytes`` bounds what is kept decoded; 0 keeps nothing.
    """

    def __init__(self, name: str, split: str, *, cache_bytes: int = CACHE_BYTES) -> None:
        builder = open_split(name, split)
        self.info: DatasetInfo = builder.INFO
        self.split = split
        self._features = builder.info.features
        stored = builder.info.splits[split].num_bytes
        self.identity = f"{builder.info.full_name}/{split}, {stored} bytes"
        self._damage: DataError | None = None
        try:
            self._records = ArrayRecordDataSource(
                [str(path) for path in builder.info.splits[split].filepaths]
            )
        except RuntimeError as error:
            raise self._damaged(error) from error
        self._signature = self._spec()
        self._decoded = self._decode(cache_bytes)

    def __len__(self) -> int:
        """How many examples there are."""
        return len(self._records)

    @property
    def cached(self) -> bool:
        """Whether the decoded examples are held in memory."""
        return self._decoded is not None

    def get(self, index: tf.Tensor) -> dict[str, tf.Tensor]:
        """The example dictionary at an index; traceable."""
        if self._decoded is None:
            return self._parse(self._record(index))
        values = tf.numpy_function(
            lambda i: self._decoded[i], [index], [spec.dtype for spec in self._signature.values()]
        )
        for value, spec in zip(values, self._signature.values(), strict=True):
            value.set_shape(spec.shape)
        return dict(zip(self._signature, values, strict=True))

    def checked(self, stream: Iterable[Batch]) -> Iterator[Batch]:
        """What a stream over these examples gives; a damaged record is told as a DataError."""
        try:
            yield from stream
        except tf.errors.OpError as error:
            if self._damage is None or _DAMAGED not in error.message:
                raise
            raise self._damage from error

    def _record(self, index: tf.Tensor) -> tf.Tensor:
        """The stored bytes at an index; reading checks their checksum."""
        record = tf.numpy_function(self._read, [index], tf.string)
        record.set_shape(())
        whole = tf.debugging.Assert(tf.strings.length(record) > 0, [_DAMAGED])
        with tf.control_dependencies([whole] if whole is not None else []):
            return tf.identity(record)

    def _read(self, index: int) -> bytes:
        """A record; nothing of a damaged one, since TensorFlow prints what is raised in here."""
        try:
            return self._records[int(index)]
        except RuntimeError as error:
            self._damage = self._damaged(error)
            return b""

    def _damaged(self, error: RuntimeError) -> DataError:
        name = self.info.name
        return DataError(
            f"what is prepared of {name}, split {self.split}, is damaged: {error}; run "
            f"nas-tf data prepare {shlex.quote(name)} --again"
        )

    def _parse(self, record: tf.Tensor) -> dict[str, tf.Tensor]:
        """Decodes a record; dense targets lose the channel they are stored with."""
        example = self._features.deserialize_example(record)
        for key in ("label", "depth"):
            if key in example:
                example[key] = tf.squeeze(example[key], axis=-1)
        return example

    def _spec(self) -> dict[str, tf.TensorSpec]:
        """Type and shape of every part, in a fixed order."""
        parse = tf.function(self._parse).get_concrete_function(tf.TensorSpec((), tf.string))
        return dict(sorted(parse.structured_outputs.items()))

    def _decode(self, limit: int) -> list[list[object]] | None:
        """All examples as arrays, or None as soon as they exceed the limit."""
        if not limit:
            return None
        stream = tf.data.Dataset.range(len(self)).map(
            lambda index: self._parse(self._record(index)), num_parallel_calls=tf.data.AUTOTUNE
        )
        decoded, size = [], 0
        for example in self.checked(stream.as_numpy_iterator()):
            size += sum(getattr(value, "nbytes", 0) for value in example.values())
            if size > limit:
                return None
            decoded.append([example[key] for key in self._signature])
        return decoded
