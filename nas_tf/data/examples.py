"""Prepared examples in any order, inside the graph, decoded once where memory allows."""

import shlex
from collections.abc import Iterable, Iterator
from typing import TypeVar

import tensorflow as tf
import tensorflow_datasets as tfds
from array_record.python.array_record_data_source import ArrayRecordDataSource

from nas_tf.data.info import DatasetInfo
from nas_tf.data.store import open_split
from nas_tf.errors import DataError
from nas_tf.input_geometry import Resize, resized, resized_map

_AS_STORED = Resize()
_DECODED = "decoded by the exact transform"
CACHE_BYTES = 1 << 30
"""Decoded examples kept in memory at most; a larger split is decoded anew each time."""

_DAMAGED = "a damaged record"

Batch = TypeVar("Batch")


class Examples:
    """The examples of one prepared split, by index.

    Random access is what makes a training stream resumable at any step: the order is computed,
    never buffered. ``cache_bytes`` bounds what is kept decoded; 0 keeps nothing. ``resize`` is
    applied to each example as it is decoded, so that what is kept is small.
    """

    def __init__(
        self,
        name: str,
        split: str,
        *,
        cache_bytes: int = CACHE_BYTES,
        resize: Resize = _AS_STORED,
    ) -> None:
        builder = open_split(name, split)
        self.info: DatasetInfo = builder.INFO
        self.split = split
        self._features = builder.info.features
        stored = builder.info.splits[split].num_bytes
        rule = ", ".join(f"{key} {value}" for key, value in resize.to_dict().items())
        self._resize = resize if rule else None
        self.identity = f"{builder.info.full_name}/{split}, {stored} bytes, {_DECODED}"
        self.identity += f", {rule}" if rule else ""
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
        stored = {"image": tfds.decode.SkipDecoding()}
        example = self._features.deserialize_example(record, decoders=stored)
        example["image"] = _decoded(example["image"])
        for key in ("label", "depth"):
            if key in example:
                example[key] = tf.squeeze(example[key], axis=-1)
        return example if self._resize is None else resize_example(example, self._resize)

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


def resize_example(example: dict[str, tf.Tensor], rule: Resize) -> dict[str, tf.Tensor]:
    """An example whose picture is resized by a rule, with everything annotated on it."""
    own = tf.shape(example["image"])[:2]
    size = rule.size(own)
    factors = tf.cast(size, tf.float32) / tf.cast(own, tf.float32)
    changed = {
        **example,
        "image": tf.ensure_shape(resized(example["image"], size), (None, None, 3)),
    }
    for key in ("label", "depth"):
        if key in example:
            changed[key] = tf.ensure_shape(resized_map(example[key], size), (None, None))
    if "keypoints" in example:
        points = example["keypoints"]
        moved = (points[..., :2] + 0.5) * factors[::-1] - 0.5
        known = points[..., 2:] > 0
        changed["keypoints"] = tf.concat([tf.where(known, moved, 0), points[..., 2:]], axis=-1)
    if "head_size" in example:
        changed["head_size"] = example["head_size"] * tf.sqrt(tf.reduce_prod(factors))
    if "area" in example:
        changed["area"] = example["area"] * tf.reduce_prod(factors)
    return changed


def _decoded(file: tf.Tensor) -> tf.Tensor:
    """The picture of a stored JPEG or PNG, to the bit as ``nas_tf.pictures`` reads it."""
    return tf.cond(
        tf.io.is_jpeg(file),
        lambda: tf.io.decode_jpeg(file, channels=3, dct_method="INTEGER_ACCURATE"),
        lambda: tf.io.decode_png(file, channels=3),
    )
