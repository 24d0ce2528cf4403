"""Latency measured on this machine, for commands whose configuration asks for it."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import click
import psutil

from nas_tf.config.schema import Config

if TYPE_CHECKING:
    from nas_tf.training.two_stage import Latency


def measured_latency(experiment: Config) -> "Latency | None":
    """Times every network itself, if ``search.latency`` is ``tflite``."""
    from nas_tf.search.pricing import TFLITE

    if experiment.search.latency != TFLITE:
        return None
    from serving import measure

    return lambda blueprint: measure.time_network(blueprint).median_ms


CROWDED = "other processes used the processor while this was measured: times are too long"
_FULL, _MUCH = 0.75, 0.3


class ProcessorUse(NamedTuple):
    """Seconds: of the clock, of all processors, and of them by this process and its children."""

    clock: float
    busy: float
    own: float


def processor_use() -> ProcessorUse:
    """What was used until now."""
    times = psutil.cpu_times()
    idle = times.idle + getattr(times, "iowait", 0.0)
    guests = getattr(times, "guest", 0.0) + getattr(times, "guest_nice", 0.0)  # in user and nice
    return ProcessorUse(time.monotonic(), sum(times) - idle - guests, sum(os.times()[:4]))


def is_busy(before: ProcessorUse, after: ProcessorUse, processors: int) -> bool:
    """Whether others took a good part of processors that were nearly all in use."""
    seconds = max(after.clock - before.clock, 1e-9)
    busy = (after.busy - before.busy) / seconds
    others = busy - (after.own - before.own) / seconds
    return others > _MUCH and busy > _FULL * processors


@contextmanager
def warn_if_busy(measured: Callable[[], ProcessorUse] = processor_use) -> Iterator[None]:
    """Prints a line after times were measured if other processes were in their way."""
    before = measured()
    yield
    if is_busy(before, measured(), os.cpu_count() or 1):
        click.echo(CROWDED, err=True)
