"""The feature cache: what the frozen encoder says of every image, computed once for a search.

Stage one trains decoders only, so encoder features, targets and teacher logits are stored at the
finest tap's resolution and shared by all candidates and all workers of a machine.
"""

import itertools
import json
import math
import shutil
from collections.abc import Callable, Iterable
from functools import lru_cache
from pathlib import Path

import numpy as np
import tensorflow as tf
from filelock import FileLock
from tensorflow import keras

from nas_tf.errors import ConfigError, DataError, EnvironmentFault
from nas_tf.training.cache_key import CacheKey
from nas_tf.training.encoding import Encoder, Progress, Source, write_shards
from nas_tf.training.shards import Shard, release, write_atomically

_MANIFEST = "manifest.json"
_RELEASE_AFTER = 32 << 20
_OPEN_MAPS = 512
_SPARE_BYTES = 64 << 20


def prepare(
    root: Path,
    key: CacheKey,
    source: Source,
    encoder: keras.Model,
    *,
    teacher: keras.Model | None = None,
    extras: tuple[str, ...] = (),
    batch: int = 16,
    shard_rows: int = 64,
    verify: bool = True,
    starting: Callable[[int], None] | None = None,
    progress: Progress | None = None,
) -> "FeatureCache":
    """Opens the cache of that key, building whatever of it is absent or broken.

    Several processes may call this at once: one builds, the others wait for it. A build that was
    interrupted goes on where it stopped and ends with the same bytes as an undisturbed one.

    Args:
        root: Folder of all caches.
        key: What the cache holds.
        source: Called with a row, gives batches of (images, dense targets) from that row on,
            and a dictionary of extras where there are any; each of ``batch`` rows but the last.
        encoder: Gives the taps of an image, finest first.
        teacher: Gives logits of an image.
        extras: Fields to store as they come, such as what only a score needs.
        batch: Images encoded at once; part of what decides the last bits of the features.
        shard_rows: Rows a shard, a multiple of ``batch``.
        verify: Check the bytes of what is there already, not only that it is there.
        starting: Called before anything is written, with the bytes that will be.
        progress: Called with the rows that are done and their total.
    """
    if shard_rows % batch:
        raise ConfigError(f"shard_rows is {shard_rows}, expected a multiple of batch {batch}")
    key = key.of_models(encoder, teacher)
    folder = root / f"{key.digest}-{batch}-{shard_rows}"
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):
        encode = Encoder(encoder, teacher, key.dtype, batch, extras)
        counts = [min(shard_rows, key.rows - row) for row in range(0, key.rows, shard_rows)]
        _complete(folder, counts, source, encode, verify, starting, progress)
        _write_manifest(folder, key, shard_rows, encode.fields)
    return FeatureCache(folder)


def _complete(
    folder: Path,
    counts: list[int],
    source: Source,
    encode: Encoder,
    verify: bool,
    starting: Callable[[int], None] | None,
    progress: Progress | None,
) -> None:
    """Writes the shards that are absent or broken, after asking whether they fit the disk."""
    for unfinished in folder.glob(".*.part"):
        unfinished.unlink()
    shards = [Shard(folder, n) for n in range(len(counts))]
    missing = [
        n
        for n, shard in enumerate(shards)
        if not shard.is_whole(encode.fields, counts[n], verify=verify)
    ]
    if not missing:
        return
    (folder / _MANIFEST).unlink(missing_ok=True)
    row = sum(counts[: missing[0]])
    opened = iter(source(row))
    first = next(opened, None)
    if first is None:
        raise DataError(f"feature cache: the source has nothing from row {row} on")
    needed = encode.bytes_per_row(*first) * sum(counts[n] for n in missing)
    _check_disk(folder, needed)
    if starting is not None:
        starting(needed)
    opened = itertools.chain([first], opened)
    write_shards(shards, counts, missing, source, opened, encode, progress)


def _check_disk(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if needed + _SPARE_BYTES > free:
        raise EnvironmentFault(
            f"feature cache in {folder.parent} needs {needed / 2**30:.1f} GiB and "
            f"{free / 2**30:.1f} GiB are free: free some, take fewer views or images, "
            "or another folder"
        )


def _write_manifest(folder: Path, key: CacheKey, shard_rows: int, fields: tuple) -> None:
    content = {"key": json.loads(key.text()), "shard_rows": shard_rows, "fields": fields}
    record = json.dumps(content, indent=1).encode()
    write_atomically(folder / _MANIFEST, lambda file: file.write(record))


class FeatureCache:
    """A finished cache, read through memory maps.

    Args:
        folder: Where ``prepare`` put it.
    """

    def __init__(self, folder: Path) -> None:
        record = json.loads((folder / _MANIFEST).read_text())
        self.folder = folder
        self.fields = tuple(record["fields"])
        self.images, self.views = record["key"]["images"], record["key"]["views"]
        self._shard_rows = record["shard_rows"]
        self._bytes_read, self._shards_read = 0, set[int]()
        # A map holds a file open, and a large cache has more files than a process may open.
        self._mapped = lru_cache(_OPEN_MAPS)(lambda number, field: _map(folder, number, field))
        shapes = {field: self._mapped(0, field) for field in self.fields}
        self.signature = {
            field: tf.TensorSpec((None, *array.shape[1:]), array.dtype)
            for field, array in shapes.items()
        }

    def __len__(self) -> int:
        return self.images

    @property
    def rows_stored(self) -> int:
        """Images times views."""
        return self.images * self.views

    @property
    def size(self) -> int:
        """Bytes of all fields."""
        row = sum(math.prod(spec.shape[1:]) * spec.dtype.size for spec in self.signature.values())
        return row * self.rows_stored

    def rows(self, wanted: Iterable[int]) -> dict[str, np.ndarray]:
        """Reads some rows of every field."""
        places = [divmod(int(row), self._shard_rows) for row in wanted]
        batch = {}
        for field in self.fields:
            batch[field] = np.stack([self._mapped(n, field)[row] for n, row in places])
            self._bytes_read += batch[field].nbytes
        self._shards_read.update(n for n, _ in places)
        if self._bytes_read > _RELEASE_AFTER:
            for number, field in itertools.product(self._shards_read, self.fields):
                release(self._mapped(number, field))
            self._bytes_read = 0
            self._shards_read.clear()
        return batch

    def order(self, *, seed: int, epoch: int) -> np.ndarray:
        """Rows of one epoch: every image once, shuffled, its views taking turns."""
        images = np.random.default_rng((seed, epoch)).permutation(self.images)
        return (images + epoch) % self.views * self.images + images

    def epoch(self, *, batch: int, seed: int, epoch: int, start: int = 0) -> tf.data.Dataset:
        """Full batches of one epoch as dictionaries of fields, from step ``start`` on."""
        if not 1 <= batch <= self.images:
            raise ConfigError(
                f"batch is {batch} and the cache holds {self.images} images, "
                f"expected 1–{self.images}"
            )
        order = self.order(seed=seed, epoch=epoch)
        steps = len(order) // batch
        return self._batches(order[start * batch : steps * batch], batch)

    def in_order(self, *, batch: int) -> tf.data.Dataset:
        """The first view of every image, in order, the last batch possibly smaller."""
        return self._batches(np.arange(self.images), batch)

    def _batches(self, order: np.ndarray, batch: int) -> tf.data.Dataset:
        signature = self.signature

        def read(wanted: tf.Tensor) -> dict[str, tf.Tensor]:
            arrays = tf.numpy_function(
                lambda rows: list(self.rows(rows).values()),
                [wanted],
                [spec.dtype for spec in signature.values()],
            )
            for array, spec in zip(arrays, signature.values(), strict=True):
                array.set_shape(spec.shape)
            return dict(zip(signature, arrays, strict=True))

        stream = tf.data.Dataset.from_tensor_slices(order.astype(np.int64)).batch(batch)
        return stream.map(read).prefetch(2)


def _map(folder: Path, number: int, field: str) -> np.ndarray:
    return Shard(folder, number).mapped(field)
