"""Where exports are written before they are whole."""

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
    """A hidden folder within another, to rename things out of; whatever is left goes at the end,
    and so does the other if it was made here and nothing came into it.

    It is locked for as long as its process lives, so that those of killed ones are known and
    removed by the next.
    """
    is_new = not folder.exists()
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
        if is_new:
            with suppress(OSError):
                folder.rmdir()


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
