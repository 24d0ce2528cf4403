"""How a search stands, in one line: done, best, mean, kept by the gate, speed, time left."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from nas_tf.report.words import duration
from nas_tf.runs import TrialRecord, layout
from nas_tf.runs.shelf import Shelf

_RECENT = 10
_FEWEST, _SHORTEST = 3, 60.0
"""So many trials have to take so many seconds before a speed is told: some are refused at once."""


class Headline:
    """Counts trials as they end; those of other workers are read from the run's folder."""

    def __init__(self, folder: Path, total: int) -> None:
        self._shelf, self._total = Shelf(folder), total
        self._gate = folder / layout.GATE
        self._had = len(self._shelf.all())

    def after(self, trial: TrialRecord) -> str:
        """The line after a trial."""
        trials = self._shelf.all()
        completed = [one for one in trials if one.status == "completed"]
        parts = [f"{len(trials)}/{self._total} trials"]
        if completed:
            rewards = [one.reward for one in completed]
            parts.append(f"best {max(rewards):.4f}")
            parts.append(f"mean {sum(rewards) / len(rewards):.4f}")
            if self._gate.exists():  # Hyperband's search has none
                kept = sum(one.stopped != "gate" for one in completed) / len(completed)
                parts.append(f"{kept:.0%} kept by the gate")
        if speed := _speed(trials[self._had :]):
            parts.append(f"{speed * 3600:.0f} trials/h")
            parts.append(f"{duration(max(0, self._total - len(trials)) / speed)} left")
        return "  ".join(parts)


def _speed(trials: Sequence[TrialRecord]) -> float | None:
    """Trials a second, of late; the first is not timed, it waited for TensorFlow and features."""
    first = max(0, len(trials) - _RECENT)
    while first and _between(trials[first], trials[-1]) < _SHORTEST:
        first -= 1
    timed = len(trials) - first - 1
    if timed < _FEWEST or (seconds := _between(trials[first], trials[-1])) < _SHORTEST:
        return None
    return timed / seconds


def _between(first: TrialRecord, last: TrialRecord) -> float:
    """Seconds between the ends of two trials."""
    ended, began = datetime.fromisoformat(last.ended), datetime.fromisoformat(first.ended)
    return (ended - began).total_seconds()
