"""Reads prepared examples in any order, inside the graph, and caches them if memory allows."""

import shlex
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import accumulate
from typing import TypeVar

import tensorflow as tf
import tensorflow_datasets as tfds
from array_record.python.array_record_data_source import ArrayRecordDataSource

from nas_tf.data.info import DatasetInfo
from nas_tf.data.joined_splits import parts
from nas_tf.data.store import open_split
from nas_tf.data.streams import without_autotuning
from nas_tf.data.targets import TARGETS
from nas_tf.errors import DataError
from nas_tf.input_geometry import Resize, resized

_AS_STORED = Resize()
_DECODED = "decoded by the exact transform"
CACHE_BYTES = 1 << 30
"""The most bytes of decoded examples in memory; a larger split is decoded at every access."""

_DAMAGED = "a damaged record"

Batch = TypeVar("Batch")


class Examples:
    """The examples of a prepared split, by index.

    Random access makes a training stream resumable at any step: the order is computed, never
    buffered. ``cache_bytes`` limits the cache of decoded examples; 0 disables it. ``resize`` is
    applied to each example as it is decoded, so that the cache is small. ``identity`` names the
    data and their decoding, for caches of results. The split ``train+val`` has the examples of
    train, then those of val. For example::

        examples = Examples("shapes", "val")
        image = examples.get(tf.constant(0))["image"]
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
        joined = [builder.info.splits[part] for part in parts(split)]
        stored = sum(part.num_bytes for part in joined)
        rule = ", ".join(f"{key} {value}" for key, value in resize.to_dict().items())
        self._resize = resize if rule else None
        self.identity = f"{builder.info.full_name}/{split}, {stored} bytes, {_DECODED}"
        self.identity += f", {rule}" if rule else ""
        self._damage: DataError | None = None
        try:
            self._records = ArrayRecordDataSource(
                [str(path) for part in joined for path in part.filepaths]
            )
        except RuntimeError as error:
            raise self._damaged(error) from error
        self._signature = self._spec()
        self._decoded = self._decode(cache_bytes)

    def __len__(self) -> int:
        """Returns the number of examples."""
        return len(self._records)

    @property
    def parts(self) -> set[str]:
        """The keys of an example."""
        return set(self._signature)

    @property
    def cached(self) -> bool:
        """True if the decoded examples are cached in memory."""
        return self._decoded is not None

    def get(self, index: tf.Tensor) -> dict[str, tf.Tensor]:
        """Returns the example dictionary at an index; usable inside a tf.function."""
        if self._decoded is None:
            return self._parse(self._record(index))
        values = tf.numpy_function(
            lambda n: self._decoded[n], [index], [spec.dtype for spec in self._signature.values()]
        )
        for value, spec in zip(values, self._signature.values(), strict=True):
            value.set_shape(spec.shape)
        return dict(zip(self._signature, values, strict=True))

    def checked(self, stream: Iterable[Batch]) -> Iterator[Batch]:
        """Yields from a stream over these examples; a damaged record raises a DataError."""
        try:
            yield from stream
        except tf.errors.OpError as error:
            if self._damage is None or _DAMAGED not in error.message:
                raise
            raise self._damage from error

    def _record(self, index: tf.Tensor) -> tf.Tensor:
        """Returns the stored bytes at an index; the checksum is verified."""
        record = tf.numpy_function(self._read, [index], tf.string)
        record.set_shape(())
        intact = tf.debugging.Assert(tf.strings.length(record) > 0, [_DAMAGED])
        with tf.control_dependencies([intact] if intact is not None else []):
            return tf.identity(record)

    def _read(self, index: int) -> bytes:
        """Returns a record, empty if it is damaged: TensorFlow would print an error from here."""
        try:
            return self._records[int(index)]
        except RuntimeError as error:
            self._damage = self._damaged(error)
            return b""

    def _damaged(self, error: RuntimeError) -> DataError:
        """Returns the error on a damaged record."""
        name = self.info.name
        return DataError(
            f"prepared copy of {name}, split {self.split}, is damaged: {error}; run "
            f"nas-tf data prepare {shlex.quote(name)} --again"
        )

    def _parse(self, record: tf.Tensor) -> dict[str, tf.Tensor]:
        """Decodes a record."""
        decoders = {"image": tfds.decode.SkipDecoding()}
        example = self._features.deserialize_example(record, decoders=decoders)
        example["image"] = _decode_image(example["image"])
        targets = [key for key in example if key in TARGETS]
        example |= {key: TARGETS[key].from_record(example[key]) for key in targets}
        return example if self._resize is None else resize_example(example, self._resize)

    def _spec(self) -> dict[str, tf.TensorSpec]:
        """Returns type and shape of every part, in a fixed order."""
        parse = tf.function(self._parse).get_concrete_function(tf.TensorSpec((), tf.string))
        return dict(sorted(parse.structured_outputs.items()))

    def _decode(self, limit: int) -> list[list[object]] | None:
        """Returns all examples as arrays, or None as soon as they exceed the limit."""
        if not limit:
            return None
        stream = tf.data.Dataset.range(len(self)).map(
            lambda index: self._parse(self._record(index)), num_parallel_calls=tf.data.AUTOTUNE
        )
        decoded, size = [], 0
        for example in self.checked(without_autotuning(stream).as_numpy_iterator()):
            size += sum(getattr(value, "nbytes", 0) for value in example.values())
            if size > limit:
                return None
            decoded.append([example[key] for key in self._signature])
        return decoded


class JoinedExamples:
    """The examples of several prepared splits, one after the other.

    An example has what all of the splits have; ``info`` is that of the first.
    """

    def __init__(self, members: Sequence[Examples]) -> None:
        self._members = members
        self._starts = list(accumulate(map(len, members), initial=0))
        self._keys = set.intersection(*(member.parts for member in members))
        self.split = " and ".join(f"{member.split} of {member.info.name}" for member in members)
        most = max(member.info.most_boxes for member in members)
        self.info: DatasetInfo = replace(members[0].info, most_boxes=most)

    def __len__(self) -> int:
        """Returns the number of examples."""
        return self._starts[-1]

    def get(self, index: tf.Tensor) -> dict[str, tf.Tensor]:
        """Returns the example dictionary at an index; usable inside a tf.function."""

        def reader(member: Examples, start: int) -> Callable[[], dict[str, tf.Tensor]]:
            def read() -> dict[str, tf.Tensor]:
                example = member.get(index - start)
                return {key: example[key] for key in sorted(self._keys)}

            return read

        ends = tf.constant(self._starts[1:], index.dtype)
        number = tf.reduce_sum(tf.cast(index >= ends, tf.int32))
        return tf.switch_case(
            number,
            [
                reader(member, start)
                for member, start in zip(self._members, self._starts, strict=False)
            ],
        )

    def checked(self, stream: Iterable[Batch]) -> Iterator[Batch]:
        """Yields from a stream over these examples; a damaged record raises a DataError."""
        for member in self._members:
            stream = member.checked(stream)
        yield from stream


def resize_example(example: dict[str, tf.Tensor], rule: Resize) -> dict[str, tf.Tensor]:
    """Returns the example with its picture and all annotations resized by a rule."""
    stored_size = tf.shape(example["image"])[:2]
    size = rule.size(stored_size)
    factors = tf.cast(size, tf.float32) / tf.cast(stored_size, tf.float32)
    changed = {
        **example,
        "image": tf.ensure_shape(resized(example["image"], size), (None, None, 3)),
    }
    targets = [key for key in example if key in TARGETS]
    return changed | {key: TARGETS[key].resized(example[key], size, factors) for key in targets}


def _decode_image(file: tf.Tensor) -> tf.Tensor:
    """Decodes a stored JPEG or PNG, bit for bit as ``nas_tf.pictures`` reads it."""
    return tf.cond(
        tf.io.is_jpeg(file),
        lambda: tf.io.decode_jpeg(file, channels=3, dct_method="INTEGER_ACCURATE"),
        lambda: tf.io.decode_png(file, channels=3),
    )
