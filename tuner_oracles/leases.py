"""Leases: a worker that sends heartbeats keeps its trial, a silent one loses it."""

import math
import threading
import time
from collections.abc import Callable

RETURN_SECONDS = 30.0
"""The seconds that a restarted chief waits for known workers that hold no trial."""


class Leases:
    """The time until which each worker counts as alive.

    Only workers that have promised heartbeats (``beat``) can expire: KerasTuner's own workers
    send nothing while a trial runs, however long it takes.

    Every method may be called from any thread: ``beat`` does not wait for the oracle's lock, so
    heartbeats arrive while the oracle is busy. Leases live in memory only; a restarted chief
    builds them again from its ledger.
    """

    def __init__(self, timeout: float, clock: Callable[[], float] = time.monotonic) -> None:
        if timeout <= 0:
            raise ValueError(f"heartbeat_timeout is {timeout}, expected seconds above 0")
        self.timeout = timeout
        self._clock = clock
        self._lock = threading.RLock()
        self._ends: dict[str, float] = {}

    def renew(self, worker: str) -> None:
        """Renews the lease of a worker that has called; it does not expire without heartbeats."""
        with self._lock:
            if self.has_heartbeat(worker):
                self.beat(worker)
            else:
                self._ends[worker] = math.inf

    def beat(self, worker: str) -> None:
        """Renews the lease of a worker that has called and promises to call again."""
        with self._lock:
            self._ends[worker] = self._clock() + self.timeout

    def expect(self, worker: str) -> None:
        """Grants a short lease to a known worker without a trial, which may return."""
        with self._lock:
            self._ends[worker] = self._clock() + min(RETURN_SECONDS, self.timeout)

    def extend_all(self) -> None:
        """Extends all leases when the chief begins to listen: no worker could call before."""
        with self._lock:
            least = self._clock() + min(RETURN_SECONDS, self.timeout)
            self._ends = {worker: max(end, least) for worker, end in self._ends.items()}

    def remove(self, worker: str) -> None:
        """Removes the lease of a worker that has ended or is given up."""
        with self._lock:
            self._ends.pop(worker, None)

    def has_heartbeat(self, worker: str) -> bool:
        """Returns whether a worker has promised heartbeats."""
        return self._ends.get(worker, math.inf) < math.inf

    def expired(self) -> list[str]:
        """Returns the workers whose promised heartbeats have not come within the timeout."""
        with self._lock:
            now = self._clock()
            return [worker for worker, end in self._ends.items() if end < now]

    def present(self) -> list[str]:
        """Returns the workers that have called and have not left."""
        with self._lock:
            return list(self._ends)
