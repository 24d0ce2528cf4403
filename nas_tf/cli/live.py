"""Live progress lines: shown on a terminal, printed to a log, or sent from a worker process.

``live_line`` yields the ``Line`` of this process. In a worker it is a ``PipedLine``, whose calls
are sent as lines of JSON on standard output; the process that started the workers passes these to
a ``Relay``, which shows a ``LiveLine`` for each worker. ``Headline`` composes the header of a
search.
"""

import json
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import click
from rich.console import Console, RenderableType
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Column
from rich.text import Text

from nas_tf.report.formatting import duration, score, significant
from nas_tf.runs import TrialRecord, filenames
from nas_tf.runs.trial_store import TrialStore

PIPED = "NAS_TF_PIPED"
"""The environment variable that makes a worker send its line instead of showing it."""

SILENCE = 30.0
"""The most seconds without a message, while steps are made, if the output is no terminal."""

_MARK = "\x02"
_SEND_INTERVAL = 0.25
_RECENT = 10
_MIN_TRIALS, _MIN_SECONDS = 3, 60.0
"""The least number of trials, and their least time, for a speed: some are refused at once."""


@contextmanager
def live_line(console: Console) -> Iterator["Line"]:
    """Yields a line that is shown from its first activity to the end of the block.

    In a worker whose output another process shows, the line is sent to that process.
    """
    if PIPED in os.environ:
        yield PipedLine()
        return
    with bars(console) as shown:
        yield LiveLine(shown, console)


@contextmanager
def bars(console: Console) -> Iterator["Bars"]:
    """Yields a display for live lines; it draws nothing if the console is no terminal."""
    unwrapped = Column(no_wrap=True)
    display = Bars(
        _Activity(),
        BarColumn(bar_width=20),
        MofNCompleteColumn(table_column=unwrapped),
        _Rate(table_column=unwrapped),
        TextColumn("{task.fields[loss]}", table_column=unwrapped),
        TimeElapsedColumn(table_column=unwrapped),
        TextColumn("left", table_column=unwrapped),
        TimeRemainingColumn(table_column=unwrapped),
        console=console,
        disable=not console.is_terminal,
    )
    try:
        yield display
    finally:
        if display.live.is_started:
            display.stop()


class Line(ABC):
    """Follows the steps of one activity after another; each starts with its first step."""

    _activity = ""

    def start(self, activity: str, total: int, done: int = 0) -> None:
        """Starts another activity of ``total`` steps or rows."""
        self._activity = activity
        self._start(activity, total, done)

    def step(self, activity: str, done: int, total: int, loss: float) -> None:
        """Shows a step of an activity, and starts the activity if it is a new one."""
        if activity != self._activity:
            self.start(activity, total)
        self.update(done, loss)

    def rows(self, activity: str, done: int, total: int) -> None:
        """Shows the number of finished rows of an activity that has no loss."""
        if activity != self._activity:
            self.start(activity, total)
        self._update_rows(done, total)

    @abstractmethod
    def update(self, done: int, loss: float) -> None:
        """Shows a step of the current activity."""

    @abstractmethod
    def set_header(self, line: str) -> None:
        """Sets the header above all live lines."""

    @abstractmethod
    def print_line(self, line: str) -> None:
        """Prints a line that stays above the live lines."""

    @abstractmethod
    def _start(self, activity: str, total: int, done: int) -> None: ...

    @abstractmethod
    def _update_rows(self, done: int, total: int) -> None: ...


class LiveLine(Line):
    """A line with a bar, rate and time left; on a log, plain lines at intervals of ``SILENCE``.

    ``name`` is that of the worker whose line it is, if there are several.
    """

    def __init__(self, display: "Bars", console: Console, name: str = "") -> None:
        self._display, self._console, self._name = display, console, name
        self._task: TaskID | None = None
        self._total, self._printed_at = 0, time.monotonic()

    def update(self, done: int, loss: float) -> None:
        """Shows a step."""
        self._display.update(self._task, completed=done, loss=f"loss {loss:.3f}")
        self._print_at_intervals(f"{done} of {self._total}, loss {loss:.3f}")

    def set_header(self, line: str) -> None:
        """Sets the header; on a log it is printed like other lines."""
        if self._console.is_terminal:
            self._display.header = line
        else:
            self.print_line(line)

    def print_line(self, line: str) -> None:
        """Prints a line that stays."""
        self._printed_at = time.monotonic()
        self._console.print(line, highlight=False, markup=False, soft_wrap=True)

    def _start(self, activity: str, total: int, done: int) -> None:
        if self._task is None:
            self._display.start()
        else:
            self._display.remove_task(self._task)
        label = f"{self._name}  {activity}" if self._name else activity
        self._total = total
        self._task = self._display.add_task(label, total=total, completed=done, loss="")

    def _update_rows(self, done: int, total: int) -> None:
        self._display.update(self._task, completed=done)
        self._print_at_intervals(f"{done} of {self._total}")

    def _print_at_intervals(self, progress: str) -> None:
        if not self._console.is_terminal and time.monotonic() - self._printed_at >= SILENCE:
            name = f"{self._name}: " if self._name else ""
            self.print_line(f"{name}{self._activity}: {progress}")


class PipedLine(Line):
    """The worker's end of the pipe: sends its calls to a ``Relay``, by the methods' names."""

    def __init__(self) -> None:
        self._sent_at = 0.0

    def update(self, done: int, loss: float) -> None:
        """Sends a step, unless another was sent within the last quarter of a second."""
        if self._is_due():
            self._send("update", done, loss)

    def set_header(self, line: str) -> None:
        """Sends the header."""
        self._send("set_header", line)

    def print_line(self, line: str) -> None:
        """Sends a line that stays."""
        self._send("print_line", line)

    def _start(self, activity: str, total: int, done: int) -> None:
        self._send("start", activity, total, done)

    def _update_rows(self, done: int, total: int) -> None:
        if self._is_due() or done == total:
            self._send("rows", self._activity, done, total)

    def _is_due(self) -> bool:
        now = time.monotonic()
        due = now - self._sent_at > _SEND_INTERVAL
        if due:
            self._sent_at = now
        return due

    def _send(self, method: str, *arguments: Any) -> None:
        click.echo(_MARK + json.dumps([method, *arguments]))


class Relay:
    """The other end of the pipe: shows a live line for each worker.

    ``on_line`` is called with every line that the workers print.
    """

    def __init__(self, display: "Bars", console: Console) -> None:
        self._display, self._console = display, console
        self._lines: dict[str, LiveLine] = {}

    def on_line(self, name: str, line: str) -> None:
        """Prints a worker's line, or makes the call that it carries."""
        if name not in self._lines:
            self._lines[name] = LiveLine(self._display, self._console, name)
        shown = self._lines[name]
        if not line.startswith(_MARK):
            shown.print_line(f"{name}: {line}")
            return
        method, *arguments = json.loads(line[1:])
        if method == "print_line":
            shown.print_line(f"{name}: {arguments[0]}")
        else:
            getattr(shown, method)(*arguments)


class Bars(Progress):
    """Live lines below a header, if there is one."""

    header = ""

    def get_renderables(self) -> Iterator[RenderableType]:
        """Yields the header, then the lines."""
        if self.header:
            yield Text(self.header, style="bold", no_wrap=True, overflow="ellipsis")
        yield from super().get_renderables()


class _Activity(ProgressColumn):
    """The name of the activity, cut where the figures leave too little space."""

    def render(self, task: Task) -> Text:
        """Returns one line of text."""
        return Text(task.description, no_wrap=True, overflow="ellipsis")


class _Rate(ProgressColumn):
    """Steps or rows per second."""

    def render(self, task: Task) -> Text:
        """Returns the rate with two digits, or nothing before the first steps."""
        speed = task.finished_speed or task.speed
        return Text(f"{significant(speed, 2)}/s" if speed else "")


class Headline:
    """Composes the header of a search from all trials in its folder, other workers' included."""

    def __init__(self, folder: Path, total: int) -> None:
        self._store, self._total = TrialStore(folder), total
        self._gate = folder / filenames.GATE
        self._count_before = len(self._store.all())

    def after(self, trial: TrialRecord) -> str:
        """Returns the header after a trial: trials, rewards, gate, speed and time left."""
        trials = self._store.all()
        completed = [trial for trial in trials if trial.status == "completed"]
        parts = [f"{len(trials)}/{self._total} trials"]
        if completed:
            rewards = [trial.reward for trial in completed]
            parts.append(f"best {score(max(rewards))}")
            parts.append(f"mean {score(sum(rewards) / len(rewards))}")
            if self._gate.exists():  # Hyperband's search has none
                passed = sum(trial.stopped != "gate" for trial in completed) / len(completed)
                parts.append(f"{passed:.0%} kept by the gate")
        if speed := _speed(trials[self._count_before :]):
            parts.append(f"{speed * 3600:.0f} trials/h")
            parts.append(f"{duration(max(0, self._total - len(trials)) / speed)} left")
        return "  ".join(parts)


def _speed(trials: Sequence[TrialRecord]) -> float | None:
    """Returns recent trials per second, without the first, which waits for TensorFlow and data."""
    first = max(0, len(trials) - _RECENT)
    while first and _seconds_between(trials[first], trials[-1]) < _MIN_SECONDS:
        first -= 1
    timed = len(trials) - first - 1
    if timed < _MIN_TRIALS:
        return None
    seconds = _seconds_between(trials[first], trials[-1])
    return None if seconds < _MIN_SECONDS else timed / seconds


def _seconds_between(first: TrialRecord, last: TrialRecord) -> float:
    """Returns the seconds between the ends of two trials."""
    ended, started = datetime.fromisoformat(last.ended), datetime.fromisoformat(first.ended)
    return (ended - started).total_seconds()
