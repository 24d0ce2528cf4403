"""Real processes that start in no time: forked from one that has imported everything.

TensorFlow takes seconds to import and chaos wants hundreds of processes. What is forked has its
own process id, files and limits, and is killed and stopped as any other.
"""

import importlib
import multiprocessing
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_IMPORTED = "tests.e2e.chaotic"
_FORKED = multiprocessing.get_context("forkserver")
_FORKED.set_forkserver_preload([_IMPORTED])


class Warm:
    """A process that calls a function of ``chaotic`` and keeps what is said on standard error."""

    def __init__(
        self, does: str, *arguments: Any, env: Mapping[str, str], log: Path, out: bool = False
    ) -> None:
        """With ``out``, what it prints is kept too."""
        self.log = log
        before = {name: os.environ.get(name) for name in ("PYTHONPATH", "TF_CPP_MIN_LOG_LEVEL")}
        os.environ |= {"PYTHONPATH": os.pathsep.join(sys.path), "TF_CPP_MIN_LOG_LEVEL": "3"}
        try:  # the first start begins the process that all others are forked from
            self._process = _FORKED.Process(
                target=_call, args=(does, arguments, dict(env), log, out)
            )
            self._process.start()
        finally:
            for name, value in before.items():
                os.environ.pop(name) if value is None else os.environ.update({name: value})

    @property
    def pid(self) -> int:
        """Its number."""
        return self._process.pid

    @property
    def status(self) -> int | None:
        """None while it runs, its exit status, or less than 0 for the signal that killed it."""
        return self._process.exitcode

    @property
    def said(self) -> str:
        """What it said on standard error so far."""
        return self.log.read_text(encoding="utf-8") if self.log.exists() else ""

    def poll(self) -> int | None:
        """Its status, under the name that ``subprocess`` has for it."""
        return self.status

    def wait(self, timeout: float | None = None) -> int:
        """Its status once it has ended; fails where it does not in so many seconds."""
        self._process.join(timeout)
        assert self.status is not None, f"it runs for more than {timeout} s\n{self.said}"
        return self.status

    def send_signal(self, number: int) -> None:
        """Any signal."""
        os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill -9, stopped or not."""
        self._process.kill()
        self._process.join()

    def stop(self) -> None:
        """As Ctrl-Z does: it is there and does nothing."""
        os.kill(self.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        """Ends a stop."""
        os.kill(self.pid, signal.SIGCONT)


def _call(
    does: str, arguments: tuple[Any, ...], env: dict[str, str], log: Path, out: bool
) -> None:
    os.environ |= env
    for number, path in ((1, log if out else os.devnull), (2, log)):
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.dup2(handle, number)
        os.close(handle)
    getattr(importlib.import_module(_IMPORTED), does)(*arguments)
