"""What live lines have in common, shown here or sent to the process that shows them."""

from abc import ABC, abstractmethod


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
