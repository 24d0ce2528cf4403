"""Load tests of an endpoint: sends concurrent requests and measures how long each takes."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from nas_tf.errors import ServingError


@dataclass(frozen=True)
class Load:
    """The results of a load test.

    Args:
        seconds: The time from the first request to the last answer.
        taken: Seconds of every answered request.
        refused: Error messages of the requests that failed.
    """

    seconds: float
    taken: Sequence[float]
    refused: Sequence[str]

    @property
    def throughput(self) -> float:
        """The number of answers per second."""
        return len(self.taken) / max(self.seconds, 1e-9)

    def percentile(self, share: float) -> float:
        """Returns the milliseconds within which ``share`` percent of requests were answered."""
        return 1e3 * float(np.percentile(self.taken, share)) if self.taken else float("nan")


def run(ask: Callable[[], object], *, requests: int, concurrency: int) -> Load:
    """Sends the same request repeatedly and measures it, after one that is not counted."""
    ask()

    def once(_: int) -> float | str:
        start = time.perf_counter()
        try:
            ask()
        except ServingError as error:
            return str(error)
        return time.perf_counter() - start

    start = time.perf_counter()
    with ThreadPoolExecutor(concurrency) as pool:
        outcomes = list(pool.map(once, range(requests)))
    seconds = time.perf_counter() - start
    taken = [outcome for outcome in outcomes if isinstance(outcome, float)]
    return Load(seconds, taken, [outcome for outcome in outcomes if isinstance(outcome, str)])
