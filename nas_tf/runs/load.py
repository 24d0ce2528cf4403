"""A run as it is on disk: finished or not, whole or being written."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from nas_tf.errors import DataError
from nas_tf.runs import files, record
from nas_tf.runs.record import Decision, TrialRecord
from nas_tf.runs.trial_store import TrialStore

if TYPE_CHECKING:
    import pandas


class _About(msgspec.Struct):
    """What ``run.json`` must say for a run to be read; it says more."""

    schema: int
    space: str
    data: str
    oracle: str
    seed: int
    task: str | None = None
    outputs: int | None = None
    input: tuple[int, int] | None = None
    max_trials: int | None = None
    created: str = ""
    command: str = ""
    nas_tf: str = "unknown"
    versions: dict[str, str] = msgspec.field(default_factory=dict)


@dataclass(frozen=True)
class Run:
    """One search's folder, given as a path or a string."""

    folder: Path

    def __post_init__(self) -> None:
        object.__setattr__(self, "folder", Path(self.folder))
        if not (self.folder / files.RUN).exists():
            raise DataError(f"{self.folder} is no run: it has no {files.RUN}")
        if (found := self.about["schema"]) != files.SCHEMA:
            raise DataError(
                f"{self.folder / files.RUN} was written in schema {found}, expected "
                f"{files.SCHEMA}: use the version of nas-tf that wrote it "
                f"({self.about['nas_tf']})"
            )

    @cached_property
    def about(self) -> dict[str, Any]:
        """What made the run."""
        path = self.folder / files.RUN
        try:
            content = path.read_bytes()
            told = msgspec.structs.asdict(msgspec.json.decode(content, type=_About))
            return told | msgspec.json.decode(content)
        except (msgspec.MsgspecError, ValueError, OSError) as error:
            raise DataError(
                f"{path} can't be read: {error}; put back a copy, or delete it, and going on with "
                "the run writes it anew"
            ) from error

    @cached_property
    def settings(self) -> dict[str, Any]:
        """The configuration as resolved, its keys dotted; empty where there is none."""
        path = self.folder / files.CONFIG
        try:
            return dotted(path.read_text(encoding="utf-8")) if path.exists() else {}
        except ValueError as error:
            raise DataError(f"{path} can't be read: {error}") from error

    @cached_property
    def trials(self) -> list[TrialRecord]:
        """Finished trials, in the order in which they ended."""
        return TrialStore(self.folder).all()

    @cached_property
    def decisions(self) -> list[Decision]:
        """What the gate decided, in its order; none where there was none."""
        path = self.folder / files.GATE
        if not path.exists():
            return []
        whole = path.read_bytes().rpartition(b"\n")[0]
        try:
            return [msgspec.json.decode(line, type=Decision) for line in whole.splitlines()]
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise DataError(
                f"{path} is damaged: {error}; put back a copy, or delete it"
            ) from error

    @cached_property
    def has_gate(self) -> bool:
        """Whether a gate decided on trials; Hyperband's halving leaves it nothing to decide."""
        book = self.folder / files.GATE
        return any(trial.stopped == "gate" for trial in self.trials) or (
            book.exists() and book.stat().st_size > 0
        )

    @property
    def completed(self) -> list[TrialRecord]:
        """Those that did not fail."""
        return [trial for trial in self.trials if trial.status == "completed"]

    def best(self, count: int = 1) -> list[TrialRecord]:
        """The best trials, first the very best; of equals the earlier."""
        return sorted(self.completed, key=lambda trial: -trial.reward)[:count]

    def pareto(self, cost: str = "params") -> list[TrialRecord]:
        """Trials that no other beats in both score and cost, cheapest first.

        Trials whose cost is not known are left out, as where latency was not asked for.
        """
        front: list[TrialRecord] = []
        known = [trial for trial in self.completed if getattr(trial, cost) is not None]
        for trial in sorted(known, key=lambda one: (getattr(one, cost), -one.score)):
            if not front or trial.score > front[-1].score:
                front.append(trial)
        return front

    def to_frame(self) -> "pandas.DataFrame":
        """The table of trials."""
        import pandas

        rows: Sequence[dict[str, Any]] = [trial.row() for trial in self.trials]
        return pandas.DataFrame(rows, columns=list(record.COLUMNS))


def dotted(text: str) -> dict[str, Any]:
    """The values of a YAML text by their dotted keys; ValueError where it is none."""
    import yaml

    try:
        return dict(_leaves(yaml.safe_load(text), ""))
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error


def _leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """A list of sections counts its entries, as overrides do; one of plain values is a value."""
    if isinstance(value, list) and any(isinstance(one, dict) for one in value):
        value = dict(enumerate(value))
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, f"{path}.{key}" if path else str(key))
    else:
        yield path, value
