"""The gate of a whole search: one book of decisions, whichever worker asks.

Every decision is a line of ``gate.jsonl``, fsynced under a lock, with the gate's state after it. A
trial that is run again, because its process was killed, is answered from its line.
"""

import json
import os
from pathlib import Path
from typing import Any

from filelock import FileLock

from nas_tf.config.schema import Experiment
from nas_tf.errors import DataError
from nas_tf.runs import layout
from nas_tf.training import gate
from nas_tf.training.gate import Gate


class GateBook:
    """The decisions of a run's gate."""

    def __init__(self, folder: Path, config: Experiment) -> None:
        self.path = folder / layout.GATE
        self._config = config

    def of(self, trial: str) -> "TrialGate":
        """The gate as one trial meets it."""
        return TrialGate(self, trial)

    def decide(self, trial: str, reward: float) -> bool:
        """The decision on a trial, made now or long ago."""
        with FileLock(self.path.with_suffix(".lock")):
            lines = self._lines()
            for line in lines:
                if line["trial"] == trial:
                    return line["goes_on"]
            whole: Gate = gate.make(self._config.gate, self._config.seed)
            if lines:
                whole.restore(lines[-1]["state"])
            line = {"trial": trial, "reward": reward, "goes_on": whole.goes_on(reward)}
            self._append({**line, "state": whole.state()})
            return line["goes_on"]

    def _lines(self) -> list[dict[str, Any]]:
        """The whole lines; one that was cut short is cut off, for nobody was told of it."""
        if not self.path.exists():
            return []
        content = self.path.read_bytes()
        whole, newline, rest = content.rpartition(b"\n")
        if rest:
            with self.path.open("r+b") as file:
                file.truncate(len(whole) + len(newline))
        try:
            return [json.loads(line) for line in whole.splitlines()]
        except ValueError as error:
            raise DataError(
                f"{self.path} is damaged: {error}; put back a copy, or delete it, and the gate "
                "begins anew"
            ) from error

    def _append(self, line: dict[str, Any]) -> None:
        with layout.writing(self.path.parent), self.path.open("ab") as file:
            file.write(json.dumps(line).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())


class TrialGate:
    """What the evaluation of one trial asks."""

    def __init__(self, book: GateBook, trial: str) -> None:
        self._book, self._trial = book, trial

    def goes_on(self, reward: float) -> bool:
        """Whether the trial is worth stage two."""
        return self._book.decide(self._trial, reward)
