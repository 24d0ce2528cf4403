"""Arrays on disk in shards, which are written atomically, checked and memory-mapped.

A shard is a ``.npy`` file per field, and a ``.json`` with their checksums that is written last.
Every file appears complete or not at all, also if a build is interrupted.
"""

import json
import mmap
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from nas_tf import files


class _Summing:
    """A file that computes the CRC-32 of the data written to it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self.sum = file, 0

    def write(self, data: Any) -> int:
        self.sum = zlib.crc32(data, self.sum)
        return self._file.write(data)


def _write(path: Path, parts: Sequence[np.ndarray]) -> int:
    """Writes arrays as one ``.npy`` file, not joined in memory first; returns its CRC-32."""
    shape = (sum(len(part) for part in parts), *parts[0].shape[1:])
    descr = np.lib.format.dtype_to_descr(parts[0].dtype)
    header = {"descr": descr, "fortran_order": False, "shape": shape}
    with files.atomic(path) as partial, partial.open("wb") as file:
        summing: Any = _Summing(file)
        np.lib.format.write_array_header_1_0(summing, header)
        for part in parts:
            summing.write(np.ascontiguousarray(part).reshape(-1).view(np.uint8))
    return summing.sum


class Shard:
    """One shard of a folder, by its number."""

    def __init__(self, folder: Path, number: int) -> None:
        self._folder, self._name = folder, f"shard-{number:05d}"

    @property
    def _seal(self) -> Path:
        return self._folder / f"{self._name}.json"

    def file(self, field: str) -> Path:
        """Returns the path of a field's file."""
        return self._folder / f"{self._name}.{field}.npy"

    def write(self, parts: Sequence[Mapping[str, np.ndarray]]) -> None:
        """Writes all fields, each as the concatenation of its parts, then the seal."""
        checksums = {
            field: _write(self.file(field), [part[field] for part in parts]) for field in parts[0]
        }
        rows = sum(len(next(iter(part.values()))) for part in parts)
        record = json.dumps({"rows": rows, "crc32": checksums}, indent=1, sort_keys=True)
        files.write(self._seal, record)

    def is_complete(self, fields: tuple[str, ...], rows: int, *, verify: bool) -> bool:
        """Returns whether the shard has these fields and rows, with intact bytes if ``verify``."""
        try:
            record = json.loads(self._seal.read_text())
            if record["rows"] != rows or tuple(sorted(record["crc32"])) != tuple(sorted(fields)):
                return False
            return all(
                self.file(field).is_file()
                and (not verify or _checksum(self.file(field)) == checksum)
                for field, checksum in record["crc32"].items()
            )
        except (OSError, ValueError, KeyError, TypeError):
            return False

    def remove(self) -> None:
        """Removes the shard, its seal first, so that half a shard does not count as complete."""
        for path in (self._seal, *self._folder.glob(f"{self._name}.*.npy")):
            path.unlink(missing_ok=True)

    def mapped(self, field: str) -> np.ndarray:
        """Returns a field as a read-only memory map of its file."""
        return np.load(self.file(field), mmap_mode="r", allow_pickle=False)


def release(array: np.ndarray) -> None:
    """Releases the memory of a mapped array; its pages stay in the system's cache."""
    array.base.madvise(mmap.MADV_DONTNEED)


def _checksum(path: Path) -> int:
    checksum = 0
    with path.open("rb") as file:
        while block := file.read(1 << 24):
            checksum = zlib.crc32(block, checksum)
    return checksum
