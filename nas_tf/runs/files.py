"""Names the files of a run and writes files atomically."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from nas_tf.errors import EnvironmentFault, NasTfError, full_disk

SCHEMA = 1
RUN = "run.json"
CONFIG = "config.yaml"
TRIALS = "trials"
TABLE = "trials.csv"
GATE = "gate.jsonl"
WEIGHTS = "weights"
SAMPLES = "samples.png"
TENSORBOARD = "tensorboard"
PICTURES = "report"
REPORT = "report.html"
RERANK = "rerank"
LOCK = ".lock"


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Turns an ``OSError`` of the block into an ``EnvironmentFault`` with a one-line message.

    A full disk is not a trial's failure: it ends the command, and saved files stay.
    """
    try:
        yield
    except NasTfError:
        raise
    except Exception as error:
        if fault := full_disk(error, folder):
            raise fault from error
        if not isinstance(error, OSError):
            raise
        raise EnvironmentFault(
            f"{folder} can't be written: {error}; fix that, and what was not saved is run again"
        ) from error


def write_atomically(path: Path, text: str) -> None:
    """Writes a text file so that a reader finds the old content or the new one, never a part."""
    write_bytes_atomically(path, text.encode())


def commit_file(partial: IO[bytes], path: Path) -> None:
    """Flushes a partial file to disk, then renames it to ``path``: it survives a power cut."""
    partial.flush()
    os.fsync(partial.fileno())
    os.replace(partial.name, path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def write_bytes_atomically(path: Path, content: bytes) -> None:
    """Writes bytes as ``write_atomically`` does; a full disk is reported with the file's name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as file:
            file.write(content)
            commit_file(file, path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        if fault := full_disk(error, path):
            raise fault from error
        raise
