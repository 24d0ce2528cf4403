"""Names of the files of a run, and how they are written whole."""

import os
from pathlib import Path

from nas_tf.errors import full_disk

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


def write_whole(path: Path, text: str) -> None:
    """Writes a file so that a reader finds the old content or the new one, never a part."""
    write_whole_bytes(path, text.encode())


def write_whole_bytes(path: Path, content: bytes) -> None:
    """The same of bytes; a disk that is full is told with the file's name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        partial.write_bytes(content)
        os.replace(partial, path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        if told := full_disk(error, path):
            raise told from error
        raise
