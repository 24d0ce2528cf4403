"""``nas-tf derive``: reads cells and paths off a super-net's weights, as JSON lines."""

import math
from typing import IO, Any

import click

from nas_tf.cli import options
from nas_tf.cli.cost import answer_rows
from nas_tf.errors import ConfigError
from nas_tf.spaces.derivation import best_path, derived_cell

_MOST = 12
"""The most nodes, layers and levels."""
_CELL, _PATH = ("alpha", "nodes"), ("beta", "layers", "levels")


@click.command("derive")
@options.ROWS
def command(rows: IO[str]) -> None:
    """Read the cell or the path off a super-net's architecture weights.

    Reads a JSON object per line. alpha, the logits of the edges of a cell (node by node, sources
    ascending, the last column is the operation none), and nodes give the cell: two pairs
    [operation, source] a node. beta, the logits of the sources layer by layer (narrower, same,
    wider), layers and levels give the most probable path and its probability.
    Writes a JSON object per line: the cell or the path, or an error.

    \b
    nas-tf derive --file rows.jsonl
    """
    answer_rows(rows, _derived)


def _derived(row: Any) -> dict[str, Any]:
    for keys in (_CELL, _PATH):
        if isinstance(row, dict) and set(row) == set(keys):
            table = _table(keys[0], row[keys[0]])
            counts = [_count(key, row[key]) for key in keys[1:]]
            if keys == _CELL:
                return {"cell": derived_cell(table, *counts)}
            path, probability = best_path(table, *counts)
            return {"path": path, "probability": probability}
    raise ConfigError(
        f"row {row!r:.60} has other keys, expected {', '.join(_CELL)}, or {', '.join(_PATH)}"
    )


def _table(key: str, value: Any) -> list[list[float]]:
    rows = value if isinstance(value, list) else [value]
    for row in rows:
        numbers = row if isinstance(row, list) else [row]
        if numbers is not row or not all(map(_is_number, numbers)):
            raise ConfigError(f"{key} has the row {row!r:.60}, expected a list of finite numbers")
    return rows


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _count(key: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= _MOST:
        raise ConfigError(f"{key} is {value!r:.20}, expected an integer of 1 to {_MOST}")
    return value
