"""Latency tables filled on this machine, one small model an operation."""

import functools
import math
import time
from collections.abc import Callable, Iterable

import tensorflow as tf

from nas_tf.errors import ConfigError
from nas_tf.latency import Table
from nas_tf.networks.fused import Op
from serving import lite_models, measure

_SECONDS_AN_OP = 0.25
_SECONDS_UNSAVED = 5.0


def empty(threads: int) -> Table:
    """A table of this machine without operations."""
    return Table(measure.device(), threads, tf.__version__, {})


def check_same(table: Table, threads: int) -> None:
    """Refuses to add to a table of other conditions."""
    here = empty(threads)
    for what in ("device", "threads", "tensorflow"):
        was, now = getattr(table, what), getattr(here, what)
        if was != now:
            raise ConfigError(
                f"{table.name} was measured with {what} {was}, here it is {now}: "
                "give another --out"
            )


def fill(
    table: Table,
    wanted: Iterable[Op],
    *,
    save: Callable[[Table], None],
    progress: Callable[[int, int], None] | None = None,
) -> Table:
    """Times the operations that a table lacks; what is done is saved every few seconds.

    The first is saved at once, so that a file that cannot be written costs no time. Whatever ends
    it, what was timed is saved.
    """
    missing = table.missing(wanted)
    times: dict[Op, float] = {}
    saved = -math.inf
    try:
        for done, op in enumerate(missing):
            if progress is not None:
                progress(done, len(missing))
            times[op] = time_op(op, table.threads)
            if time.monotonic() - saved > _SECONDS_UNSAVED:
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
    """Milliseconds of one operation here, without those of calling the interpreter."""
    return max(0.0, _time(op, threads) - _calling(threads))


@functools.cache
def _calling(threads: int) -> float:
    """What next to nothing takes: a network pays it once, not with every operation."""
    return _time(Op("relu", ((1, 1, 1),), (1, 1, 1)), threads)


def _time(op: Op, threads: int) -> float:
    model = lite_models.of_op(op)
    return measure.time_model(model, threads=threads, seconds=_SECONDS_AN_OP).median_ms
