"""Fails tests whose input takes memory without bound."""

import resource
from collections.abc import Iterator

import pytest

_MAX_ADDED = 1 << 20
"""The KiB that a test may add to the process's peak, including libraries that it imports."""


@pytest.fixture(autouse=True)
def bounded_memory() -> Iterator[None]:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    added = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert added < _MAX_ADDED, f"{added >> 10} MiB more"
