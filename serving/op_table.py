"""Fills latency tables on this machine by timing one small model per operation."""

import functools
import math
import time
from collections.abc import Callable, Iterable

import tensorflow as tf

from nas_tf.errors import ConfigError
from nas_tf.latency import Table
from nas_tf.networks.fused import Op
from serving import lite_models, measure

_SECONDS_PER_OP = 0.25
_SAVE_SECONDS = 5.0


def empty(threads: int) -> Table:
    """Returns a table of this machine without operations."""
    return Table(measure.device(), threads, tf.__version__, {})


def check_same(table: Table, threads: int) -> None:
    """Raises if a table was measured under other conditions than here."""
    here = empty(threads)
    for field in ("device", "threads", "tensorflow"):
        was, now = getattr(table, field), getattr(here, field)
        if was != now:
            raise ConfigError(
                f"{table.name} was measured with {field} {was}, here it is {now}: "
                "give another --out"
            )


def fill(
    table: Table,
    wanted: Iterable[Op],
    *,
    save: Callable[[Table], None],
    progress: Callable[[int, int], None] | None = None,
) -> Table:
    """Times the operations that are missing from a table; saves the table every few seconds.

    The first is saved at once, so that a file that cannot be written is found before time is
    spent. All times so far are saved however the function ends.
    """
    missing = table.missing(wanted)
    times: dict[Op, float] = {}
    saved = -math.inf
    try:
        for done, op in enumerate(missing):
            if progress is not None:
                progress(done, len(missing))
            times[op] = time_op(op, table.threads)
            if time.monotonic() - saved > _SAVE_SECONDS:
                save(table.adding(times))
                saved = time.monotonic()
    finally:
        table = table.adding(times)
        if times:
            save(table)
    if progress is not None:
        progress(len(missing), len(missing))
    return table


def time_op(op: Op, threads: int) -> float:
    """Returns the milliseconds of one operation here, without the interpreter's overhead."""
    return max(0.0, _time(op, threads) - _call_overhead(threads))


@functools.cache
def _call_overhead(threads: int) -> float:
    """Times a trivial operation: a network pays this overhead once, not with every operation."""
    return _time(Op("relu", ((1, 1, 1),), (1, 1, 1)), threads)


def _time(op: Op, threads: int) -> float:
    model = lite_models.of_op(op)
    return measure.time_model(model, threads=threads, seconds=_SECONDS_PER_OP).median_ms
