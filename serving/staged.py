"""Where exports are written before they are whole."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PARTIAL = ".partial"


@contextmanager
def stage(folder: Path) -> Iterator[Path]:
    """A hidden folder within another, to rename things out of; whatever is left goes at the end.

    It is locked for as long as its process lives, so that those of killed ones are known and
    removed by the next.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob(f".*{_PARTIAL}"):
        if _is_free(old):
            shutil.rmtree(old, ignore_errors=True)
    path = Path(tempfile.mkdtemp(prefix=".", suffix=_PARTIAL, dir=folder))
    held = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_SH)
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        os.close(held)


def _is_free(path: Path) -> bool:
    try:
        asked = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(asked, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(asked)
    return True
