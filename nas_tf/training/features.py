"""The feature cache: the frozen encoder's features of every image, computed once for a search.

Stage one trains decoders only, so that encoder features, and targets and teacher logits at one
resolution, are stored and shared by all candidates and all workers of a machine.
"""

import hashlib
import itertools
import json
import math
import os
import shutil
import weakref
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tensorflow as tf
from filelock import FileLock
from tensorflow import keras

from nas_tf import files
from nas_tf.data.streams import PREFETCHED, without_autotuning
from nas_tf.errors import ConfigError, DataError, EnvironmentFault
from nas_tf.sizes import Size
from nas_tf.tasks.resolution import nearest
from nas_tf.training.encoding import Encoder, Progress, Source, Stored, write_shards
from nas_tf.training.shards import Shard, release

_SCHEMA = 1
_MANIFEST = "manifest.json"
_RELEASE_AFTER = 32 << 20
_OPEN_MAPS = 512
_SPARE_BYTES = 64 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheKey:
    """Everything that determines the bytes of a cache; its digest names the folder.

    Args:
        data: Data set, split and version, as ``nas_tf.data`` names them.
        images: Number of images.
        views: Number of augmented views that are stored of each image.
        crop: Height and width of a view.
        seed: Seed of the views.
        dtype: Type that features and logits are stored in.
        encoder: Fingerprint of the encoder, which ``prepare`` fills in.
        teacher: Fingerprint of the teacher, likewise; None without a teacher.
    """

    data: str
    images: int
    views: int
    crop: tuple[int, int]
    seed: int
    dtype: Literal["float16", "float32"] = "float16"
    encoder: str = ""
    teacher: str | None = None

    def __post_init__(self) -> None:
        for what in ("images", "views"):
            if getattr(self, what) < 1:
                raise ConfigError(f"{what} is {getattr(self, what)}, expected 1 or more")
        if self.dtype not in ("float16", "float32"):
            raise ConfigError(f"dtype is {self.dtype!r}, expected 'float16' or 'float32'")

    @property
    def rows(self) -> int:
        """The number of stored views; view ``v`` of image ``i`` is row ``v·images + i``."""
        return self.images * self.views

    @property
    def digest(self) -> str:
        """The name of the cache, which follows from its content."""
        return hashlib.sha256(self.text().encode()).hexdigest()[:24]

    def text(self) -> str:
        """Returns the key as JSON, for the manifest."""
        return json.dumps({"schema": _SCHEMA, **asdict(self)}, sort_keys=True)

    def of_models(self, encoder: keras.Model, teacher: keras.Model | None) -> "CacheKey":
        """Returns the key with the fingerprints of the models filled in."""
        of_teacher = fingerprint(teacher) if teacher is not None else None
        return replace(self, encoder=fingerprint(encoder), teacher=of_teacher)


def fingerprint(model: keras.Model) -> str:
    """Returns a hash of a model's graph and weights, which ignores the names of its layers."""
    names = {layer.name: f"layer{n}" for n, layer in enumerate(model.layers)}
    config = {key: value for key, value in model.get_config().items() if key != "name"}
    digest = hashlib.sha256(
        json.dumps(_renamed(config, names), sort_keys=True, default=str).encode()
    )
    for layer in model.layers:
        for array in layer.get_weights():
            digest.update(f"{array.shape}{array.dtype}".encode())
            digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:24]


def _renamed(value: Any, names: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _renamed(part, names) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_renamed(part, names) for part in value]
    return names.get(value, value) if isinstance(value, str) else value


def prepare(
    root: Path,
    key: CacheKey,
    source: Source,
    encoder: keras.Model,
    *,
    stored: Stored = nearest,
    teacher: keras.Model | None = None,
    extras: tuple[str, ...] = (),
    target_size: Size | None = None,
    batch: int = 16,
    shard_rows: int = 64,
    verify: bool = True,
    starting: Callable[[int], None] | None = None,
    progress: Progress | None = None,
) -> "FeatureCache":
    """Opens the cache of a key and builds the shards that are missing or damaged.

    Several processes may call this at once: one builds, the others wait for it. An interrupted
    build resumes where it stopped and ends with the same bytes as an undisturbed one.

    Args:
        root: Folder of all caches.
        key: Content of the cache.
        source: Called with a row; returns batches of (images, encoded targets) from that row on,
            with a dictionary of extras if there are any. All but the last have ``batch`` rows.
        encoder: Returns the taps of an image.
        stored: Returns encoded targets at a size; maps of labels by default.
        teacher: Returns the logits of an image.
        extras: Fields to store unchanged, such as those that only a score needs.
        target_size: Size of the stored targets and logits, by default that of the first tap. The
            key must contain it.
        batch: Number of images encoded at once, which affects the last bits of the features.
        shard_rows: Rows per shard, a multiple of ``batch``.
        verify: Check the bytes of existing shards, not only that they exist.
        starting: Called before anything is written, with the number of bytes to write.
        progress: Called with the number of finished rows and their total.
    """
    if shard_rows % batch:
        raise ConfigError(f"shard_rows is {shard_rows}, expected a multiple of batch {batch}")
    key = key.of_models(encoder, teacher)
    folder = root / f"{key.digest}-{batch}-{shard_rows}"
    root.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):
        folder.mkdir(exist_ok=True)
        encode = Encoder(encoder, stored, teacher, key.dtype, batch, extras, target_size)
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
    """Writes the shards that are missing or damaged, after checking that they fit on the disk."""
    for unfinished in folder.glob(f"{files.PARTIAL}*"):
        unfinished.unlink()
    shards = [Shard(folder, n) for n in range(len(counts))]
    missing = [
        n
        for n, shard in enumerate(shards)
        if not shard.is_complete(encode.fields, counts[n], verify=verify)
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
            f"{free / 2**30:.1f} GiB are free: free some, use fewer views or images, "
            "or another folder"
        )


def _write_manifest(folder: Path, key: CacheKey, shard_rows: int, fields: tuple) -> None:
    content = {"key": json.loads(key.text()), "shard_rows": shard_rows, "fields": fields}
    files.write(folder / _MANIFEST, json.dumps(content, indent=1))


class FeatureCache:
    """A finished cache, read through memory maps; an instance serves one thread at a time.

    It holds a shared lock of the folder, which is not removed meanwhile.

    Args:
        folder: Folder that ``prepare`` wrote.
    """

    def __init__(self, folder: Path) -> None:
        record = json.loads((folder / _MANIFEST).read_text())
        self.folder = folder
        weakref.finalize(self, os.close, files.share(folder))
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
        """The number of stored rows: images times views."""
        return self.images * self.views

    @property
    def size(self) -> int:
        """The size of all fields in bytes."""
        row = sum(math.prod(spec.shape[1:]) * spec.dtype.size for spec in self.signature.values())
        return row * self.rows_stored

    def rows(self, wanted: Iterable[int]) -> dict[str, np.ndarray]:
        """Returns the wanted rows of every field."""
        positions = [divmod(int(row), self._shard_rows) for row in wanted]
        batch = {}
        for field in self.fields:
            batch[field] = np.stack([self._mapped(n, field)[row] for n, row in positions])
            self._bytes_read += batch[field].nbytes
        self._shards_read.update(n for n, _ in positions)
        if self._bytes_read > _RELEASE_AFTER:
            for number, field in itertools.product(self._shards_read, self.fields):
                release(self._mapped(number, field))
            self._bytes_read = 0
            self._shards_read.clear()
        return batch

    def order(self, *, seed: int, epoch: int) -> np.ndarray:
        """Returns the rows of an epoch: every image once, shuffled, its views taking turns."""
        images = np.random.default_rng((seed, epoch)).permutation(self.images)
        return (images + epoch) % self.views * self.images + images

    def epoch(self, *, batch: int, seed: int, epoch: int, start: int = 0) -> tf.data.Dataset:
        """Returns full batches of an epoch as dictionaries of fields, from step ``start`` on."""
        if not 1 <= batch <= self.images:
            raise ConfigError(
                f"batch is {batch} and the cache holds {self.images} images, "
                f"expected 1–{self.images}"
            )
        order = self.order(seed=seed, epoch=epoch)
        steps = len(order) // batch
        return self._batches(order[start * batch : steps * batch], batch)

    def in_order(self, *, batch: int) -> tf.data.Dataset:
        """Returns the first view of every image, in order; the last batch may be smaller."""
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
        return without_autotuning(stream.map(read).prefetch(PREFETCHED))


def _map(folder: Path, number: int, field: str) -> np.ndarray:
    return Shard(folder, number).mapped(field)
