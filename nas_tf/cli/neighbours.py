"""Notices other processes that use the processor while times are measured."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import click
import psutil

CROWDED = "other processes used the processor while this was measured: times are too long"
_FULL, _MUCH = 0.75, 0.3


class Use(NamedTuple):
    """Seconds: of the clock, of all processors, and of them by this process and its children."""

    clock: float
    busy: float
    own: float


def use() -> Use:
    """What was used until now."""
    times = psutil.cpu_times()
    idle = times.idle + getattr(times, "iowait", 0.0)
    guests = getattr(times, "guest", 0.0) + getattr(times, "guest_nice", 0.0)  # in user and nice
    return Use(time.monotonic(), sum(times) - idle - guests, sum(os.times()[:4]))


def crowded(before: Use, after: Use, processors: int) -> bool:
    """Whether others took a good part of processors that were nearly all in use."""
    seconds = max(after.clock - before.clock, 1e-9)
    busy = (after.busy - before.busy) / seconds
    others = busy - (after.own - before.own) / seconds
    return others > _MUCH and busy > _FULL * processors


@contextmanager
def alone(measured: Callable[[], Use] = use) -> Iterator[None]:
    """Prints a line after times were measured if other processes were in their way."""
    before = measured()
    yield
    if crowded(before, measured(), os.cpu_count() or 1):
        click.echo(CROWDED, err=True)
