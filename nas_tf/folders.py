"""Folders that the user names, and atomic writing of files."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from nas_tf.errors import ConfigError, NasTfError, full_disk


def cache(kind: str) -> Path:
    """Returns the folder of a cache: $NAS_TF_CACHE/KIND, else ~/.cache/nas_tf/KIND."""
    root = os.environ.get("NAS_TF_CACHE") or Path.home() / ".cache" / "nas_tf"
    return Path(root) / kind


def data() -> Path | None:
    """Returns the folder of data sets and ImageNet weights: $NAS_TF_DATA, else None."""
    root = os.environ.get("NAS_TF_DATA")
    return Path(root) if root else None


def refuse_others(folder: Path, known: Collection[str]) -> None:
    """Raises if a folder contains files, but none of those that identify a run."""
    names = {entry.name for entry in folder.iterdir()} if folder.is_dir() else set()
    if names and names.isdisjoint(known):
        raise ConfigError(
            f"{folder} holds {min(names)} and no run, expected a new folder, or one of a run"
        )


@contextmanager
def reporting_full_disk(path: Path) -> Iterator[None]:
    """Raises ``EnvironmentFault`` with a path if any library in the block meets a full disk."""
    try:
        yield
    except NasTfError:
        raise
    except Exception as error:
        if fault := full_disk(error, path):
            raise fault from error
        raise


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yields a temporary path to write to, which is renamed to ``path`` when it is complete.

    Readers see the old file or the complete new one. Nothing is left of a file that cannot be
    completed: on a full disk it would take the space that the next attempt needs. One process at
    a time may write a path.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".part-{path.name}")
    try:
        with reporting_full_disk(path):
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


_PARTIAL = ".partial"


@contextmanager
def stage(folder: Path) -> Iterator[Path]:
    """Makes a hidden folder within another, from which complete exports are renamed.

    At the end it is removed, and so is the other folder if it was made here and is empty. Each
    process locks its hidden folder, so that the next process recognises and removes the folders of
    killed ones. Several processes may stage exports in one folder.
    """
    is_new = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob(f".*{_PARTIAL}"):
        if _is_free(old):
            shutil.rmtree(old, ignore_errors=True)
    path = Path(tempfile.mkdtemp(prefix=".", suffix=_PARTIAL, dir=folder))
    descriptor = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        os.close(descriptor)
        if is_new:
            with suppress(OSError):
                folder.rmdir()


def _is_free(path: Path) -> bool:
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True
