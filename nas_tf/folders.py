"""Folders that a user names, and files that are written there as a whole."""

import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from nas_tf.errors import ConfigError, NasTfError, full_disk


def cache(kind: str) -> Path:
    """Where what can be computed again is kept: $NAS_TF_CACHE/KIND, else ~/.cache/nas_tf/KIND."""
    root = os.environ.get("NAS_TF_CACHE") or Path.home() / ".cache" / "nas_tf"
    return Path(root) / kind


def data() -> Path | None:
    """The files of data sets and ImageNet weights: $NAS_TF_DATA, None where it is not set."""
    root = os.environ.get("NAS_TF_DATA")
    return Path(root) if root else None


def refuse_others(folder: Path, known: Collection[str]) -> None:
    """Raises where a folder holds files and none of those by which a run of ours is known."""
    names = {one.name for one in folder.iterdir()} if folder.is_dir() else set()
    if names and names.isdisjoint(known):
        raise ConfigError(
            f"{folder} holds {min(names)} and no run, expected a new folder, or one of a run"
        )


@contextmanager
def room_in(place: Path) -> Iterator[None]:
    """A disk that is full is told with the name of a place, whichever library met it."""
    try:
        yield
    except NasTfError:
        raise
    except Exception as error:
        if told := full_disk(error, place):
            raise told from error
        raise


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Gives a name to write a file under, which takes its own name when it is complete.

    Nothing is left of a file that can't be completed: on a full disk it would take the room that
    the next attempt needs.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".part-{path.name}")
    try:
        with room_in(path):
            yield partial
            _sync(partial)
            partial.replace(path)
            _sync(path.parent)
    finally:
        partial.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    """Waits until the system has written a file, or the names in a folder, to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
