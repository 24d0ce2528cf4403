"""The feature cache: what the frozen encoder says of every image, computed once for a search.

Stage one trains decoders only, so encoder features, targets and teacher logits are stored at the
finest tap's resolution and shared by all candidates and all workers of a machine.
"""

import hashlib
import itertools
import json
import math
import shutil
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import tensorflow as tf
from filelock import FileLock
from tensorflow import keras

from nas_tf.errors import ConfigError, EnvironmentFault
from nas_tf.training.encoding import Encoder, Source, write_shards
from nas_tf.training.shards import Shard, release, write_atomically

_MANIFEST = "manifest.json"
_SCHEMA = 1
_RELEASE_AFTER = 256 << 20
_SPARE_BYTES = 64 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheKey:
    """Everything that decides the bytes of a cache; its digest names the folder.

    Args:
        data: Data set, split and version, as the data room names them.
        images: How many images there are.
        views: How many augmented views of each image are stored.
        crop: Height and width of a view.
        seed: Seed of the views.
        encoder: Fingerprint of the encoder, weights included.
        teacher: Fingerprint of the teacher, or None without one.
        dtype: How features and logits are stored.
    """

    data: str
    images: int
    views: int
    crop: tuple[int, int]
    seed: int
    encoder: str
    teacher: str | None = None
    dtype: Literal["float16", "float32"] = "float16"

    def __post_init__(self) -> None:
        for what in ("images", "views"):
            if getattr(self, what) < 1:
                raise ConfigError(f"{what} is {getattr(self, what)}, expected 1 or more")
        if self.dtype not in ("float16", "float32"):
            raise ConfigError(f"dtype is {self.dtype!r}, expected 'float16' or 'float32'")

    @property
    def rows(self) -> int:
        """How many views are stored in all; view ``v`` of image ``i`` is row ``v·images + i``."""
        return self.images * self.views

    @property
    def digest(self) -> str:
        """Names the cache by its content."""
        return hashlib.sha256(self.text().encode()).hexdigest()[:24]

    def text(self) -> str:
        """The key as JSON, for the manifest."""
        return json.dumps({"schema": _SCHEMA, **asdict(self)}, sort_keys=True)


def fingerprint(model: keras.Model) -> str:
    """Names a model by its layers and weights."""
    digest = hashlib.sha256()
    for layer in model.layers:
        digest.update(layer.name.encode())
        for array in layer.get_weights():
            digest.update(f"{array.shape}{array.dtype}".encode())
            digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:24]


def prepare(
    root: Path,
    key: CacheKey,
    source: Source,
    encoder: keras.Model,
    *,
    teacher: keras.Model | None = None,
    batch: int = 16,
    shard_rows: int = 64,
    verify: bool = True,
    starting: Callable[[int], None] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> "FeatureCache":
    """Opens the cache of that key, building whatever of it is absent or broken.

    Several processes may call this at once: one builds, the others wait for it. A build that was
    interrupted goes on where it stopped and ends with the same bytes as an undisturbed one.

    Args:
        root: Folder of all caches.
        key: What the cache holds.
        source: Called with a row, gives batches of (images, dense targets) from that row on,
            each of ``batch`` rows but the last.
        encoder: Gives the taps of an image, finest first.
        teacher: Gives logits of an image.
        batch: Images encoded at once; part of what decides the last bits of the features.
        shard_rows: Rows a shard, a multiple of ``batch``.
        verify: Check the bytes of what is there already, not only that it is there.
        starting: Called before anything is written, with the bytes that will be.
        progress: Called with the rows that are done and their total.
    """
    if shard_rows % batch:
        raise ConfigError(f"shard_rows is {shard_rows}, expected a multiple of batch {batch}")
    folder = root / f"{key.digest}-{batch}-{shard_rows}"
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):
        for unfinished in folder.glob(".*.part"):
            unfinished.unlink()
        encode = Encoder(encoder, teacher, key.dtype, batch)
        wanted = [Shard(folder, n) for n in range(math.ceil(key.rows / shard_rows))]
        rows = [min(shard_rows, key.rows - n * shard_rows) for n in range(len(wanted))]
        whole = [
            shard.is_whole(encode.fields, count, verify=verify)
            for shard, count in zip(wanted, rows, strict=True)
        ]
        missing = [n for n, done in enumerate(whole) if not done]
        if missing:
            (folder / _MANIFEST).unlink(missing_ok=True)
            opened = iter(source(missing[0] * shard_rows))
            first = next(opened)
            needed = encode.bytes_per_row(*first) * sum(rows[n] for n in missing)
            _check_disk(root, needed)
            if starting is not None:
                starting(needed)
            opened = itertools.chain([first], opened)
            write_shards(wanted, missing, shard_rows, source, opened, encode, key.rows, progress)
        record = json.dumps(
            {"key": json.loads(key.text()), "shard_rows": shard_rows, "fields": encode.fields},
            indent=1,
        )
        write_atomically(folder / _MANIFEST, lambda file: file.write(record.encode()))
    return FeatureCache(folder)


def _check_disk(root: Path, needed: int) -> None:
    free = shutil.disk_usage(root).free
    if needed + _SPARE_BYTES > free:
        raise EnvironmentFault(
            f"feature cache in {root} needs {needed / 2**30:.1f} GiB and {free / 2**30:.1f} GiB "
            "are free: free some, take fewer views or images, or another folder"
        )


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
        shards = math.ceil(self.rows_stored / self._shard_rows)
        self._maps = {
            field: [Shard(folder, n).mapped(field) for n in range(shards)] for field in self.fields
        }
        self._touched = 0

    def __len__(self) -> int:
        return self.images

    @property
    def rows_stored(self) -> int:
        """Images times views."""
        return self.images * self.views

    @property
    def size(self) -> int:
        """Bytes of all fields."""
        return sum(array.nbytes for maps in self._maps.values() for array in maps)

    @property
    def signature(self) -> dict[str, tf.TensorSpec]:
        """Shape and type of a batch of each field."""
        return {
            field: tf.TensorSpec((None, *maps[0].shape[1:]), maps[0].dtype)
            for field, maps in self._maps.items()
        }

    def rows(self, wanted: Iterable[int]) -> dict[str, np.ndarray]:
        """Reads some rows of every field."""
        places = [divmod(int(row), self._shard_rows) for row in wanted]
        batch = {
            field: np.stack([maps[shard][row] for shard, row in places])
            for field, maps in self._maps.items()
        }
        self._touched += sum(array.nbytes for array in batch.values())
        if self._touched > _RELEASE_AFTER:
            self._touched = 0
            for maps in self._maps.values():
                for mapped in maps:
                    release(mapped)
        return batch

    def order(self, *, seed: int, epoch: int) -> np.ndarray:
        """Rows of one epoch: every image once, shuffled, its views taking turns."""
        images = np.random.default_rng((seed, epoch)).permutation(self.images)
        return (images + epoch) % self.views * self.images + images

    def epoch(self, *, batch: int, seed: int, epoch: int, start: int = 0) -> tf.data.Dataset:
        """Full batches of one epoch as dictionaries of fields, from step ``start`` on."""
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
