"""Computes the statistics of a run that ``plots`` and ``page`` show."""

import itertools
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from nas_tf import spaces
from nas_tf.errors import DataError, NasTfError
from nas_tf.runs import Reranking, Run, TrialRecord, filenames
from nas_tf.runs.reranking import other_metric_of
from nas_tf.runs.statistics import Correlation, spearman
from nas_tf.spaces import SearchSpace

WINDOWS = 10
MOST_WORDS = 14
ALIKE = 0.005
"""The distance from their median up to which scores count as equal, unless they are tiny."""
NEARLY_ALL = 0.8
PARTS = {
    "build": ("build",),
    "trace": ("trace", "validate_trace"),
    "input": ("input",),
    "steps": ("steps",),
    "validation": ("validate",),
}
"""Groups of the times recorded in a trial, by the name of their sum."""


@dataclass(frozen=True)
class Shares:
    """The frequency of each choice of a kind by window of trials, and its association with reward.

    ``shares`` has a row for each word and a column for each window. ``effects`` is the mean reward
    of trials with the word less that of trials without, with its standard error; NaN if one side
    has fewer than two trials.
    """

    kind: str
    words: tuple[str, ...]
    edges: tuple[int, ...]
    shares: np.ndarray
    effects: np.ndarray


@dataclass(frozen=True)
class RunStatistics:
    """The statistics of a run's finished trials, computed on first use and cached."""

    run: Run

    @cached_property
    def space(self) -> SearchSpace:
        """The space that was searched."""
        try:
            return spaces.get(self.run.info.space)
        except NasTfError as error:
            raise DataError(f"{self.run.folder / filenames.RUN}: {error}") from error

    @cached_property
    def trials(self) -> list[TrialRecord]:
        """The finished trials, in the order in which they ended."""
        return self.run.trials

    @cached_property
    def numbers(self) -> dict[str, int]:
        """The number of each trial by its name, from 1."""
        return {trial.trial: number for number, trial in enumerate(self.trials, 1)}

    @cached_property
    def completed(self) -> list[TrialRecord]:
        """The trials that did not fail."""
        return self.run.completed

    @cached_property
    def gated(self) -> list[TrialRecord]:
        """The trials that the gate stopped."""
        return [trial for trial in self.completed if trial.stopped == "gate"]

    @cached_property
    def failed(self) -> list[TrialRecord]:
        """The trials that failed."""
        return [trial for trial in self.trials if trial.status == "failed"]

    @cached_property
    def both(self) -> list[TrialRecord]:
        """The trials that passed through both stages."""
        return [trial for trial in self.completed if len(trial.stages) > 1]

    def x(self, trials: Sequence[TrialRecord]) -> list[int]:
        """Returns the numbers of trials, for an axis."""
        return [self.numbers[trial.trial] for trial in trials]

    @cached_property
    def best_so_far(self) -> np.ndarray:
        """The best reward up to each completed trial."""
        return np.maximum.accumulate([trial.reward for trial in self.completed])

    def running_mean(self, window: int = 20) -> np.ndarray:
        """Returns the mean reward of the last ``window`` completed trials, at each of them."""
        return running_mean([trial.reward for trial in self.completed], window)

    def stage_scores(self, stage: int) -> list[float]:
        """Returns the scores after a stage, of all trials that completed it."""
        return [trial.stages[stage].score for trial in self.completed if len(trial.stages) > stage]

    @cached_property
    def bar(self) -> dict[int, float]:
        """The mean with which the gate compared, by the number of the trial.

        The paper's gate compares with the mean before a score, the authors' with the one after.
        """
        bar, before = {}, None
        for line in self.run.decisions:
            after = line.state.get("mean")
            mean = after if line.state.get("policy") == "authors" else before
            if isinstance(mean, float) and line.trial in self.numbers:
                bar[self.numbers[line.trial]] = mean
            before = after
        return dict(sorted(bar.items()))

    @cached_property
    def stage_correlation(self) -> Correlation | None:
        """The rank correlation of scores after stage one with those after stage two."""
        firsts = [trial.stages[0].score for trial in self.both]
        return spearman(firsts, [trial.stages[1].score for trial in self.both])

    @cached_property
    def alike(self) -> list[float]:
        """The scores that equal their median, if nearly all do; else empty."""
        scores = [trial.score for trial in self.completed if trial.stages]
        if len(scores) < 2:
            return []
        median = float(np.median(scores))
        distance = min(ALIKE, abs(median) / 2)
        equal = [score for score in scores if abs(score - median) <= distance]
        return equal if len(equal) >= NEARLY_ALL * len(scores) else []

    @cached_property
    def other_metric(self) -> dict[str, float]:
        """The task's first metric by trial, where the score is another figure; else empty."""
        found = {trial.trial: other_metric_of(trial) for trial in self.completed}
        return {name: figure[1] for name, figure in found.items() if figure is not None}

    @cached_property
    def reranking(self) -> Reranking | None:
        """The reranking of the run, if some of its trials were trained longer."""
        return Reranking.of(self.run)

    @cached_property
    def seconds(self) -> dict[str, np.ndarray]:
        """The seconds of each trial by activity; ``other`` is the rest."""
        table = {}
        for stage, name in enumerate(("stage 1", "stage 2")):
            for part, keys in PARTS.items():
                table[f"{name} {part}"] = np.array(
                    [_seconds(trial, stage, keys) for trial in self.trials]
                )
        total = np.array([trial.seconds for trial in self.trials])
        return table | {"other": np.maximum(0.0, total - sum(table.values()))}

    @cached_property
    def shares(self) -> list[Shares]:
        """The frequencies and effects of every kind of choice, and of the output's stride."""
        chosen = [self.space.choices(trial.parsed) for trial in self.completed]
        kinds = {kind: [words[kind] for words in chosen] for kind in (chosen or [{}])[0]}
        strides = [trial.output_stride for trial in self.completed]
        if all(strides) and len(set(strides)) > 1:
            kinds["output stride"] = [[f"stride {stride}"] for stride in strides]
        return [self._shares(kind, words) for kind, words in kinds.items()]

    def _shares(self, kind: str, chosen: list[list[str]]) -> Shares:
        counts = Counter(word for words in chosen for word in words)
        ordered = self.space.vocabulary.get(kind, ())
        words = (
            *ordered,
            *sorted((word for word in counts if word not in ordered), key=_numbers_last),
        )
        words = words[:MOST_WORDS]
        windows = max(1, min(WINDOWS, len(chosen) // 5))
        edges = np.linspace(0, len(chosen), windows + 1).astype(int)
        shares = np.zeros((len(words), windows))
        for column, (start, end) in enumerate(itertools.pairwise(edges)):
            within = Counter(word for words in chosen[start:end] for word in words)
            total = max(1, sum(within.values()))
            shares[:, column] = [within[word] / total for word in words]
        rewards = np.array([trial.reward for trial in self.completed])
        has = np.array([[word in choice for choice in chosen] for word in words])
        effects = np.array([_effect(rewards, row) for row in has]).reshape(len(words), 2)
        return Shares(kind, words, tuple(edges.tolist()), shares, effects)


def running_mean(values: Sequence[float], window: int) -> np.ndarray:
    """Returns the mean of the last ``window`` values at each one, of fewer at the start."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    ends = np.arange(1, len(values) + 1)
    starts = np.maximum(0, ends - window)
    return (sums[ends] - sums[starts]) / (ends - starts)


def _numbers_last(word: str) -> list[tuple[int, str]]:
    """Returns a key that sorts ``block 2`` before ``block 10``."""
    return [(int(part or 0), text) for text, part in re.findall(r"(\D*)(\d*)", word)]


def _seconds(trial: TrialRecord, stage: int, keys: Sequence[str]) -> float:
    if len(trial.stages) <= stage:
        return 0.0
    return sum(trial.stages[stage].seconds.get(key, 0.0) for key in keys)


def _effect(rewards: np.ndarray, has: np.ndarray) -> tuple[float, float]:
    inside, outside = rewards[has], rewards[~has]
    if min(len(inside), len(outside)) < 2:
        return float("nan"), float("nan")
    error = np.sqrt(inside.var(ddof=1) / len(inside) + outside.var(ddof=1) / len(outside))
    return float(inside.mean() - outside.mean()), float(error)


_NUMBER = re.compile(
    r"(?<![\w.])-?(?:\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?(?:e[+-]?\d+)?)(?!\w)"
)


@dataclass(frozen=True)
class Failure:
    """A reason of failures, and the trials that failed for it, in order."""

    reason: str
    trials: tuple[TrialRecord, ...]


def group_failures(trials: Iterable[TrialRecord]) -> list[Failure]:
    """Groups the failed trials by reason, the most common first.

    Reasons that differ only in their numbers are one group, whose reason states each number's
    range.
    """
    groups: dict[tuple[str, ...], list[TrialRecord]] = {}
    for trial in trials:
        if trial.status == "failed":
            groups.setdefault(tuple(_NUMBER.split(_reason(trial))), []).append(trial)
    ordered = sorted(groups.items(), key=lambda group: -len(group[1]))
    return [Failure(_shared_reason(words, same), tuple(same)) for words, same in ordered]


def _reason(trial: TrialRecord) -> str:
    return trial.stopped or "unknown"


def _shared_reason(words: tuple[str, ...], same: list[TrialRecord]) -> str:
    """Returns the words that reasons share, with the range of each number."""
    places = zip(*(_NUMBER.findall(_reason(trial)) for trial in same), strict=True)
    numbers = [_range(found) for found in places]
    return "".join(itertools.chain(*itertools.zip_longest(words, numbers, fillvalue="")))


def _range(found: tuple[str, ...]) -> str:
    low, high = min(found, key=_value), max(found, key=_value)
    return low if _value(low) == _value(high) else f"{low} to {high}"


def _value(number: str) -> float:
    return float(number.replace(",", ""))
