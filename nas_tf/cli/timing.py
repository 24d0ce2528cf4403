"""A warning if other processes disturb a measurement of latency."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import click

BUSY_WARNING = (
    "warning: other processes used the processor during the measurement; the times are too long"
)


@contextmanager
def warn_if_busy() -> Iterator[None]:
    """Prints a warning at the end of the block if other processes disturbed its measurements."""
    from nas_tf import quiet

    quiet.load("tensorflow")
    from serving import measure

    before = measure.processor_use()
    yield
    if measure.is_busy(before, measure.processor_use(), os.cpu_count() or 1):
        click.echo(BUSY_WARNING, err=True)
