"""The gate of a whole search: one book of decisions, whichever worker asks.

Every decision is a line of ``gate.jsonl``, fsynced under a lock, with the gate's state after it. A
trial that is run again, because its process was killed, is answered from its line.
"""

import os
from pathlib import Path

import msgspec
from filelock import FileLock

from nas_tf.config.schema import Config
from nas_tf.errors import DataError
from nas_tf.runs import files
from nas_tf.runs.record import Decision
from nas_tf.training import gate
from nas_tf.training.gate import Gate


class GateLog:
    """The decisions of a run's gate."""

    def __init__(self, folder: Path, config: Config) -> None:
        self.path = folder / files.GATE
        self._config = config
        self._forget()

    def of(self, trial: str) -> "TrialGate":
        """The gate as one trial meets it."""
        return TrialGate(self, trial)

    def decide(self, trial: str, reward: float) -> bool:
        """The decision on a trial, made now or long ago."""
        with FileLock(self.path.with_suffix(".lock")):
            self._read_on()
            if trial in self._made:
                return self._made[trial]
            whole: Gate = gate.make(self._config.gate, self._config.seed)
            try:
                if self._state is not None:
                    whole.restore(self._state)
                admitted = whole.admits(reward)
            except (KeyError, TypeError, ValueError) as error:
                raise self._damaged(f"its last state is none of a gate, {error!r}") from error
            self._append(Decision(trial, reward, admitted, whole.state()))
            return admitted

    def _forget(self) -> None:
        self._made: dict[str, bool] = {}
        self._state: dict[str, int | float | str] | None = None
        self._end = 0

    def _read_on(self) -> None:
        """Reads what other workers wrote; a line that was cut short is cut off.

        Nobody was told of that one.
        """
        size = self.path.stat().st_size if self.path.exists() else 0
        if size < self._end:
            self._forget()
        if size == self._end:
            return
        with self.path.open("r+b") as file:
            file.seek(self._end)
            whole, newline, rest = file.read().rpartition(b"\n")
            if rest:
                file.truncate(self._end + len(whole) + len(newline))
        try:
            lines = [msgspec.json.decode(line, type=Decision) for line in whole.splitlines()]
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise self._damaged(error) from error
        for line in lines:
            self._made.setdefault(line.trial, line.admitted)
            self._state = line.state
        self._end += len(whole) + len(newline)

    def _damaged(self, why: object) -> DataError:
        return DataError(
            f"{self.path} is damaged: {why}; put back a copy, or delete it, and the gate begins "
            "anew"
        )

    def _append(self, line: Decision) -> None:
        with files.writing(self.path.parent), self.path.open("ab") as file:
            file.write(msgspec.json.encode(line) + b"\n")
            file.flush()
            os.fsync(file.fileno())


class TrialGate:
    """What the evaluation of one trial asks."""

    def __init__(self, book: GateLog, trial: str) -> None:
        self._book, self._trial = book, trial

    def admits(self, reward: float) -> bool:
        """Whether the trial is worth stage two."""
        return self._book.decide(self._trial, reward)
