"""Reads a run from its folder, finished or not, also while it is being written."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from nas_tf.errors import DataError
from nas_tf.runs import filenames, record
from nas_tf.runs.record import Decision, RunInfo, TrialRecord
from nas_tf.runs.trial_store import TrialStore

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True)
class Run:
    """The folder of one search, given as a path or a string.

    Everything is read on first use and then cached; nothing is written. For trials that end later,
    make another ``Run``::

        run = Run("runs/search")
        for trial in run.best(3):
            print(trial.reward, trial.genotype)
    """

    folder: Path

    def __post_init__(self) -> None:
        object.__setattr__(self, "folder", Path(self.folder))
        if not (self.folder / filenames.RUN).exists():
            is_training = (self.folder / filenames.GENOTYPE).exists()
            raise DataError(
                f"{self.folder} is the folder of a training, expected that of a search"
                if is_training
                else f"{self.folder} is not the folder of a search: it has no {filenames.RUN}"
            )
        if (found := self.info.schema) != record.SCHEMA:
            raise DataError(
                f"{self.folder / filenames.RUN} was written in schema {found}, expected "
                f"{record.SCHEMA}: use the version of nas-tf that wrote it ({self.info.nas_tf})"
            )

    @cached_property
    def info(self) -> RunInfo:
        """The provenance of the run: the content of ``run.json``."""
        path = self.folder / filenames.RUN
        try:
            return msgspec.json.decode(path.read_bytes(), type=RunInfo)
        except (msgspec.MsgspecError, ValueError, OSError) as error:
            raise DataError(
                f"{path} can't be read: {error}; put back a copy, or delete it, and resuming the "
                "run writes it again"
            ) from error

    @cached_property
    def settings(self) -> dict[str, Any]:
        """The resolved configuration by dotted keys; empty if there is no file."""
        path = self.folder / filenames.CONFIG
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
        """The decisions of the gate, in order; empty if there was no gate."""
        path = self.folder / filenames.GATE
        if not path.exists():
            return []
        return record.decisions(path, path.read_bytes().rpartition(b"\n")[0])

    @cached_property
    def has_gate(self) -> bool:
        """True if a gate decided on trials; under Hyperband's halving none does."""
        log = self.folder / filenames.GATE
        return any(trial.stopped == "gate" for trial in self.trials) or (
            log.exists() and log.stat().st_size > 0
        )

    @property
    def completed(self) -> list[TrialRecord]:
        """The trials that did not fail."""
        return [trial for trial in self.trials if not trial.failed]

    @cached_property
    def mean_rewards(self) -> dict[str, float]:
        """The rewards by which trials rank: means where a network was trained with two seeds."""
        return record.mean_rewards(self.trials)

    def best(self, count: int = 1) -> list[TrialRecord]:
        """Returns the best ``count`` trials, best first; of equals the earlier comes first.

        One that was trained again with a second seed ranks by the mean of both rewards.
        """
        return record.ranked(self.trials)[:count]

    def pareto(self, cost: str = "params") -> list[TrialRecord]:
        """Returns the trials that no other beats in both score and cost, cheapest first.

        Trials of unknown cost are left out, for example of searches that predict no latency.
        """
        front: list[TrialRecord] = []
        known = [
            trial
            for trial in self.completed
            if not trial.repeats and getattr(trial, cost) is not None
        ]
        for trial in sorted(known, key=lambda trial: (getattr(trial, cost), -trial.score)):
            if not front or trial.score > front[-1].score:
                front.append(trial)
        return front

    def to_frame(self) -> "pandas.DataFrame":
        """Returns the table of trials."""
        import pandas

        rows: Sequence[dict[str, Any]] = [trial.row() for trial in self.trials]
        return pandas.DataFrame(rows, columns=list(record.COLUMNS))


def dotted(text: str) -> dict[str, Any]:
    """Returns the values of a YAML text by dotted keys; raises ``ValueError`` if it is no YAML."""
    import yaml

    try:
        return dict(_leaves(yaml.safe_load(text), ""))
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error


RENAMED_KEYS = {
    "data.meta_val": "meta_val_share",
    "data.search_views": "candidate_views",
    "full": "full_training",
    "limits.floor": "failure_score",
    "search.begin_with": "warm_start",
    "search.begin_count": "warm_start_count",
    "search.kept": "saved_weights",
    "search.targets": "goals",
    **{f"search.goals.{cost}.target": "goal" for cost in ("params", "madds", "latency_ms")},
}
"""Keys of configurations by their names in 0.1.0, below the present name of their section."""


def _leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Yields dotted keys and values; lists of sections are indexed, lists of values are values."""
    if isinstance(value, list) and any(isinstance(item, dict) for item in value):
        value = dict(enumerate(value))
    if isinstance(value, dict):
        for key, inner in value.items():
            below = f"{path}.{key}" if path else str(key)
            current = below.removesuffix(str(key)) + RENAMED_KEYS.get(below, str(key))
            yield from _leaves(inner, current)
    else:
        yield path, value
