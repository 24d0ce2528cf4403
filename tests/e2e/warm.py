"""Real processes that start at once: forked from one that has imported everything.

TensorFlow takes seconds to import and chaos needs hundreds of processes. A forked process has its
own id, files and limits, and is killed and stopped as any other.
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
    """A process that calls a function of ``chaotic`` and logs its standard error."""

    def __init__(
        self, function: str, *arguments: Any, env: Mapping[str, str], log: Path, out: bool = False
    ) -> None:
        """Starts the process; with ``out``, its standard output is logged too."""
        self.log = log
        before = {name: os.environ.get(name) for name in ("PYTHONPATH", "TF_CPP_MIN_LOG_LEVEL")}
        os.environ |= {"PYTHONPATH": os.pathsep.join(sys.path), "TF_CPP_MIN_LOG_LEVEL": "3"}
        try:  # the first start creates the process that all others are forked from
            self._process = _FORKED.Process(
                target=_call, args=(function, arguments, dict(env), log, out)
            )
            self._process.start()
        finally:
            for name, value in before.items():
                os.environ.pop(name) if value is None else os.environ.update({name: value})

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def status(self) -> int | None:
        """None while it runs, its exit status, or less than 0 for the signal that killed it."""
        return self._process.exitcode

    @property
    def errors(self) -> str:
        """The standard error so far."""
        return self.log.read_text(encoding="utf-8") if self.log.exists() else ""

    def poll(self) -> int | None:
        """Returns the status, under the name that ``subprocess`` uses."""
        return self.status

    def wait(self, timeout: float | None = None) -> int:
        """Waits until the process ends and returns its status; fails after ``timeout`` seconds."""
        self._process.join(timeout)
        assert self.status is not None, f"it runs for more than {timeout} s\n{self.errors}"
        return self.status

    def send_signal(self, number: int) -> None:
        """Sends a signal."""
        os.kill(self.pid, number)

    def kill(self) -> None:
        """Kills the process with SIGKILL, stopped or not."""
        self._process.kill()
        self._process.join()

    def stop(self) -> None:
        """Stops the process, as Ctrl-Z does."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Resumes a stopped process."""
        os.kill(self.pid, signal.SIGCONT)


def _call(
    function: str, arguments: tuple[Any, ...], env: dict[str, str], log: Path, out: bool
) -> None:
    os.environ |= env
    for number, path in ((1, log if out else os.devnull), (2, log)):
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.dup2(handle, number)
        os.close(handle)
    getattr(importlib.import_module(_IMPORTED), function)(*arguments)
