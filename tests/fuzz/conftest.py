"""No input may take memory without bound."""

import resource
from collections.abc import Iterator

import pytest

_MOST = 1 << 20
"""KiB that a test may add to the process's peak: libraries imported on the way are in it."""


@pytest.fixture(autouse=True)
def bounded_memory() -> Iterator[None]:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    added = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert added < _MOST, f"{added >> 10} MiB more"
