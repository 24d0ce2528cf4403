"""Finds the folders of searches, trainings and studies, with their progress and their size."""

import csv
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import yaml

from nas_tf import files
from nas_tf.errors import DataError, NasTfError
from nas_tf.runs import filenames
from nas_tf.runs.load import Run
from nas_tf.runs.study import ABOUT, Study

_DEPTH = 3
"""The number of levels of folders that are searched."""
Kind = Literal["search", "training", "study"]


@dataclass(frozen=True)
class Folder:
    """A folder with results.

    ``progress`` says what is done, ``figure`` the best reward of a search or the first metric of a
    training; ``changed`` is the time of the last change, in seconds since 1970.
    """

    path: Path
    kind: Kind
    data: str
    progress: str
    figure: str
    size: int
    changed: float


def find(root: Path) -> list[Folder]:
    """Returns the folders of results in ``root``, the one that changed last first."""
    found = [read(path) for path in _candidates(root, _DEPTH)]
    return sorted(found, key=lambda folder: -folder.changed)


def read(path: Path) -> Folder:
    """Reads a folder; raises ``DataError`` if it has no results of this package."""
    kind = kind_of(path)
    if kind is None:
        raise DataError(
            f"{path} is not a folder of results: it has no {filenames.RUN}, "
            f"{filenames.GENOTYPE} or {ABOUT}"
        )
    try:
        data, progress, figure = {"search": _search, "training": _training, "study": _study}[kind](
            path
        )
    except (NasTfError, OSError, ValueError, KeyError, TypeError, yaml.YAMLError):
        data, progress, figure = "", "damaged", ""
    sizes, times = [], [path.stat().st_mtime]
    for file in file_stats(path):
        sizes.append(file.st_size)
        times.append(file.st_mtime)
    return Folder(path, kind, data, progress, figure, sum(sizes), max(times))


def is_in_use(path: Path) -> bool:
    """Returns whether a search, a study or a reranking in a folder runs now.

    A full training has no lock, and is not recognised.
    """
    locks = [
        path / "ledger.jsonl",
        *path.glob(".*.lock"),
        *path.glob(f"{filenames.RERANK}/.*.lock"),
    ]
    return any(
        lock.exists() and not files.is_free(lock) for lock in (*locks, path / filenames.LOCK)
    )


def kind_of(path: Path) -> Kind | None:
    """Returns the kind of a folder; None if it has no results of this package."""
    if (path / filenames.RUN).exists():
        return "search"
    if (path / ABOUT).exists():
        return "study"
    is_training = (path / filenames.GENOTYPE).exists() and (path / filenames.CONFIG).exists()
    return "training" if is_training else None


def _candidates(root: Path, depth: int) -> Iterator[Path]:
    if kind_of(root) is not None:
        yield root
    elif depth and root.is_dir():
        for path in sorted(root.iterdir()):
            if path.is_dir() and not path.is_symlink():
                yield from _candidates(path, depth - 1)


def file_stats(path: Path) -> Iterator[os.stat_result]:
    """Iterates the sizes and times of all files in a folder that may change meanwhile."""
    for folder, _, names in os.walk(path):
        for name in names:
            try:
                yield (Path(folder) / name).lstat()
            except FileNotFoundError:  # a temporary file of a running search
                continue


def _search(path: Path) -> tuple[str, str, str]:
    run = Run(path)
    best = run.best()
    figure = f"reward {best[0].reward:.4f}" if best else ""
    return run.info.data, f"{len(run.trials)} of {run.info.max_trials} trials", figure


def _training(path: Path) -> tuple[str, str, str]:
    config = yaml.safe_load((path / filenames.CONFIG).read_text(encoding="utf-8"))
    stages = config["full_training"]["stages"]
    epochs, done, figure = sum(stage["epochs"] for stage in stages), 0, ""
    if (path / filenames.HISTORY).exists():
        with (path / filenames.HISTORY).open(encoding="utf-8") as file:
            done = sum(1 for _ in csv.DictReader(file))
    if (path / filenames.RESULT).exists():
        record = json.loads((path / filenames.RESULT).read_text(encoding="utf-8"))
        name, value = next(iter(record["result"].items()))
        figure = f"{name} {value:.4f}"
    return config["data"]["name"], f"{done} of {epochs} epochs", figure


def _study(path: Path) -> tuple[str, str, str]:
    study = Study(path)
    total = len(study.results) + len(study.remaining)
    return study.info.data, f"{len(study.results)} of {total} scores", ""
