"""The epochs of a training as a CSV file with a row each, which a resumed run cuts back."""

import csv
from collections.abc import Mapping
from pathlib import Path

from nas_tf import files
from nas_tf.errors import DataError

_NUMBERS = {"seconds", "reward", "score"}
Row = Mapping[str, float | int | str]


class History:
    """Rows in a CSV file, in order of their ``step``; every change rewrites the file.

    Args:
        path: Path of the file, in an existing folder; one process writes to it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.rows: list[dict[str, str]] = _read(path)

    def cut(self, step: int) -> None:
        """Removes the epochs that ended after a step, since they will be trained again."""
        earlier = [row for row in self.rows if int(row["step"]) <= step]
        if len(earlier) != len(self.rows):
            self.rows = earlier
            self._write()

    def add(self, row: Row) -> None:
        """Appends the row of an epoch."""
        self.rows.append({key: str(value) for key, value in row.items()})
        self._write()

    def best(self, key: str) -> float | None:
        """Returns the largest value of a column so far, or None without values."""
        values = [float(row[key]) for row in self.rows if row.get(key)]
        return max(values) if values else None

    def seconds(self) -> float:
        """Returns the total duration of all epochs."""
        return sum(float(row["seconds"]) for row in self.rows)

    def _write(self) -> None:
        """Rewrites the file atomically; a few kilobytes per epoch cost nothing."""
        keys = list(dict.fromkeys(key for row in self.rows for key in row))
        with (
            files.atomic(self._path) as partial,
            partial.open("w", newline="", encoding="utf-8") as file,
        ):
            writer = csv.DictWriter(file, keys or ["step"])
            writer.writeheader()
            writer.writerows(self.rows)


def _read(path: Path) -> list[dict[str, str]]:
    if not path.exists():
        return []
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        for number, row in enumerate(rows, start=2):
            _check(row, number)
    except (ValueError, csv.Error) as error:
        raise DataError(
            f"{path} can't be read: {error}; put back a copy, or delete it: only the figures of "
            "past epochs are lost"
        ) from error
    return rows


def _check(row: dict[str, str], line: int) -> None:
    """Raises if a row lacks cells, has too many, or has words for the numbers that are read."""
    if "step" not in row or None in row or None in row.values():
        raise ValueError(f"line {line} does not have the columns of the first line")
    int(row["step"])
    for key in _NUMBERS & row.keys():
        float(row[key] or 0)
