"""Logs the decisions of a search's gate in one file that all workers share.

Every decision is a line of ``gate.jsonl``, fsynced under a lock, with the gate's state after it.
If a trial is run again because its process was killed, its decision is read from its line.
"""

import os
from pathlib import Path

import msgspec
from filelock import FileLock

from nas_tf import files
from nas_tf.config.schema import Config
from nas_tf.runs import filenames, record
from nas_tf.runs.record import Decision
from nas_tf.training import gate
from nas_tf.training.gate import Gate


class GateLog:
    """The decisions of a run's gate.

    Any number of processes may decide at the same time, each with its own instance: a lock file
    orders them. An instance itself is not safe for threads. The log owns ``gate.jsonl`` and cuts
    off an incomplete last line.
    """

    def __init__(self, folder: Path, config: Config) -> None:
        self.path = folder / filenames.GATE
        self._config = config
        self._reset()

    def of(self, trial: str) -> "TrialGate":
        """Returns the gate for one trial."""
        return TrialGate(self, trial)

    def decide(self, trial: str, score: float) -> bool:
        """Returns the decision on a trial: the logged one, or else a new one, which it logs."""
        with FileLock(self.path.with_suffix(".lock")):
            self._read_new()
            if trial in self._decided:
                return self._decided[trial]
            shared: Gate = gate.make(self._config.gate, self._config.seed)
            try:
                if self._state is not None:
                    shared.restore(self._state)
                admitted = shared.admits(score)
            except (KeyError, TypeError, ValueError) as error:
                why = f"its last state is none of a gate, {error!r}"
                raise record.damaged_log(self.path, why) from error
            self._append(Decision(trial, score, admitted, shared.state()))
            return admitted

    def _reset(self) -> None:
        self._decided: dict[str, bool] = {}
        self._state: dict[str, int | float | str] | None = None
        self._end = 0

    def _read_new(self) -> None:
        """Reads the lines of other workers; truncates an incomplete last line.

        No caller has received the decision of such a line.
        """
        size = self.path.stat().st_size if self.path.exists() else 0
        if size < self._end:
            self._reset()
        if size == self._end:
            return
        with self.path.open("r+b") as file:
            file.seek(self._end)
            complete, newline, rest = file.read().rpartition(b"\n")
            if rest:
                file.truncate(self._end + len(complete) + len(newline))
        for line in record.decisions(self.path, complete):
            self._decided.setdefault(line.trial, line.admitted)
            self._state = line.state
        self._end += len(complete) + len(newline)

    def _append(self, line: Decision) -> None:
        with files.reporting_faults(self.path.parent), self.path.open("ab") as file:
            file.write(msgspec.json.encode(line) + b"\n")
            file.flush()
            os.fsync(file.fileno())


class TrialGate:
    """The gate for the evaluation of one trial; its decision is logged."""

    def __init__(self, log: GateLog, trial: str) -> None:
        self._log, self._trial = log, trial

    def admits(self, score: float) -> bool:
        """Returns whether the trial is worth stage two."""
        return self._log.decide(self._trial, score)
