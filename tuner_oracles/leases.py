"""Who is alive: a worker that says so from time to time keeps its trial, a silent one loses it."""

import math
import threading
import time
from collections.abc import Callable

EXPECTED = 30.0
"""So many seconds a chief that was started again waits for workers that it knows of."""


class Leases:
    """Until when each worker is taken to live.

    Only workers that have promised to be heard of (``beat``) can expire: stock KerasTuner
    workers say nothing while a trial runs, however long it takes.
    """

    def __init__(self, timeout: float, clock: Callable[[], float] = time.monotonic) -> None:
        if timeout <= 0:
            raise ValueError(f"heartbeat_timeout is {timeout}, expected seconds above 0")
        self.timeout = timeout
        self._clock = clock
        self._lock = threading.RLock()
        self._ends: dict[str, float] = {}

    def seen(self, worker: str) -> None:
        """A worker has called."""
        with self._lock:
            if self.beats(worker):
                self.beat(worker)
            else:
                self._ends[worker] = math.inf

    def beat(self, worker: str) -> None:
        """A worker has called and will go on doing so."""
        with self._lock:
            self._ends[worker] = self._clock() + self.timeout

    def expect(self, worker: str) -> None:
        """A worker without a trial may come again, but is not waited for as long."""
        with self._lock:
            self._ends[worker] = self._clock() + min(EXPECTED, self.timeout)

    def renew(self) -> None:
        """The chief listens from now on only: nobody could be heard before."""
        with self._lock:
            least = self._clock() + min(EXPECTED, self.timeout)
            self._ends = {worker: max(end, least) for worker, end in self._ends.items()}

    def left(self, worker: str) -> None:
        """A worker has ended, or is given up."""
        with self._lock:
            self._ends.pop(worker, None)

    def beats(self, worker: str) -> bool:
        """Whether a worker has promised to be heard of."""
        return self._ends.get(worker, math.inf) < math.inf

    def expired(self) -> list[str]:
        """Workers that promised to be heard of and were not, for longer than the timeout."""
        with self._lock:
            now = self._clock()
            return [worker for worker, end in self._ends.items() if end < now]

    def present(self) -> list[str]:
        """Workers heard of and not yet gone."""
        with self._lock:
            return list(self._ends)
