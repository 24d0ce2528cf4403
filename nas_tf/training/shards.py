"""Arrays on disk in shards: written whole or not at all, checked, memory-mapped.

A shard is one ``.npy`` file a field, and a ``.json`` with their checksums that is written last.
Every file is written beside its place, flushed to the disk and renamed, so whatever interrupts
a build leaves either a whole file or none.
"""

import hashlib
import json
import mmap
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np


class _Summing:
    """A file that sums what is written to it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._sum = file, hashlib.sha256()

    def write(self, data: bytes) -> int:
        self._sum.update(data)
        return self._file.write(data)

    def hexdigest(self) -> str:
        return self._sum.hexdigest()


def write_atomically(path: Path, write: Callable[[Any], Any]) -> str:
    """Writes a file so that it appears whole under its name or not at all; returns its SHA-256."""
    beside = path.with_name(f".{path.name}.part")
    with beside.open("wb") as file:
        summing = _Summing(file)
        write(summing)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    return summing.hexdigest()


class Shard:
    """One shard of a folder, by its number."""

    def __init__(self, folder: Path, number: int) -> None:
        self._folder, self._name = folder, f"shard-{number:05d}"

    @property
    def _seal(self) -> Path:
        return self._folder / f"{self._name}.json"

    def file(self, field: str) -> Path:
        """Where a field lies."""
        return self._folder / f"{self._name}.{field}.npy"

    def write(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Writes all fields, then the seal."""
        checksums = {
            field: write_atomically(
                self.file(field), lambda file, array=array: np.save(file, array)
            )
            for field, array in arrays.items()
        }
        rows = len(next(iter(arrays.values())))
        record = json.dumps({"rows": rows, "sha256": checksums}, indent=1, sort_keys=True)
        write_atomically(self._seal, lambda file: file.write(record.encode()))

    def is_whole(self, fields: tuple[str, ...], rows: int, *, verify: bool) -> bool:
        """Whether the shard is there with these fields and rows, and unharmed if ``verify``."""
        try:
            record = json.loads(self._seal.read_text())
            if record["rows"] != rows or tuple(sorted(record["sha256"])) != tuple(sorted(fields)):
                return False
            return all(
                self.file(field).is_file()
                and (not verify or _checksum(self.file(field)) == checksum)
                for field, checksum in record["sha256"].items()
            )
        except (OSError, ValueError, KeyError, TypeError):
            return False

    def remove(self) -> None:
        """Takes the seal off first, so that a half-removed shard is not taken for whole."""
        for path in (self._seal, *self._folder.glob(f"{self._name}.*.npy")):
            path.unlink(missing_ok=True)

    def mapped(self, field: str) -> np.ndarray:
        """A field as a read-only map of its file."""
        return np.load(self.file(field), mmap_mode="r")


def release(array: np.ndarray) -> None:
    """Gives the memory of a mapped array back; the pages stay in the system's cache."""
    array.base.madvise(mmap.MADV_DONTNEED)


def _checksum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
