"""The finished trials of a run's folder, kept one by one by however many workers.

A trial is a file of its own and a row of the table. Its row is written before its file, under one
lock: so the rows that others have added since say which files are new, and thousands of trials
need not be looked through for every one. A row whose file is missing, because its process died in
between, has the table made anew by whoever comes next.
"""

import bisect
import csv
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
from filelock import FileLock

from nas_tf.runs import files, record
from nas_tf.runs.record import TrialRecord


class TrialStore:
    """The finished trials of a run's folder; each file is read once, unless it is replaced."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._path = folder, folder / files.TABLE
        self._read: dict[str, tuple[int, TrialRecord]] = {}
        self._ordered: list[TrialRecord] = []
        self._table: tuple[int, int] | None = None

    def all(self) -> list[TrialRecord]:
        """In the order in which they ended."""
        for entry in _entries(self._folder):
            file = entry.inode()  # told with the name: no look at each of thousands of files
            known, old = self._read.get(entry.name, (None, None))
            if known == file:
                continue
            found = record.read(Path(entry.path))
            if old is not None:
                self._ordered.remove(old)
            self._take(found, entry.name, file)
        return list(self._ordered)

    def add(self, trial: TrialRecord) -> list[TrialRecord]:
        """Keeps a trial; returns all."""
        path = record.path_of(self._folder, trial.trial)
        text = msgspec.json.format(msgspec.json.encode(trial), indent=1).decode()
        with FileLock(self._folder / files.LOCK):
            if not path.exists() and self._catch_up():
                with self._row(trial):
                    files.write_atomically(path, f"{text}\n")
                self._take(trial, path.name, path.stat().st_ino)
            else:
                files.write_atomically(path, f"{text}\n")
                files.write_atomically(self._path, _rows(self.all(), header=True))
            self._table = _state(self._path)
        return list(self._ordered)

    def _take(self, trial: TrialRecord, name: str, file: int) -> None:
        bisect.insort(self._ordered, trial, key=lambda trial: (trial.ended, trial.trial))
        self._read[name] = file, trial

    def _catch_up(self) -> bool:
        """Reads the trials whose rows are new; False if the table has to be made anew.

        One that another process has made is taken for good if it has the rows of all files.
        """
        if not self._path.exists():
            return False
        was, size = self._table or (None, 0)
        with self._path.open("rb") as file:
            is_known = os.fstat(file.fileno()).st_ino == was and file.seek(0, os.SEEK_END) >= size
            file.seek(size if is_known else 0)
            *rows, rest = file.read().split(b"\n")
        names = [row.partition(b",")[0].decode("ascii", "replace") for row in rows]
        if not is_known:
            self.all()
            return not rest and sorted(f"{name}.json" for name in names[1:]) == sorted(self._read)
        new = [record.path_of(self._folder, name) for name in names]
        if rest or not all(path.exists() for path in new):
            return False
        for path in new:
            if path.name not in self._read:
                self._take(record.read(path), path.name, path.stat().st_ino)
        return True

    @contextmanager
    def _row(self, trial: TrialRecord) -> Iterator[None]:
        """Adds a trial's row to the table, and takes it away if its file can't be written."""
        before = self._path.stat().st_size
        try:
            with self._path.open("ab") as file:
                file.write(_rows([trial]).encode())
            yield
        except BaseException:
            os.truncate(self._path, before)
            raise


def _state(path: Path) -> tuple[int, int]:
    told = path.stat()
    return told.st_ino, told.st_size


def _entries(folder: Path) -> list["os.DirEntry[str]"]:
    trials = folder / files.TRIALS
    if not trials.exists():
        return []
    with os.scandir(trials) as entries:
        return [
            entry for entry in entries if entry.name.endswith(".json") and entry.name[0] != "."
        ]


def _rows(trials: list[TrialRecord], *, header: bool = False) -> str:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, record.COLUMNS, lineterminator="\n")
    if header:
        writer.writeheader()
    writer.writerows(trial.row() for trial in trials)
    return text.getvalue()
