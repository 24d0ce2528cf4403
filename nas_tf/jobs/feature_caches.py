"""Lists and removes the cached features of encoders."""

import json
import shutil
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from nas_tf import files
from nas_tf.errors import ConfigError, DataError
from nas_tf.runs import folders

_MANIFEST = "manifest.json"
_REMOVED = ".removed-"


@dataclass(frozen=True)
class Features:
    """The cached features of a split in a number of views.

    ``data`` and ``crop`` are empty if they are incomplete; ``used`` is the time at which a command
    last requested them, in seconds since 1970.
    """

    folder: Path
    data: str
    crop: str
    views: int
    size: int
    used: float

    @property
    def name(self) -> str:
        """The name of the folder, which follows from the content."""
        return self.folder.name


def find(
    names: Sequence[str] = (), *, unused_days: int = 0, root: Path | None = None
) -> list[Features]:
    """Returns the features of these names, all by default, those used last first.

    Raises ``ConfigError`` for a name that does not exist. ``unused_days`` leaves out features that
    were requested within that number of days.
    """
    root = root or files.cache("features")
    found = {path.name: path for path in root.glob("[!.]*") if path.is_dir()}
    for name in names:
        if name not in found:
            raise ConfigError(f"{root} has no features {name}; nas-tf data features lists them")
    last = time.time() - unused_days * 86400
    features = [_read(path) for name, path in found.items() if not names or name in names]
    return sorted(
        (item for item in features if item.used <= last or not unused_days),
        key=lambda item: -item.used,
    )


def remove(features: Features) -> None:
    """Removes features; raises ``DataError`` if a process builds them or reads them."""
    folder = features.folder
    with files.reporting_faults(folder):
        try:
            with FileLock(f"{folder}.lock", timeout=0):
                if not files.is_free(folder):
                    raise Timeout(str(folder))
                removed = folder.with_name(f"{_REMOVED}{folder.name}")
                shutil.rmtree(removed, ignore_errors=True)  # of a removal that was killed
                files.publish(folder, removed)
        except Timeout:
            raise DataError(f"{folder} is in use by another process: stop that first") from None
        for left in folder.parent.glob(f"{_REMOVED}*"):
            shutil.rmtree(left, ignore_errors=True)


def _read(folder: Path) -> Features:
    data, crop, views = "", "", 0
    used = folder.stat().st_mtime
    manifest = folder / _MANIFEST
    with suppress(OSError, ValueError, KeyError, TypeError, AttributeError):  # it is incomplete
        used = manifest.stat().st_mtime
        key = json.loads(manifest.read_text(encoding="utf-8"))["key"]
        data, views = key["data"].partition(",")[0], int(key["views"])
        crop = "x".join(map(str, key["crop"]))
    size = sum(file.st_size for file in folders.file_stats(folder))
    return Features(folder, data, crop, views, size, used)
