"""The ledger: an append-only, fsynced record of everything that a search must not lose.

Each line is one JSON object with its number and a checksum. A kill at any moment leaves an intact
ledger but for its last line: a truncated one is cut off, since no caller has learned that it was
written. Any other damage is refused. This module also writes files atomically.
"""

import errno
import fcntl
import json
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, ClassVar
from weakref import WeakValueDictionary

import keras_tuner as kt

NAME = "ledger.jsonl"
COMPLETE = "complete"
"""The file in which a chief that has run all trials leaves their number."""
Record = dict[str, Any]
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class LedgerError(kt.errors.FatalRuntimeError):
    """A ledger that can't be read or belongs to another search or process.

    KerasTuner ends the search on this error instead of counting a failed trial.
    """


class Unwritable(LedgerError):
    """A file of a search that can't be written; its earlier content is intact."""

    def __init__(self, path: Path | str, error: OSError) -> None:
        remedy = "free some space" if error.errno in _FULL else "make it writable"
        super().__init__(
            f"{path} can't be written: {error.strerror or error}; {remedy}, then run the same "
            "command again to resume"
        )


class Busy(LedgerError):
    """A ledger that another process holds open."""

    def __init__(self, path: Path) -> None:
        self.fault = f"{path} is in use: another process is running this search"
        super().__init__(f"{self.fault}; end it first, or use another project_name")


class Unlockable(LedgerError):
    """A file on a file system that has no locks."""

    def __init__(self, path: Path, error: OSError) -> None:
        super().__init__(
            f"{path} can't be locked: {error.strerror or error}; use a folder on a file system "
            "with locks, such as a local disk"
        )


class Lost(LedgerError):
    """A ledger that is gone or damaged, while the files of its trials may still exist."""

    def __init__(self, fault: str) -> None:
        self.fault = fault
        super().__init__(
            f"{fault}; put back a copy of the file, or start from scratch with overwrite=True or "
            "another project_name, where first= tries the best values of this search again"
        )


class Ledger:
    """An open ledger of ``count`` records; ``records`` holds those found when it was opened.

    The file stays locked (``flock``) while it is open, so that two processes never write the same
    search; the lock ends with the process. If it is opened again within a process, as when a
    notebook's cell is run again, the newer instance takes over and the older one raises. An
    instance has no lock for threads: its owner, the oracle, calls it under its own lock. A record
    that ``append`` has returned survives a kill or power cut::

        ledger = Ledger(Path("search/ledger.jsonl"))
        ledger.append("note", text="started")
        ledger.close()
    """

    _open: ClassVar["WeakValueDictionary[Path, Ledger]"] = WeakValueDictionary()
    _file = -1  # until it is open

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        path.parent.mkdir(parents=True, exist_ok=True)
        if self.path in self._open:
            self._open[self.path].close()
        new = not path.exists()
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            _lock(self._file, path)
            self.records = self._read()
        except LedgerError:
            self.close()
            raise
        self.count = len(self.records)
        self._open[self.path] = self
        if new:
            sync_folder(path.parent)

    def append(self, kind: str, **fields: Any) -> Record:
        """Writes one record and returns it; it is on disk by then.

        On an error the file is cut back to its previous end and the record does not exist.
        """
        record = {"n": self.count, "kind": kind, **fields}
        body = json.dumps(record, allow_nan=False, separators=(",", ":"))
        self._write(f'{{"crc":"{_checksum(body)}",{body[1:]}\n'.encode())
        self.count += 1
        return record

    def close(self) -> None:
        """Closes the file, which releases its lock."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def __del__(self) -> None:
        self.close()

    def _write(self, line: bytes) -> None:
        if self._file < 0:
            raise LedgerError(f"{self.path} was closed: another oracle has taken over the search")
        start = os.fstat(self._file).st_size
        try:
            written = os.write(self._file, line)
            os.fsync(self._file)
            if written < len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            os.ftruncate(self._file, start)
            raise Unwritable(self.path, error) from error

    def _read(self) -> list[Record]:
        content = self.path.read_bytes()
        *lines, rest = content.split(b"\n")
        records = [self._parse(line, number) for number, line in enumerate(lines)]
        if rest:
            self._repair_end(rest, len(content) - len(rest), records)
        return records

    def _parse(self, line: bytes, number: int) -> Record:
        record = _intact(line, number)
        if record is None:
            raise Lost(f"{self.path} line {number + 1} is damaged")
        return record

    def _repair_end(self, rest: bytes, start: int, records: list[Record]) -> None:
        """Ends an unterminated last line if its record is intact, else cuts it off."""
        try:
            records.append(self._parse(rest, len(records)))
            os.write(self._file, b"\n")
        except LedgerError:
            os.ftruncate(self._file, start)
        os.fsync(self._file)


@contextmanager
def salvaging(path: Path) -> Iterator[list[Record]]:
    """Yields the records before the damage of a ledger; after the block the ledger has only them.

    The block moves away what the resumed search will write again. If it raises, or the process is
    killed, the ledger is still the damaged one. That file is kept as ``ledger.jsonl.damaged``, or
    under the next free number. An intact ledger and one that another process uses are refused; an
    oracle of this process loses it.
    """
    if opened := Ledger._open.get(path.resolve()):
        opened.close()
    with path.open("rb") as file:
        _lock(file.fileno(), path)
        *lines, _ = file.read().split(b"\n")
        records = [_intact(line, number) for number, line in enumerate(lines)]
        if None not in records:
            raise LedgerError(f"{path} is not damaged, expected a ledger with a damaged line")
        count = records.index(None)
        yield [record for record in records[:count] if record is not None]
        backup = path.with_name(f"{path.name}.damaged")
        if backup.exists():
            number = len(list(path.parent.glob(f"{backup.name}*"))) + 1
            backup = backup.with_name(f"{backup.name}-{number}")
        try:
            os.link(path, backup)
        except OSError as error:
            raise Unwritable(backup, error) from error
        write_atomically(path, b"".join(line + b"\n" for line in lines[:count]), sync=True)
        sync_folder(path.parent)


def _lock(file: int, path: Path) -> None:
    """Locks an open file for this process alone."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        is_held = error.errno in (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES)
        raise (Busy(path) if is_held else Unlockable(path, error)) from None


def write_atomically(path: Path, content: bytes, *, sync: bool = False) -> None:
    """Writes a file so that a reader finds the old content or the new one, never a part.

    Creates its folder. ``sync`` waits until the content is on disk, for files that can't be
    written again from the ledger. Threads must not write the same path at the same time.
    """
    partial = path.with_name(f".{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as file:
            file.write(content)
            if sync:
                file.flush()
                os.fsync(file.fileno())
        os.replace(partial, path)
    except OSError as error:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        raise Unwritable(path, error) from error


def sync_folder(folder: Path) -> None:
    """Waits until the name of a new file in a folder is on disk too."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _intact(line: bytes, number: int) -> Record | None:
    """Returns the record of a line, or None if the line is damaged or has another number."""
    try:
        record = json.loads(line)
        crc = record.pop("crc")
        body = json.dumps(record, allow_nan=False, separators=(",", ":"))
        return record if crc == _checksum(body) and record["n"] == number else None
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _checksum(body: str) -> str:
    return f"{zlib.crc32(body.encode()):08x}"
