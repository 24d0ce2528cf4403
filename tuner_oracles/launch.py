"""Runs a chief and its workers on one machine: starts, watches and restarts them.

    python -m tuner_oracles --workers 3 my_search.py [arguments]

Each process runs the script, which calls ``tuner_oracles.search``; environment variables define
whether it is the chief or a worker.
"""

import argparse
import ctypes
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress

from tuner_oracles import devices

CHIEF = "chief"
_RETURN_SECONDS = 30.0
"""The seconds that an interrupted process has to return its trial and end."""
_END_SECONDS = 10.0
"""The seconds that a process has to end once the search is over and its results are stored."""
_REPORT_SECONDS = 5.0
"""The seconds within which even a busy chief announces that a trial has ended."""
_LAUNCHED = "TUNER_ORACLES_LAUNCHED"
_ENDED = "\x03"


class Cluster:
    """One chief and ``workers`` workers running ``command``.

    A process that dies is started again under its name, at most ``restarts`` times until another
    trial ends. One that ends with a status in ``fatal`` would do so again, and ends all others.
    ``on_line`` is called with the name of a process and each line of its output, from one thread
    for each process; by default the lines are printed. Each worker sees one GPU of this machine;
    if there are more workers than GPUs, they share them in turns. The chief sees none.

    This object owns the processes: ``run`` returns only when all have ended, and on Ctrl-C it
    stops the workers first, which return their trials, then the chief. If this process is killed,
    the children end with it (on Linux); the search resumes when the same command runs again::

        status = Cluster([sys.executable, "my_search.py"], workers=3).run()
    """

    def __init__(
        self,
        command: Sequence[str],
        workers: int,
        *,
        address: str = "127.0.0.1",
        port: int | None = None,
        restarts: int = 5,
        fatal: Collection[int] = (),
        env: Mapping[str, str] | None = None,
        on_line: Callable[[str, str], None] | None = None,
    ) -> None:
        if workers < 1:
            raise ValueError(f"workers is {workers}, expected 1 or more")
        self.command = list(command)
        self.names = [CHIEF, *(f"worker-{index}" for index in range(workers))]
        self.address, self.port = address, port or _free_port(address)
        self.processes: dict[str, subprocess.Popen] = {}
        self._env = dict(os.environ if env is None else env)
        self._gpus = devices.gpus(self._env)
        self._fatal, self._on_line = fatal, on_line or _print
        self._restarts = restarts
        self._restarts_left = dict.fromkeys(self.names, restarts)
        self._output_failed = False

    def run(self) -> int:
        """Starts all processes, waits until the search has ended and returns the exit status."""
        try:
            for name in self.names:
                self._start(name)
            return self._watch()
        except KeyboardInterrupt:
            return 130
        finally:
            self._end()

    def _watch(self) -> int:
        while True:
            time.sleep(0.2)
            if self.processes[CHIEF].poll() == 0:
                _wait(self.processes.values(), _END_SECONDS)
                return 0
            for name in self.names:
                status = self.processes[name].poll()
                if status in self._fatal:
                    return status
                if status and not self._restart(name, status):
                    return 1

    def _restart(self, name: str, status: int) -> bool:
        end = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
        if not self._may_restart(name):
            _print_error(f"{name} {end}, too often in a row; all results so far are stored")
            return False
        self._restarts_left[name] -= 1
        _print_error(f"{name} {end}; starting it again")
        time.sleep(0.5)
        self._start(name)
        return True

    def _may_restart(self, name: str) -> bool:
        """Waits for the chief, which may not have announced the end of an earlier trial yet."""
        end = time.monotonic() + _REPORT_SECONDS
        while self._restarts_left[name] == 0 and time.monotonic() < end:
            time.sleep(0.05)
        return self._restarts_left[name] > 0

    def _start(self, name: str) -> None:
        worker = None if name == CHIEF else self.names.index(name) - 1
        process = subprocess.Popen(
            self.command,
            env=devices.with_gpu(self._env, worker, self._gpus)
            | {
                "KERASTUNER_TUNER_ID": name,
                "KERASTUNER_ORACLE_IP": self.address,
                "KERASTUNER_ORACLE_PORT": str(self.port),
                "PYTHONUNBUFFERED": "1",
                _LAUNCHED: "1",
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,  # Ctrl-C reaches this process only, which passes it on
            preexec_fn=_prepare_child,
        )
        self.processes[name] = process
        threading.Thread(target=self._relay, args=(name, process), daemon=True).start()

    def _relay(self, name: str, process: subprocess.Popen) -> None:
        """Passes on a process's output despite any error: with a full pipe it would hang."""
        assert process.stdout is not None
        for line in process.stdout:
            if line.rstrip().endswith(_ENDED):
                self._restarts_left = dict.fromkeys(self.names, self._restarts)
            text = line.replace(_ENDED, "").rstrip()
            try:
                if text:
                    self._on_line(name, text)
            except Exception as error:
                self._report_output_error(error)

    def _report_output_error(self, error: Exception) -> None:
        if not self._output_failed:
            self._output_failed = True
            with suppress(OSError):
                _print_error(f"the output of {', '.join(self.names)} can't be shown: {error!r}")

    def _end(self) -> None:
        """Interrupts the workers, then the chief, to which they return their trials."""
        for names in (self.names[1:], [CHIEF]):
            processes = [self.processes[name] for name in names if name in self.processes]
            for process in processes:
                if process.poll() is None:
                    process.send_signal(signal.SIGINT)
            _wait(processes, _RETURN_SECONDS)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line and returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m tuner_oracles",
        description="Run a script that calls tuner_oracles.search as a chief and workers.",
    )
    parser.add_argument("--workers", type=int, required=True, help="number of workers")
    parser.add_argument("--port", type=int, help="the chief's port (default: a free one)")
    parser.add_argument(
        "--restarts",
        type=int,
        default=5,
        help="of each process at most, until another trial ends (default: 5)",
    )
    parser.add_argument("script")
    parser.add_argument("arguments", nargs=argparse.REMAINDER)
    options = parser.parse_args(arguments)
    if options.workers < 1:
        parser.error(f"--workers is {options.workers}, expected 1 or more")
    if not os.path.isfile(options.script):
        parser.error(f"there is no script {options.script}")
    command = [sys.executable, options.script, *options.arguments]
    status = Cluster(command, options.workers, port=options.port, restarts=options.restarts).run()
    if status == 130:
        _print_error("stopped; run the same command again to resume")
    return status


def announce_trial_end() -> None:
    """Announces to a launching ``Cluster`` that a trial has ended, by a line that is not shown."""
    if _LAUNCHED in os.environ:
        with suppress(OSError):
            os.write(1, f"{_ENDED}\n".encode())


def _wait(processes: Iterable[subprocess.Popen], seconds: float) -> None:
    """Waits until the processes end; kills those that still run after some seconds."""
    end = time.monotonic() + seconds
    for process in processes:
        try:
            process.wait(max(0.0, end - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _print_error(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def _print(name: str, line: str) -> None:
    sys.stdout.write(f"[{name}] {line}\n")
    sys.stdout.flush()


def _free_port(address: str) -> int:
    with socket.socket() as probe:
        probe.bind((address, 0))
        return probe.getsockname()[1]


def _prepare_child() -> None:
    """Enables Ctrl-C in a child, also if the parent ignores it.

    On Linux the child ends with its parent, however that ends: else it would keep the search's
    folder in use.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if sys.platform == "linux":
        parent_death_signal = 1
        ctypes.CDLL(None).prctl(parent_death_signal, signal.SIGTERM)
