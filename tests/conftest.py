"""Settings of a complete test run."""

import ctypes
import ctypes.util
import gc
import logging
import os
import shutil
import signal
import tempfile
from collections import Counter
from collections.abc import Iterator

import psutil
import pytest
from hypothesis import HealthCheck, settings

from tests.prepared import SHARED
from tests.sampling import IS_WHOLE

# Two workers on two cores: with more threads TensorFlow only contends with itself.
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")

# Graphs are millions of objects, few of them garbage: collecting less often saves a tenth.
gc.set_threshold(50_000, 20, 50)

# A shell that starts the tests in the background has them, and all they start, ignore Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)

# The contract suites are inherited, so that one test runs on several classes. Examples are the
# same in every run, so that what fails here fails there; `make fuzz` looks for new ones.
settings.register_profile(
    "nas_tf",
    max_examples=100 * int(os.environ.get("NAS_TF_FUZZ", 1)),
    deadline=None,
    derandomize="NAS_TF_FUZZ" not in os.environ,
    suppress_health_check=[HealthCheck.differing_executors],
)
settings.load_profile("nas_tf")


def pytest_configure(config: pytest.Config) -> None:
    """Creates a folder that this process shares with the workers that it starts."""
    if SHARED not in os.environ:
        os.environ[SHARED] = tempfile.mkdtemp(prefix="nas_tf_tests_")
        config.add_cleanup(lambda: shutil.rmtree(os.environ.pop(SHARED)))


_process, _malloc = psutil.Process(), ctypes.CDLL(ctypes.util.find_library("c"))
_most_bytes = _LEAST_BYTES = 2 << 30


@pytest.fixture(autouse=True)
def bounded_memory() -> Iterator[None]:
    """Frees graphs that are garbage, and returns their memory, after each gibibyte of growth."""
    global _most_bytes
    yield
    if _process.memory_info().rss > _most_bytes:
        gc.collect()
        _malloc.malloc_trim(0)
        _most_bytes = max(_LEAST_BYTES, _process.memory_info().rss + (1 << 30))


@pytest.fixture(autouse=True)
def own_log() -> Iterator[None]:
    """Restores the package's logger, which a command in a test configures."""
    logger = logging.getLogger("nas_tf")
    handlers, propagate = list(logger.handlers), logger.propagate
    yield
    logger.handlers, logger.propagate = handlers, propagate


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Marks all but every n-th case of ``quick(n)`` as slow, and drops those of ``sampled(n)``.

    With NAS_TF_ALL=1 nothing is dropped.
    """
    counts: Counter[tuple[str, str]] = Counter()
    selected, left_out = [], []
    for item in items:
        key = item.location[0], getattr(item, "originalname", item.name)
        quick, sampled = (item.get_closest_marker(name) for name in ("quick", "sampled"))
        if quick is not None and counts[key] % quick.args[0]:
            item.add_marker(pytest.mark.slow)
        is_left_out = sampled is not None and counts[key] % sampled.args[0] and not IS_WHOLE
        counts[key] += 1
        (left_out if is_left_out else selected).append(item)
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = selected
