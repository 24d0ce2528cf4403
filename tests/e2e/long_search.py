"""Runs many trials of the auxiliary-cell space at no cost; prints their time and memory.

python long_search.py oracle|run FOLDER TRIALS

``oracle`` is PPO alone, ``run`` a complete tuner that writes the folder of a run. At the end it
takes turns with a search that has just started, in a process of its own called with ``in-turn``;
that of PPO has as many trials behind it as its predictor remembers.
"""

import ctypes
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras_tuner as kt
import psutil

import tuner_oracles
from nas_tf import spaces
from tests.tuner_oracles.searches import GOAL, finish, place

Measures = dict[str, list[float]]
TURNS = 210
BEFORE = {"oracle": 450, "run": 0}
"""The trials that a search which has just started has behind it before its first turn."""


class Allocated(ctypes.Structure):
    """The C library's account of its memory, ``struct mallinfo2``."""

    _fields_ = tuple(
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
            *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
        )
    )


def resident() -> float:
    """Returns the resident MiB, which also depend on how threads met in the allocator."""
    return psutil.Process().memory_info().rss / 2**20


def allocated() -> float:
    """Returns the allocated MiB, or the resident ones if the C library keeps no account."""
    library = ctypes.CDLL(None)
    if not hasattr(library, "mallinfo2"):
        return resident()
    library.mallinfo2.restype = Allocated
    account = library.mallinfo2()
    return (account.uordblks + account.hblkhd) / 2**20


class Meter:
    """Measures each trial: seconds on the clock and of the processor, and memory."""

    def __init__(self, kind: str, folder: Path, trials: int) -> None:
        kinds = ("seconds", "processor", "allocated", "resident", "started")
        self.measures: Measures = {name: [] for name in kinds}
        self._kind, self._folder, self._turns_from = kind, folder, trials - TURNS
        self._started: StartedSearch | None = None
        self._last = self._now()

    def _now(self) -> tuple[float, float]:
        return time.perf_counter(), time.process_time()

    def __call__(self, *_: Any) -> None:
        """Measures a trial that has ended."""
        now = self._now()
        self.measures["seconds"].append(now[0] - self._last[0])
        self.measures["processor"].append(now[1] - self._last[1])
        self.measures["allocated"].append(allocated())
        self.measures["resident"].append(resident())
        if len(self.measures["seconds"]) > self._turns_from:
            self._started = self._started or StartedSearch(self._kind, self._folder / "started")
            self.measures["started"].append(self._started.trial())
        self._last = self._now()


class StartedSearch:
    """A search that has just started: each of its trials runs when it is its turn."""

    def __init__(self, kind: str, folder: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__, kind, str(folder), str(BEFORE[kind] + TURNS), "in-turn"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def trial(self) -> float:
        """Returns the processor's time for its next trial."""
        self._process.stdin.write("next\n")
        self._process.stdin.flush()
        took = next(line for line in self._process.stdout if line.startswith("took "))
        return float(took.split()[1])


class InTurn:
    """The meter of a search that waits for its turn before every trial."""

    def __init__(self, before: int) -> None:
        self._before = before
        if not before:
            self._wait()

    def _wait(self) -> None:
        sys.stdin.readline()
        self._last = time.process_time()

    def __call__(self, *_: Any) -> None:
        """Measures a trial that has ended."""
        if self._before:
            self._before -= 1
            if not self._before:
                self._wait()
            return
        sys.stdout.write(f"\ntook {time.process_time() - self._last}\n")
        sys.stdout.flush()
        self._wait()


def oracle(folder: Path, trials: int, meter: Callable[..., None]) -> None:
    hp = kt.HyperParameters()
    for token in spaces.get("auxcell").tokens:
        hp.Choice(token.name, list(range(token.size)))
    search_oracle = place(
        tuner_oracles.PPOOracle(GOAL, trials, hyperparameters=hp, seed=1, entropy=0.1), folder
    )
    for _ in range(trials):
        trial = search_oracle.create_trial("a")
        finish(search_oracle, trial, sum(trial.hyperparameters.values.values()) / 100)
        meter()


def run(folder: Path, trials: int, meter: Callable[..., None]) -> None:
    from nas_tf.config import load
    from nas_tf.search import TwoStageTuner
    from nas_tf.search.hypermodel import OBJECTIVE
    from tests.search.quick import QuickModel

    config = load("shapes_auxcell", [f"search.trials={trials}", "search.tensorboard=false"])
    space = spaces.get("auxcell")
    tuner = TwoStageTuner(
        QuickModel.of(config, space),
        tuner_oracles.EvolutionOracle(OBJECTIVE, trials, seed=1),
        directory=folder,
        project_name="run",
        on_trial=meter,
    )
    tuner_oracles.search(tuner, verbose=0)


if __name__ == "__main__":
    kinds: dict[str, Callable[..., None]] = {"oracle": oracle, "run": run}
    kind, folder, trials, *in_turn = sys.argv[1:]
    if in_turn:
        kinds[kind](Path(folder), int(trials), InTurn(BEFORE[kind]))
    else:
        measured = Meter(kind, Path(folder), int(trials))
        kinds[kind](Path(folder), int(trials), measured)
        sys.stdout.write("\n" + json.dumps(measured.measures))
