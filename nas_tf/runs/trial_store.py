"""Stores the finished trials of a run's folder, one by one, for any number of workers.

A trial is a file of its own and a row of the table. Its row is written before its file, under one
lock: the rows that other workers have added then name the new files, and adding a trial does not
have to list thousands of files. If a process dies in between, a row has no file; the next call of
``add`` then rewrites the table from the files.
"""

import bisect
import csv
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from nas_tf import files
from nas_tf.runs import filenames, record
from nas_tf.runs.record import TrialRecord


class TrialStore:
    """The finished trials of a run's folder; each file is read once, unless it is replaced.

    Any number of processes may add and read at the same time, each with its own store: writers
    hold the run's lock, files are replaced atomically, and readers take no lock. One instance is
    not safe for threads, since it caches without a lock; give each thread its own. The store is
    the only writer of ``trials/`` and ``trials.csv``, and deletes none of their files::

        store = TrialStore(Path("runs/search"))
        trials = store.all()
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._path = folder, folder / filenames.TABLE
        self._read: dict[str, tuple[int, TrialRecord]] = {}
        self._ordered: list[TrialRecord] = []
        self._table: tuple[int, int] | None = None

    def all(self) -> list[TrialRecord]:
        """Returns all finished trials, in the order in which they ended."""
        for entry in _entries(self._folder):
            inode = entry.inode()  # listed with the name: no stat of thousands of files
            known, old = self._read.get(entry.name, (None, None))
            if known == inode:
                continue
            trial = record.read(Path(entry.path))
            if old is not None:
                self._ordered.remove(old)
            self._insert(trial, entry.name, inode)
        return list(self._ordered)

    def add(self, trial: TrialRecord) -> list[TrialRecord]:
        """Stores a trial, in place of one with its name; returns all trials."""
        path = record.path_of(self._folder, trial.trial)
        text = record.text(trial)
        with FileLock(self._folder / filenames.LOCK):
            if not path.exists() and self._catch_up():
                with self._row(trial):
                    files.write(path, text)
                self._insert(trial, path.name, path.stat().st_ino)
            else:
                files.write(path, text)
                files.write(self._path, _rows(self.all(), header=True))
            self._table = _state(self._path)
        return list(self._ordered)

    def _insert(self, trial: TrialRecord, name: str, inode: int) -> None:
        bisect.insort(self._ordered, trial, key=lambda trial: (trial.ended, trial.trial))
        self._read[name] = inode, trial

    def _catch_up(self) -> bool:
        """Reads the trials whose rows are new; returns False if the table must be rewritten.

        A table that another process has rewritten is valid if it has the rows of all files.
        """
        if not self._path.exists():
            return False
        inode, size = self._table or (None, 0)
        with self._path.open("rb") as file:
            is_known = (
                os.fstat(file.fileno()).st_ino == inode and file.seek(0, os.SEEK_END) >= size
            )
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
                self._insert(record.read(path), path.name, path.stat().st_ino)
        return True

    @contextmanager
    def _row(self, trial: TrialRecord) -> Iterator[None]:
        """Adds a trial's row to the table, and removes it if its file can't be written."""
        before = self._path.stat().st_size
        try:
            with self._path.open("ab") as file:
                file.write(_rows([trial]).encode())
            yield
        except BaseException:
            os.truncate(self._path, before)
            raise


def _state(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_ino, status.st_size


def _entries(folder: Path) -> list["os.DirEntry[str]"]:
    trials = folder / filenames.TRIALS
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
