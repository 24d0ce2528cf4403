"""The live line of a training: how far, how fast, how good, how long still."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

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

from nas_tf.cli import relay
from nas_tf.cli.line import Line
from nas_tf.report.words import significant

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
    if relay.PIPED in os.environ:
        yield relay.PipedLine()
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
