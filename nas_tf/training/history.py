"""The epochs of a training as a CSV file: one row each, cut back where a run is taken up again."""

import csv
from collections.abc import Mapping
from pathlib import Path

from nas_tf import folders

Row = Mapping[str, float | int | str]


class History:
    """Rows on disk, in order of their ``step``.

    Args:
        path: The file; its folder exists.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.rows: list[dict[str, str]] = _read(path)

    def cut(self, step: int) -> None:
        """Forgets epochs that ended after a step: they will be run again."""
        kept = [row for row in self.rows if int(row["step"]) <= step]
        if len(kept) != len(self.rows):
            self.rows = kept
            self._write()

    def add(self, row: Row) -> None:
        """Appends an epoch."""
        self.rows.append({key: str(value) for key, value in row.items()})
        self._write()

    def best(self, key: str) -> float | None:
        """The largest value of a column so far."""
        values = [float(row[key]) for row in self.rows if row.get(key)]
        return max(values) if values else None

    def seconds(self) -> float:
        """What all epochs took together."""
        return sum(float(row["seconds"]) for row in self.rows)

    def _write(self) -> None:
        """Whole or not at all; a few kilobytes an epoch are nothing."""
        keys = list(dict.fromkeys(key for row in self.rows for key in row))
        with (
            folders.atomic_file(self._path) as partial,
            partial.open("w", newline="", encoding="utf-8") as file,
        ):
            writer = csv.DictWriter(file, keys or ["step"])
            writer.writeheader()
            writer.writerows(self.rows)


def _read(path: Path) -> list[dict[str, str]]:
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
