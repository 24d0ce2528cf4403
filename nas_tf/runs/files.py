"""Names of the files of a run, and how they are written whole."""

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
BOARD = "tensorboard"
PICTURES = "report"
REPORT = "report.html"
RERANK = "rerank"
LOCK = ".lock"


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """A full disk is no trial's fault: it ends what runs, in one line, and what was kept stays."""
    try:
        yield
    except NasTfError:
        raise
    except Exception as error:
        if told := full_disk(error, folder):
            raise told from error
        if not isinstance(error, OSError):
            raise
        raise EnvironmentFault(
            f"{folder} can't be written: {error}; mend it, and what was not kept is run again"
        ) from error


def write_atomically(path: Path, text: str) -> None:
    """Writes a file so that a reader finds the old content or the new one, never a part."""
    write_bytes_atomically(path, text.encode())


def commit_file(partial: IO[bytes], path: Path) -> None:
    """Has the system write a partial file out before it takes the name, for a power cut."""
    partial.flush()
    os.fsync(partial.fileno())
    os.replace(partial.name, path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def write_bytes_atomically(path: Path, content: bytes) -> None:
    """The same of bytes; a disk that is full is told with the file's name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as file:
            file.write(content)
            commit_file(file, path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        if told := full_disk(error, path):
            raise told from error
        raise
