"""Who is alive: a worker that says so from time to time keeps its trial, a silent one loses it."""

import time
from collections.abc import Callable


class Leases:
    """When each worker was last heard of.

    Only workers that have promised to be heard of (``beat``) can expire: stock KerasTuner
    workers say nothing while a trial runs, however long it takes.
    """

    def __init__(self, timeout: float, clock: Callable[[], float] = time.monotonic) -> None:
        if timeout <= 0:
            raise ValueError(f"heartbeat_timeout is {timeout}, expected seconds above 0")
        self.timeout = timeout
        self._clock = clock
        self._seen: dict[str, float] = {}
        self._beating: set[str] = set()

    def seen(self, worker: str) -> None:
        """A worker has called."""
        self._seen[worker] = self._clock()

    def beat(self, worker: str) -> None:
        """A worker has called and will go on doing so."""
        self.seen(worker)
        self._beating.add(worker)

    def left(self, worker: str) -> None:
        """A worker has ended, or is given up."""
        self._seen.pop(worker, None)
        self._beating.discard(worker)

    def beats(self, worker: str) -> bool:
        """Whether a worker has promised to be heard of."""
        return worker in self._beating

    def expired(self) -> list[str]:
        """Workers that promised to be heard of and were not, for longer than the timeout."""
        now = self._clock()
        return [
            worker for worker in self._beating if now - self._seen.get(worker, now) > self.timeout
        ]

    def present(self) -> list[str]:
        """Workers heard of and not yet gone."""
        return list(self._seen)
