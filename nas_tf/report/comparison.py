"""What sets runs apart, as numbers: rewards stage by stage, tests, and the keys that differ."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from nas_tf.errors import ConfigError, DataError
from nas_tf.report.run_statistics import RunStatistics
from nas_tf.runs import Run, TrialRecord
from nas_tf.runs.statistics import Contest, Pairing, contest, paired

TOP = 10
STAGES = ("reward", "stage 1", "stage 2")
"""``reward`` is that of the stage a trial ended with."""

_SAME = ("data.name", "data.target")
_SCORED = (
    *("data.meta_val", "data.split_seed", "data.train_split"),
    *("stage_one.crop", "stage_two.crop", "network.weights"),
)
_NONE = "–"
_NO_MATTER = ("full.", "evaluation.", "search.kept")


@dataclass(frozen=True)
class Row:
    """The rewards of one run at one stage, and how they stand against the first run's."""

    run: str
    stage: str
    rewards: tuple[float, ...]
    against: Contest | None = None
    pairs: Pairing | None = None

    @property
    def best(self) -> float:
        """The highest."""
        return max(self.rewards)

    @property
    def mean(self) -> float:
        """The mean."""
        return float(np.mean(self.rewards))

    @property
    def median(self) -> float:
        """The median."""
        return float(np.median(self.rewards))

    @property
    def top(self) -> float:
        """The mean of the ten highest."""
        return float(np.mean(sorted(self.rewards)[-TOP:]))


@dataclass(frozen=True)
class Difference:
    """A key of the configuration that is not the same in all runs, and what it is in each."""

    key: str
    values: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.key}: {' | '.join(self.values)}"


@dataclass(frozen=True)
class Comparison:
    """Runs on the same data beside each other; the first is what the others are held against."""

    runs: Sequence[Run]

    def __post_init__(self) -> None:
        if len(self.runs) < 2:
            raise ConfigError(f"{len(self.runs)} run is given, expected two or more to compare")
        folders = [run.folder.resolve() for run in self.runs]
        for number, folder in enumerate(folders):
            if folder in folders[:number]:
                raise ConfigError(f"{self.runs[number].folder} is given twice, expected once")
        for run in self.runs:
            if not run.completed:
                raise DataError(f"{run.folder} has no completed trial yet, expected one at least")
        for one in self._differing(_SAME):
            raise DataError(
                f"{one.key} is {' and '.join(one.values)}: rewards on different data can't be "
                "compared, expected runs on the same"
            )

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Short names of the runs: their folders', with those above where they are alike."""
        parts = [run.folder.resolve().parts for run in self.runs]
        for length in range(1, max(map(len, parts)) + 1):
            names = tuple("/".join(part[-length:]) for part in parts)
            if len(set(names)) == len(names):
                break
        return names

    @cached_property
    def facts(self) -> list[RunStatistics]:
        """Every run looked at by itself."""
        return [RunStatistics(run) for run in self.runs]

    @cached_property
    def stages(self) -> tuple[str, ...]:
        """The stages to compare by; with one stage only, the reward says it all."""
        return STAGES if any(facts.both for facts in self.facts) else STAGES[:1]

    @cached_property
    def rows(self) -> list[Row]:
        """Stage by stage, the runs in the order in which they were given."""
        return [
            self._row(stage, number)
            for stage in self.stages
            for number in range(len(self.runs))
            if rewards(self.facts[number], stage)
        ]

    def _row(self, stage: str, number: int) -> Row:
        own = rewards(self.facts[number], stage)
        if not number:
            return Row(self.names[number], stage, tuple(own))
        theirs = rewards(self.facts[0], stage)
        return Row(
            self.names[number],
            stage,
            tuple(own),
            contest(own, theirs),
            self._pairs(stage, number),
        )

    def _pairs(self, stage: str, number: int) -> Pairing | None:
        first, other = (_by_genotype(self.facts[one], stage) for one in (0, number))
        common = sorted(first.keys() & other.keys())
        return paired([other[one] for one in common], [first[one] for one in common])

    @cached_property
    def differences(self) -> list[Difference]:
        """The keys in which the runs differ, but for those that no search reads."""
        return self._differing(
            [key for key in self._keys if not key.startswith(_NO_MATTER) and key not in _SAME]
        )

    @cached_property
    def warnings(self) -> list[str]:
        """What makes the comparison less than even."""
        scored = [one.key for one in self._differing(_SCORED)]
        lines = [f"rewards were not taken alike: {', '.join(scored)} differ"] if scored else []
        unlike = {run.about["space"] for run in self.runs}
        if len(unlike) > 1:
            lines.append(f"the runs search different spaces: {', '.join(sorted(unlike))}")
        return lines

    @cached_property
    def _keys(self) -> list[str]:
        return list(dict.fromkeys(key for run in self.runs for key in run.settings))

    def _differing(self, keys: Sequence[str]) -> list[Difference]:
        """Keys that differ among the runs that have them; a section that one is without counts."""
        table = [(key, tuple(_value(run.settings, key) for run in self.runs)) for key in keys]
        return [Difference(key, values) for key, values in table if len(set(values) - {_NONE}) > 1]


def rewards(facts: RunStatistics, stage: str) -> list[float]:
    """The rewards of a run's trials at a stage."""
    return [one for one in (_reward(trial, stage) for trial in facts.completed) if one is not None]


def spent(facts: RunStatistics) -> np.ndarray:
    """Seconds that had gone into trials, failed ones too, when each completed trial ended."""
    sums = np.cumsum([trial.seconds for trial in facts.trials])
    return sums[np.array(facts.x(facts.completed), int) - 1]


def _reward(trial: TrialRecord, stage: str) -> float | None:
    if stage == "reward":
        return trial.reward
    number = STAGES.index(stage) - 1
    return trial.stages[number].score if len(trial.stages) > number else None


def _by_genotype(facts: RunStatistics, stage: str) -> dict[str, float]:
    """The reward of every genotype; the mean where one was evaluated more than once."""
    found = defaultdict(list)
    for trial in facts.completed:
        reward = _reward(trial, stage)
        if reward is not None:
            found[trial.genotype].append(reward)
    return {genotype: float(np.mean(values)) for genotype, values in found.items()}


def _value(settings: dict[str, Any], key: str) -> str:
    if key in settings:
        value = settings[key]
        return "null" if value is None else str(value)
    return "given" if any(one.startswith(f"{key}.") for one in settings) else _NONE
