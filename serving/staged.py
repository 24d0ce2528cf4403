"""Temporary folders in which exports are written until they are complete."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

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
