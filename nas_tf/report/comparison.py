"""Compares runs as numbers: rewards, scores by stage, tests, and the keys that differ."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from nas_tf.errors import ConfigError, DataError
from nas_tf.report.run_statistics import RunStatistics
from nas_tf.runs import Run, TrialRecord
from nas_tf.runs.statistics import Contest, Pairing, contest, paired

TOP = 10
STAGES = ("reward", "stage 1", "stage 2")
"""The figures to compare by: the reward of each trial, and its score after each stage."""

_SAME = ("data.name", "data.target")
_SCORED = (
    *("data.meta_val_share", "data.split_seed", "data.train_split"),
    *("stage_one.crop", "stage_two.crop", "network.weights"),
)
_NONE = "–"
_IRRELEVANT = ("full_training.", "evaluation.", "search.saved_weights")


@dataclass(frozen=True)
class Row:
    """The rewards of one run, or its scores at one stage, with tests against the first run's."""

    run: str
    stage: str
    values: tuple[float, ...]
    against: Contest | None = None
    pairs: Pairing | None = None

    @property
    def best(self) -> float:
        """The highest value."""
        return max(self.values)

    @property
    def mean(self) -> float:
        """The mean value."""
        return float(np.mean(self.values))

    @property
    def median(self) -> float:
        """The median value."""
        return float(np.median(self.values))

    @property
    def top(self) -> float:
        """The mean of the ten highest values."""
        return float(np.mean(sorted(self.values)[-TOP:]))


@dataclass(frozen=True)
class Difference:
    """A key of the configuration whose value differs between runs, with its values."""

    key: str
    values: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.key}: {' | '.join(self.values)}"


@dataclass(frozen=True)
class Comparison:
    """A comparison of runs on the same data; the first run is the baseline of the others."""

    runs: Sequence[Run]

    def __post_init__(self) -> None:
        if len(self.runs) < 2:
            raise ConfigError(f"{len(self.runs)} run is given, expected two or more to compare")
        different_folders([run.folder for run in self.runs])
        for run in self.runs:
            if not run.completed:
                raise DataError(f"{run.folder} has no completed trial yet, expected one at least")
        for difference in self._differing(_SAME):
            raise DataError(
                f"{difference.key} is {' and '.join(difference.values)}: rewards on different "
                "data can't be compared, expected runs on the same"
            )

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Short names of the runs: their folders', with parent folders if these are equal."""
        return short_names([run.folder for run in self.runs])

    @cached_property
    def statistics(self) -> list[RunStatistics]:
        """The statistics of every run."""
        return [RunStatistics(run) for run in self.runs]

    @cached_property
    def stages(self) -> tuple[str, ...]:
        """The stages to compare by: ``reward`` alone if all runs have one stage."""
        return STAGES if any(run.both for run in self.statistics) else STAGES[:1]

    @cached_property
    def rows(self) -> list[Row]:
        """The rows stage by stage, with the runs in the order given."""
        return [
            self._row(stage, number)
            for stage in self.stages
            for number in range(len(self.runs))
            if values_at(self.statistics[number], stage)
        ]

    def _row(self, stage: str, number: int) -> Row:
        own = values_at(self.statistics[number], stage)
        if not number:
            return Row(self.names[number], stage, tuple(own))
        baseline = values_at(self.statistics[0], stage)
        return Row(
            self.names[number],
            stage,
            tuple(own),
            contest(own, baseline),
            self._pairs(stage, number),
        )

    def _pairs(self, stage: str, number: int) -> Pairing | None:
        first, other = (_by_genotype(self.statistics[n], stage) for n in (0, number))
        common = sorted(first.keys() & other.keys())
        return paired(
            [other[genotype] for genotype in common], [first[genotype] for genotype in common]
        )

    @cached_property
    def differences(self) -> list[Difference]:
        """The keys in which the runs differ, except those without effect on a search."""
        return self._differing(
            [key for key in self._keys if not key.startswith(_IRRELEVANT) and key not in _SAME]
        )

    @cached_property
    def warnings(self) -> list[str]:
        """Sentences on what makes the comparison uneven."""
        scored = [difference.key for difference in self._differing(_SCORED)]
        lines = [f"scores were not computed alike: {', '.join(scored)} differ"] if scored else []
        searched = {str(RunStatistics(run).space) for run in self.runs}
        if len(searched) > 1:
            lines.append(f"the runs search different spaces: {', '.join(sorted(searched))}")
        return lines

    @cached_property
    def _keys(self) -> list[str]:
        return list(dict.fromkeys(key for run in self.runs for key in run.settings))

    def _differing(self, keys: Sequence[str]) -> list[Difference]:
        return differing([run.settings for run in self.runs], keys)


def different_folders(folders: Sequence[Path]) -> None:
    """Raises ``ConfigError`` if a folder is given twice."""
    resolved = [folder.resolve() for folder in folders]
    for number, folder in enumerate(resolved):
        if folder in resolved[:number]:
            raise ConfigError(f"{folders[number]} is given twice, expected once")


def short_names(folders: Sequence[Path]) -> tuple[str, ...]:
    """Returns the names of folders, with their parent folders if these are equal."""
    parts = [folder.resolve().parts for folder in folders]
    for length in range(1, max(map(len, parts)) + 1):
        names = tuple("/".join(part[-length:]) for part in parts)
        if len(set(names)) == len(names):
            break
    return names


def differing(settings: Sequence[dict[str, Any]], keys: Sequence[str]) -> list[Difference]:
    """Returns the keys whose values differ; the absence of a whole section counts as one."""
    table = [(key, tuple(_value(found, key) for found in settings)) for key in keys]
    return [Difference(key, values) for key, values in table if len(set(values) - {_NONE}) > 1]


def values_at(statistics: RunStatistics, stage: str) -> list[float]:
    """Returns the rewards of a run's completed trials, or their scores at a stage."""
    found = (_value_at(trial, stage) for trial in statistics.completed)
    return [value for value in found if value is not None]


def spent(statistics: RunStatistics) -> np.ndarray:
    """Returns the seconds spent in all trials, failed ones too, by each completed trial's end."""
    sums = np.cumsum([trial.seconds for trial in statistics.trials])
    return sums[np.array(statistics.x(statistics.completed), int) - 1]


def _value_at(trial: TrialRecord, stage: str) -> float | None:
    if stage == "reward":
        return trial.reward
    number = STAGES.index(stage) - 1
    return trial.stages[number].score if len(trial.stages) > number else None


def _by_genotype(statistics: RunStatistics, stage: str) -> dict[str, float]:
    """Returns the value of every genotype; the mean if it was evaluated more than once."""
    found = defaultdict(list)
    for trial in statistics.completed:
        value = _value_at(trial, stage)
        if value is not None:
            found[trial.genotype].append(value)
    return {genotype: float(np.mean(values)) for genotype, values in found.items()}


def _value(settings: dict[str, Any], key: str) -> str:
    if key in settings:
        value = settings[key]
        return "null" if value is None else str(value)
    if key == "space" and "space.name" in settings:
        arguments = [
            f"{name.removeprefix('space.')}={value}"
            for name, value in settings.items()
            if name.startswith("space.") and name != "space.name"
        ]
        return f"{settings['space.name']} ({', '.join(arguments)})"
    return "given" if any(name.startswith(f"{key}.") for name in settings) else _NONE
