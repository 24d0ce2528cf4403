"""How a search stands, in one line: done, best, mean, kept by the gate, speed, time left."""

import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from nas_tf.report.words import duration
from nas_tf.runs import TrialRecord
from nas_tf.runs.shelf import Shelf

_RECENT = 10


class Headline:
    """Counts trials as they end; those of other workers are read from the run's folder."""

    def __init__(self, folder: Path, total: int) -> None:
        self._shelf, self._total = Shelf(folder), total
        self._began = time.monotonic()
        self._had = len(self._shelf.all())

    def after(self, trial: TrialRecord) -> str:
        """The line after a trial."""
        trials = self._shelf.all()
        completed = [one for one in trials if one.status == "completed"]
        parts = [f"{len(trials)}/{self._total} trials"]
        if completed:
            rewards = [one.reward for one in completed]
            kept = sum(one.stopped != "gate" for one in completed) / len(completed)
            parts.append(f"best {max(rewards):.4f}")
            parts.append(f"mean {sum(rewards) / len(rewards):.4f}")
            parts.append(f"{kept:.0%} kept by the gate")
        speed = self._speed(trials[self._had :])
        parts.append(f"{speed * 3600:.0f} trials/h")
        parts.append(f"{duration(max(0, self._total - len(trials)) / speed)} left")
        return "  ".join(parts)

    def _speed(self, trials: Sequence[TrialRecord]) -> float:
        """Trials a second, of late: the first waited for TensorFlow and for features."""
        if len(trials) < 2:
            return 1 / max(time.monotonic() - self._began, 1e-9)
        recent = [datetime.fromisoformat(one.ended) for one in trials[-_RECENT:]]
        return (len(recent) - 1) / max((recent[-1] - recent[0]).total_seconds(), 1e-9)
