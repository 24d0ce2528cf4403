"""The live line of a training: how far, how fast, how good, how long still."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
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
from rich.text import Text


class _Rate(ProgressColumn):
    """Steps or rows a second."""

    def render(self, task: Task) -> Text:
        """Two digits, or nothing before the first steps."""
        speed = task.finished_speed or task.speed
        return Text(f"{speed:.2g}/s" if speed else "")


class LiveLine:
    """One line that follows the steps of a training; plain lines where there is no terminal."""

    def __init__(self, bar: Progress, console: Console) -> None:
        self._bar, self._console, self._what = bar, console, ""
        self._task: TaskID | None = None

    def start(self, what: str, total: int, done: int = 0) -> None:
        """Begins another stretch of work."""
        if self._task is None:
            self._bar.start()
        else:
            self._bar.remove_task(self._task)
        self._what = what
        self._task = self._bar.add_task(what, total=total, completed=done, loss="")

    def at(self, done: int, loss: float) -> None:
        """Shows a step."""
        self._bar.update(self._task, completed=done, loss=f"loss {loss:.3f}")

    def step(self, what: str, done: int, total: int, loss: float) -> None:
        """Shows a step of a stage, which begins with its first."""
        if what != self._what:
            self.start(what, total)
        self.at(done, loss)

    def rows(self, what: str, done: int, total: int) -> None:
        """Shows rows that are done of something without a loss."""
        if what != self._what:
            self.start(what, total)
        self._bar.update(self._task, completed=done)

    def say(self, line: str) -> None:
        """Prints a line that stays."""
        self._console.print(line, highlight=False, markup=False, soft_wrap=True)


@contextmanager
def live_line(console: Console) -> Iterator[LiveLine]:
    """Shows a live line from the first work on, while the block runs."""
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        _Rate(),
        TextColumn("{task.fields[loss]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=console,
    )
    try:
        yield LiveLine(bar, console)
    finally:
        if bar.live.is_started:
            bar.stop()
