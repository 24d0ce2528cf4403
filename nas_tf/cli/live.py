"""What live lines have in common, shown here or sent to the process that shows them."""

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

from nas_tf.report.formatting import duration, significant
from nas_tf.runs import TrialRecord, files
from nas_tf.runs.trial_store import TrialStore


class Line(ABC):
    """Follows the steps of stretches of work; a stretch begins with its first step."""

    _what = ""

    def start(self, what: str, total: int, done: int = 0) -> None:
        """Begins another stretch of work."""
        self._what = what
        self._start(what, total, done)

    def step(self, what: str, done: int, total: int, loss: float) -> None:
        """Shows a step of a stage."""
        if what != self._what:
            self.start(what, total)
        self.at(done, loss)

    def rows(self, what: str, done: int, total: int) -> None:
        """Shows rows that are done of something without a loss."""
        if what != self._what:
            self.start(what, total)
        self._row(done, total)

    @abstractmethod
    def at(self, done: int, loss: float) -> None:
        """Shows a step of the work begun."""

    @abstractmethod
    def head(self, line: str) -> None:
        """Sets the header."""

    @abstractmethod
    def say(self, line: str) -> None:
        """Prints a line that stays."""

    @abstractmethod
    def _start(self, what: str, total: int, done: int) -> None: ...

    @abstractmethod
    def _row(self, done: int, total: int) -> None: ...


SILENCE = 30.0
"""So many seconds a log that is no terminal is silent at most while steps are made."""


class _What(ProgressColumn):
    """What is under way: it is cut, as the bar is, where the figures leave too little room."""

    def render(self, task: Task) -> Text:
        """One line of text, whatever is in it."""
        return Text(task.description, no_wrap=True, overflow="ellipsis")


class _Rate(ProgressColumn):
    """Steps or rows a second."""

    def render(self, task: Task) -> Text:
        """Two digits, or nothing before the first steps."""
        speed = task.finished_speed or task.speed
        return Text(f"{significant(speed, 2)}/s" if speed else "")


class Bars(Progress):
    """Live lines below a header, if there is one."""

    header = ""

    def get_renderables(self) -> Iterator[RenderableType]:
        """The header, then the lines."""
        if self.header:
            yield Text(self.header, style="bold", no_wrap=True, overflow="ellipsis")
        yield from super().get_renderables()


class LiveLine(Line):
    """One line that follows the steps of a training; plain lines where there is no terminal.

    ``name`` is that of the worker whose line it is, where there are several.
    """

    def __init__(self, bar: Bars, console: Console, name: str = "") -> None:
        self._bar, self._console, self._name = bar, console, name
        self._task: TaskID | None = None
        self._total, self._said = 0, time.monotonic()

    def at(self, done: int, loss: float) -> None:
        """Shows a step."""
        self._bar.update(self._task, completed=done, loss=f"loss {loss:.3f}")
        self._say_at_times(f"{done} of {self._total}, loss {loss:.3f}")

    def head(self, line: str) -> None:
        """Sets the header; where there is no terminal it is a line like others."""
        if self._console.is_terminal:
            self._bar.header = line
        else:
            self.say(line)

    def say(self, line: str) -> None:
        """Prints a line that stays."""
        self._said = time.monotonic()
        self._console.print(line, highlight=False, markup=False, soft_wrap=True)

    def _start(self, what: str, total: int, done: int) -> None:
        if self._task is None:
            self._bar.start()
        else:
            self._bar.remove_task(self._task)
        label = f"{self._name}  {what}" if self._name else what
        self._total = total
        self._task = self._bar.add_task(label, total=total, completed=done, loss="")

    def _row(self, done: int, total: int) -> None:
        self._bar.update(self._task, completed=done)
        self._say_at_times(f"{done} of {self._total}")

    def _say_at_times(self, how_far: str) -> None:
        if not self._console.is_terminal and time.monotonic() - self._said >= SILENCE:
            name = f"{self._name}: " if self._name else ""
            self.say(f"{name}{self._what}: {how_far}")


@contextmanager
def live_line(console: Console) -> Iterator[Line]:
    """Shows a live line from the first work on, while the block runs.

    In a worker whose output another process shows, the line is sent there.
    """
    if PIPED in os.environ:
        yield PipedLine()
        return
    with bars(console) as shown:
        yield LiveLine(shown, console)


@contextmanager
def bars(console: Console) -> Iterator[Bars]:
    """Place for live lines, while the block runs; nothing is drawn where there is no terminal."""
    whole = Column(no_wrap=True)
    bar = Bars(
        _What(),
        BarColumn(bar_width=20),
        MofNCompleteColumn(table_column=whole),
        _Rate(table_column=whole),
        TextColumn("{task.fields[loss]}", table_column=whole),
        TimeElapsedColumn(table_column=whole),
        TextColumn("left", table_column=whole),
        TimeRemainingColumn(table_column=whole),
        console=console,
        disable=not console.is_terminal,
    )
    try:
        yield bar
    finally:
        if bar.live.is_started:
            bar.stop()


PIPED = "NAS_TF_PIPED"
"""Environment variable that tells a worker to send its line."""

_MARK = "\x02"
_PAUSE = 0.25


class PipedLine(Line):
    """The worker's side: a live line that is sent instead of shown."""

    def __init__(self) -> None:
        self._sent = 0.0

    def at(self, done: int, loss: float) -> None:
        """Sends a step, of many the newest."""
        if self._due():
            self._send("at", done, loss)

    def head(self, line: str) -> None:
        """Sends the header."""
        self._send("head", line)

    def say(self, line: str) -> None:
        """Sends a line that stays."""
        self._send("say", line)

    def _start(self, what: str, total: int, done: int) -> None:
        self._send("start", what, total, done)

    def _row(self, done: int, total: int) -> None:
        if self._due() or done == total:
            self._send("rows", self._what, done, total)

    def _due(self) -> bool:
        now = time.monotonic()
        due = now - self._sent > _PAUSE
        if due:
            self._sent = now
        return due

    def _send(self, what: str, *arguments: Any) -> None:
        click.echo(_MARK + json.dumps([what, *arguments]))


class Relay:
    """The other side: a live line for each worker; ``hear`` takes what they print."""

    def __init__(self, bars: Bars, console: Console) -> None:
        self._bars, self._console = bars, console
        self._lines: dict[str, LiveLine] = {}

    def hear(self, name: str, line: str) -> None:
        """Shows a line of a worker, or does what it sends."""
        if name not in self._lines:
            self._lines[name] = LiveLine(self._bars, self._console, name)
        mine = self._lines[name]
        if not line.startswith(_MARK):
            mine.say(f"{name}: {line}")
            return
        what, *arguments = json.loads(line[1:])
        if what == "say":
            mine.say(f"{name}: {arguments[0]}")
        else:
            getattr(mine, what)(*arguments)


_RECENT = 10
_FEWEST, _SHORTEST = 3, 60.0
"""So many trials have to take so many seconds before a speed is told: some are refused at once."""


class Headline:
    """Counts trials as they end; those of other workers are read from the run's folder."""

    def __init__(self, folder: Path, total: int) -> None:
        self._shelf, self._total = TrialStore(folder), total
        self._gate = folder / files.GATE
        self._had = len(self._shelf.all())

    def after(self, trial: TrialRecord) -> str:
        """The line after a trial."""
        trials = self._shelf.all()
        completed = [trial for trial in trials if trial.status == "completed"]
        parts = [f"{len(trials)}/{self._total} trials"]
        if completed:
            rewards = [trial.reward for trial in completed]
            parts.append(f"best {max(rewards):.4f}")
            parts.append(f"mean {sum(rewards) / len(rewards):.4f}")
            if self._gate.exists():  # Hyperband's search has none
                kept = sum(trial.stopped != "gate" for trial in completed) / len(completed)
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
