"""Settings of the whole test run."""

import logging
import os
import signal
from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

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


@pytest.fixture(autouse=True)
def own_log() -> Iterator[None]:
    """A command that is run in a test takes the package's log over for that test alone."""
    logger = logging.getLogger("nas_tf")
    handlers, propagate = list(logger.handlers), logger.propagate
    yield
    logger.handlers, logger.propagate = handlers, propagate


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Of tests marked ``sampled(n)``, runs each n-th case; all of them with NAS_TF_ALL=1."""
    if os.environ.get("NAS_TF_ALL"):
        return
    seen: Counter[tuple[str, str]] = Counter()
    kept, left_out = [], []
    for item in items:
        mark = item.get_closest_marker("sampled")
        key = item.location[0], getattr(item, "originalname", item.name)
        is_left_out = mark is not None and seen[key] % mark.args[0]
        seen[key] += 1
        (left_out if is_left_out else kept).append(item)
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = kept
