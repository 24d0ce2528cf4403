"""Load on an endpoint: so many requests side by side, and how long each took."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from nas_tf.errors import ServingError


@dataclass(frozen=True)
class Load:
    """What came of it.

    Args:
        seconds: From the first request to the last answer.
        taken: Seconds of every answered request.
        refused: Reasons of those that failed.
    """

    seconds: float
    taken: Sequence[float]
    refused: Sequence[str]

    @property
    def throughput(self) -> float:
        """Answers a second."""
        return len(self.taken) / max(self.seconds, 1e-9)

    def percentile(self, share: float) -> float:
        """Milliseconds within which so many percent were answered."""
        return 1e3 * float(np.percentile(self.taken, share)) if self.taken else float("nan")


def run(ask: Callable[[], object], *, requests: int, concurrency: int) -> Load:
    """Asks the same again and again; one request before it is not counted."""
    ask()

    def once(_: int) -> float | str:
        began = time.perf_counter()
        try:
            ask()
        except ServingError as error:
            return str(error)
        return time.perf_counter() - began

    began = time.perf_counter()
    with ThreadPoolExecutor(concurrency) as pool:
        came = list(pool.map(once, range(requests)))
    seconds = time.perf_counter() - began
    taken = [one for one in came if isinstance(one, float)]
    return Load(seconds, taken, [one for one in came if isinstance(one, str)])
