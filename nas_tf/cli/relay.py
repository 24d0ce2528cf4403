"""Live lines of workers, shown by the process that started them.

A worker writes what it does as JSON behind a mark; everything else it prints is a plain line.
"""

import json
import time
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

from nas_tf.cli.line import Line

if TYPE_CHECKING:
    from nas_tf.cli.progress import Bars, LiveLine

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

    def __init__(self, bars: "Bars", console: Console) -> None:
        self._bars, self._console = bars, console
        self._lines: dict[str, LiveLine] = {}

    def hear(self, name: str, line: str) -> None:
        """Shows a line of a worker, or does what it sends."""
        from nas_tf.cli.progress import LiveLine

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
