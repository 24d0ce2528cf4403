"""A chief and its workers on one machine, started, watched and restarted.

    python -m tuner_oracles --workers 3 my_search.py [arguments]

The script is run once for each of them and calls ``tuner_oracles.search``; environment variables
tell it which one it is.
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

CHIEF = "chief"
_GRACE = 30.0
_LATEST = 5.0
"""So many seconds after a trial's end its chief has told of it, busy as it may be."""
_LAUNCHED = "TUNER_ORACLES_LAUNCHED"
_ENDED = "\x03"


class Cluster:
    """One chief and ``workers`` workers running ``command``.

    A process that dies is started again under its name, ``restarts`` times at most before another
    trial ends; one that ends with a status in ``hopeless`` would do so again, and ends all.
    ``hear`` gets what they say, by name and line; if it is not given, that is printed.
    """

    def __init__(
        self,
        command: Sequence[str],
        workers: int,
        *,
        address: str = "127.0.0.1",
        port: int | None = None,
        restarts: int = 5,
        hopeless: Collection[int] = (),
        env: Mapping[str, str] | None = None,
        hear: Callable[[str, str], None] | None = None,
    ) -> None:
        if workers < 1:
            raise ValueError(f"workers is {workers}, expected 1 or more")
        self.command = list(command)
        self.names = [CHIEF, *(f"worker-{index}" for index in range(workers))]
        self.address, self.port = address, port or _free_port(address)
        self.processes: dict[str, subprocess.Popen] = {}
        self._env = dict(os.environ if env is None else env)
        self._hopeless, self._hear = hopeless, hear or _print
        self._restarts = restarts
        self._left = dict.fromkeys(self.names, restarts)
        self._deaf = False

    def run(self) -> int:
        """Starts all and waits for the end; the exit status to end with."""
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
                _wait(self.processes.values())
                return 0
            for name in self.names:
                status = self.processes[name].poll()
                if status in self._hopeless:
                    return status
                if status and not self._again(name, status):
                    return 1

    def _again(self, name: str, status: int) -> bool:
        how = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
        if not self._may_again(name):
            _tell(f"{name} {how}, once too often; what was earned is kept")
            return False
        self._left[name] -= 1
        _tell(f"{name} {how}; starting it again")
        time.sleep(0.5)
        self._start(name)
        return True

    def _may_again(self, name: str) -> bool:
        """The chief may not yet have told that the trial before this one has ended."""
        end = time.monotonic() + _LATEST
        while self._left[name] == 0 and time.monotonic() < end:
            time.sleep(0.05)
        return self._left[name] > 0

    def _start(self, name: str) -> None:
        process = subprocess.Popen(
            self.command,
            env=self._env
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
            preexec_fn=_begin,
        )
        self.processes[name] = process
        threading.Thread(target=self._relay, args=(name, process), daemon=True).start()

    def _relay(self, name: str, process: subprocess.Popen) -> None:
        """Passes on what a process says, come what may: its pipe full, it would hang."""
        assert process.stdout is not None
        for line in process.stdout:
            if line.rstrip().endswith(_ENDED):
                self._left = dict.fromkeys(self.names, self._restarts)
            said = line.replace(_ENDED, "").rstrip()
            try:
                if said:
                    self._hear(name, said)
            except Exception as error:
                self._tell_deaf(error)

    def _tell_deaf(self, error: Exception) -> None:
        if not self._deaf:
            self._deaf = True
            with suppress(OSError):
                _tell(f"what {', '.join(self.names)} say can't be shown: {error!r}")

    def _end(self) -> None:
        """Ctrl-C for the workers, then for the chief: they tell it which trials they leave."""
        for names in (self.names[1:], [CHIEF]):
            processes = [self.processes[name] for name in names if name in self.processes]
            for process in processes:
                if process.poll() is None:
                    process.send_signal(signal.SIGINT)
            _wait(processes)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m tuner_oracles",
        description="Run a script that calls tuner_oracles.search as a chief and workers.",
    )
    parser.add_argument("--workers", type=int, required=True, help="how many workers")
    parser.add_argument("--port", type=int, help="the chief's port (default: a free one)")
    parser.add_argument("--restarts", type=int, default=5, help="of each process, at most")
    parser.add_argument("script")
    parser.add_argument("arguments", nargs=argparse.REMAINDER)
    told = parser.parse_args(arguments)
    if told.workers < 1:
        parser.error(f"--workers is {told.workers}, expected 1 or more")
    if not os.path.isfile(told.script):
        parser.error(f"there is no script {told.script}")
    command = [sys.executable, told.script, *told.arguments]
    status = Cluster(command, told.workers, port=told.port, restarts=told.restarts).run()
    if status == 130:
        _tell("stopped; run the same command again to go on")
    return status


def announce_trial_end() -> None:
    """A chief tells who launched it that a trial has ended, by a line that is not shown."""
    if _LAUNCHED in os.environ:
        with suppress(OSError):
            os.write(1, f"{_ENDED}\n".encode())


def _wait(processes: Iterable[subprocess.Popen]) -> None:
    """Gives those that still run some time, then kills them."""
    end = time.monotonic() + _GRACE
    for process in processes:
        try:
            process.wait(max(0.0, end - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _tell(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def _print(name: str, line: str) -> None:
    sys.stdout.write(f"[{name}] {line}\n")
    sys.stdout.flush()


def _free_port(address: str) -> int:
    with socket.socket() as probe:
        probe.bind((address, 0))
        return probe.getsockname()[1]


def _begin() -> None:
    """In a child: Ctrl-C works, also where the parent was told to ignore it.

    On Linux, whatever ends the parent ends the child, or the search's folder stayed in use.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if sys.platform == "linux":
        parent_death_signal = 1
        ctypes.CDLL(None).prctl(parent_death_signal, signal.SIGTERM)
