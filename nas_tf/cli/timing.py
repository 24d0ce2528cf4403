"""Measurement of a network's latency on this machine, and a warning if others disturb it."""

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


def measured_latency(config: Config) -> "Latency | None":
    """Returns a function that measures a network, if ``search.latency`` is ``tflite``."""
    from nas_tf.search.pricing import TFLITE

    if config.search.latency != TFLITE:
        return None
    from serving import measure

    return lambda blueprint: measure.time_network(blueprint).median_ms


BUSY_WARNING = (
    "warning: other processes used the processor during the measurement; the times are too long"
)
_NEARLY_ALL, _NOTICEABLE = 0.75, 0.3


class ProcessorUse(NamedTuple):
    """Seconds of the clock, of use of all processors, and of use by this process and children."""

    clock: float
    busy: float
    own: float


def processor_use() -> ProcessorUse:
    """Returns the processor use up to now."""
    times = psutil.cpu_times()
    idle = times.idle + getattr(times, "iowait", 0.0)
    guests = getattr(times, "guest", 0.0) + getattr(times, "guest_nice", 0.0)  # in user and nice
    return ProcessorUse(time.monotonic(), sum(times) - idle - guests, sum(os.times()[:4]))


def is_busy(before: ProcessorUse, after: ProcessorUse, processors: int) -> bool:
    """Returns whether others used a part of the processors while nearly all were in use."""
    seconds = max(after.clock - before.clock, 1e-9)
    busy = (after.busy - before.busy) / seconds
    others = busy - (after.own - before.own) / seconds
    return others > _NOTICEABLE and busy > _NEARLY_ALL * processors


@contextmanager
def warn_if_busy(measured: Callable[[], ProcessorUse] = processor_use) -> Iterator[None]:
    """Prints a warning at the end of the block if other processes disturbed its measurements."""
    before = measured()
    yield
    if is_busy(before, measured(), os.cpu_count() or 1):
        click.echo(BUSY_WARNING, err=True)
