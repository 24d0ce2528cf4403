"""Folders that the user names, and files and folders that appear complete or not at all.

Every file that another process may read, or that must survive a kill, is written under a hidden
name, waits for the disk, and is renamed: readers find the old content or the new one. The wait
costs nothing measurable next to the writing, so that all files have it; exported folders of
hundreds of megabytes do not.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

from nas_tf.errors import ConfigError, EnvironmentFault, NasTfError, full_disk

PARTIAL = ".part-"
"""The beginning of the hidden names of what is being written."""
_STAGED = ".partial"


def cache(kind: str) -> Path:
    """Returns the folder of a cache: $NAS_TF_CACHE/KIND, else ~/.cache/nas_tf/KIND."""
    root = os.environ.get("NAS_TF_CACHE") or Path.home() / ".cache" / "nas_tf"
    return Path(root) / kind


def data() -> Path | None:
    """Returns the folder of data sets and ImageNet weights: $NAS_TF_DATA, else None."""
    root = os.environ.get("NAS_TF_DATA")
    return Path(root) if root else None


def with_own_name(folder: Path) -> Path:
    """Returns the folder under a path that ends with its name, which ``.`` does not."""
    return folder if folder.name not in ("", "..") else folder.resolve()


@contextmanager
def without_wildcards(folder: Path) -> Iterator[Path]:
    """Yields a path to a folder in which TensorFlow finds files, which takes [ and * as patterns.

    It is the folder itself, or a link to it for the time of the block.
    """
    if not set("[]*?\\").intersection(str(folder)):
        yield folder
        return
    with tempfile.TemporaryDirectory() as place:
        link = Path(place) / "folder"
        link.symlink_to(folder.absolute(), target_is_directory=True)
        yield link


def refuse_others(folder: Path, known: Collection[str]) -> None:
    """Raises if a folder contains files, but none of those that identify a run."""
    names = {entry.name for entry in folder.iterdir()} if folder.is_dir() else set()
    names = {name for name in names if not name.startswith(PARTIAL)}  # of killed processes
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
def reporting_faults(folder: Path) -> Iterator[None]:
    """Raises ``EnvironmentFault`` for any error of the system in the block, as for a full disk.

    Such an error is not a trial's failure: it ends the command, and saved files stay.
    """
    try:
        with reporting_full_disk(folder):
            yield
    except OSError as error:
        raise EnvironmentFault(
            f"{folder} can't be written: {error}; fix that, and what was not saved is run again"
        ) from error


def atomic(path: Path) -> AbstractContextManager[Path]:
    """Yields a temporary path for a library to write to, renamed to ``path`` when it is complete.

    Nothing is left of a file that cannot be completed: on a full disk it would take the space
    that the next attempt needs. One process at a time may write a path, so that the next one
    replaces what a killed one has left.
    """
    return _completed(path, path.with_name(f"{PARTIAL}{path.name}"))


def write(path: Path, content: str | bytes) -> None:
    """Writes a file atomically; any number of processes may write the same path."""
    with _completed(path, path.with_name(f"{PARTIAL}{os.getpid()}-{path.name}")) as partial:
        partial.write_bytes(content.encode() if isinstance(content, str) else content)


@contextmanager
def _completed(path: Path, partial: Path) -> Iterator[Path]:
    path.parent.mkdir(parents=True, exist_ok=True)
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


@contextmanager
def stage(folder: Path) -> Iterator[Path]:
    """Makes a hidden folder within another, from which complete exports are published.

    At the end it is removed, and so is the other folder if it was made here and is empty. Each
    process locks its hidden folder, so that the next process recognises and removes the folders of
    killed ones. Several processes may stage exports in one folder.
    """
    is_new = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob(f"{PARTIAL}*{_STAGED}"):
        if is_free(old):
            shutil.rmtree(old, ignore_errors=True)
    path = Path(tempfile.mkdtemp(prefix=PARTIAL, suffix=_STAGED, dir=folder))
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


def publish(staged: Path, final: Path) -> None:
    """Renames a complete file or folder to its final name; a folder replaces none that has files.

    The folder above is made if needed.
    """
    final.parent.mkdir(parents=True, exist_ok=True)
    staged.rename(final)


def share(path: Path) -> int:
    """Locks a file or folder against its removal and returns the descriptor that holds the lock.

    Any number of processes may share it; ``is_free`` is false meanwhile. Some network file systems
    lock no folders; there nothing is locked, and ``is_free`` is always false.
    """
    descriptor = os.open(path, os.O_RDONLY)
    with suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_SH)
    return descriptor


def is_free(path: Path) -> bool:
    """Returns whether a file or folder can be opened and no process has locked it."""
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
