"""Notices that a user's own pictures or labels have changed when a run is resumed.

Rewards from different pictures cannot be compared, and a training would not end as it would have.
``data.json`` in the folder of a run has the size, the time and the checksum of each file. A file
of the same size and time is not read again, and one that was only copied has not changed.
"""

import json
import zlib
from collections.abc import Mapping
from pathlib import Path

from nas_tf import files
from nas_tf.config.schema import Config
from nas_tf.data.folder import PREFIX, folder_layout
from nas_tf.errors import DataError
from nas_tf.runs import filenames

Entry = list[int]
"""Size, time of the last change in nanoseconds, and checksum."""
Entries = dict[str, Entry]

_CHUNK = 1 << 20


def claim(folder: Path, config: Config, *, in_full: bool = False) -> None:
    """Writes what the user's own folders hold, or raises if the run started with other files.

    ``in_full`` includes the data sets of the stages of full training.
    """
    found = check(folder, config, in_full=in_full)
    if found:
        files.write(folder / filenames.DATA, json.dumps(found))


def check(folder: Path, config: Config, *, in_full: bool = False) -> dict[str, Entries]:
    """Returns the files of each key's folder, or raises if the run started with others."""
    before = _read(folder / filenames.DATA)
    found = {}
    for key, name in _own_folders(config, in_full=in_full).items():
        known = before.get(key, {})
        found[key] = _entries(name, known)
        if known:
            _check_same(folder, name, known, found[key])
    return found


def _own_folders(config: Config, *, in_full: bool) -> dict[str, str]:
    """Returns the names of the data sets that are folders, by their keys in the configuration."""
    names: dict[str, str | None] = {"data.name": config.data.name}
    for number, stage in enumerate(config.full_training.stages if in_full else ()):
        key = f"full_training.stages.{number}"
        names[f"{key}.data"] = stage.data
        names |= {f"{key}.joined.{n}.data": more.data for n, more in enumerate(stage.joined)}
    return {key: name for key, name in names.items() if name and name.startswith(PREFIX)}


def _entries(name: str, known: Mapping[str, Entry]) -> Entries:
    layout, found = folder_layout(name), {}
    for path, status in layout.files().items():
        size, time = status.st_size, status.st_mtime_ns
        before = known.get(path)
        is_same = before is not None and before[:2] == [size, time]
        found[path] = [size, time, before[2] if is_same else _checksum(layout.root / path)]
    return found


def _checksum(path: Path) -> int:
    checksum = 0
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                checksum = zlib.crc32(chunk, checksum)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error
    return checksum


def _check_same(folder: Path, name: str, before: Entries, now: Entries) -> None:
    changed = [
        path
        for path in sorted(before.keys() | now.keys())
        if _content(before.get(path)) != _content(now.get(path))
    ]
    if not changed:
        return
    if all(_content(before.get(path)) != _content(entry) for path, entry in now.items()):
        raise DataError(
            f"{folder} was started with other files than those of {name}: give the data.name of "
            f"{folder / filenames.CONFIG}, or another folder"
        )
    path, what = changed[0], "changed"
    if path not in before or path not in now:
        what = "was added" if path in now else "was removed"
    others = f", like {len(changed) - 1} other files of {name}" if len(changed) > 1 else ""
    raise DataError(
        f"{Path(name.removeprefix(PREFIX)) / path} {what} since {folder} was started{others}: "
        "put the files back as they were, or give another folder"
    )


def _content(entry: Entry | None) -> Entry | None:
    """Returns size and checksum."""
    return None if entry is None else [entry[0], entry[2]]


def _read(path: Path) -> dict[str, Entries]:
    """Returns the files with which a run started; none for a run of an earlier version."""
    if not path.exists():
        return {}
    try:
        read = json.loads(path.read_text(encoding="utf-8"))
        checked = {
            key: {
                name: [int(size), int(time), int(checksum)]
                for name, (size, time, checksum) in entries.items()
            }
            for key, entries in read.items()
        }
    except (ValueError, TypeError, AttributeError) as error:
        raise DataError(
            f"{path} can't be read: {error}; put back a copy, or delete it: only changes of "
            "pictures before now are not noticed then"
        ) from error
    return checked
