"""How a search stands, in one line: done, best, mean, kept by the gate, speed, time left."""

import time
from pathlib import Path

from nas_tf.runs import TrialRecord, record


class Headline:
    """Counts trials as they end; those of other workers are read from the run's folder."""

    def __init__(self, folder: Path, total: int) -> None:
        self._folder, self._total = folder, total
        self._began = time.monotonic()
        self._had = len(record.read_all(folder))

    def after(self, trial: TrialRecord) -> str:
        """The line after a trial."""
        trials = record.read_all(self._folder)
        completed = [one for one in trials if one.status == "completed"]
        parts = [f"{len(trials)}/{self._total} trials"]
        if completed:
            rewards = [one.reward for one in completed]
            kept = sum(one.stopped != "gate" for one in completed) / len(completed)
            parts.append(f"best {max(rewards):.4f}")
            parts.append(f"mean {sum(rewards) / len(rewards):.4f}")
            parts.append(f"{kept:.0%} kept by the gate")
        speed = (len(trials) - self._had) / max(time.monotonic() - self._began, 1e-9)
        left = max(0, self._total - len(trials)) / speed if speed else 0
        parts.append(f"{speed * 3600:.0f} trials/h")
        parts.append(f"{_duration(left)} left")
        return "  ".join(parts)


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02d} min" if minutes >= 60 else f"{minutes} min"
