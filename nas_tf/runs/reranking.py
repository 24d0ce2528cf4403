"""Reads a reranking: trials of a search that were trained longer, paired with the search's.

They are a run of their own in the folder ``rerank`` of the search; a trial has one name in both.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from nas_tf.runs import filenames
from nas_tf.runs.load import Run
from nas_tf.runs.record import TrialRecord
from nas_tf.runs.statistics import Correlation, spearman

BASELINE = "baseline"
"""The name of the network with nothing that was searched, among the longer trainings."""


@dataclass(frozen=True)
class Pair:
    """One candidate in the search and after longer training, with its ranks.

    ``rank`` and ``rank_longer`` are among the candidates trained longer, ``rank_of_all`` is among
    all trials of the search.
    """

    search: TrialRecord
    longer: TrialRecord
    is_top: bool
    rank: int
    rank_longer: int
    rank_of_all: int

    @property
    def other_metric(self) -> tuple[str, float] | None:
        """The task's first metric after the longer training, if the score is another figure."""
        return other_metric_of(self.longer)


@dataclass(frozen=True)
class Reranking:
    """A search, and the run that trains some of its candidates longer.

    Scores are compared, not rewards: a penalty on cost is the same before and after.
    """

    run: Run
    longer: Run

    @classmethod
    def of(cls, run: Run) -> "Reranking | None":
        """Returns the reranking of a run, or None if there is none."""
        folder = run.folder / filenames.RERANK
        return cls(run, Run(folder)) if (folder / filenames.RUN).exists() else None

    @property
    def top(self) -> tuple[str, ...]:
        """The names of the search's best trials at the start of the reranking."""
        return self.longer.info.top

    @property
    def sample(self) -> tuple[str, ...]:
        """The names of the trials sampled from the rest, from the best to the worst."""
        return self.longer.info.sample

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all candidates, in the order of their training."""
        baseline = () if self.longer.info.baseline is None else (BASELINE,)
        return (*baseline, *self.top, *self.sample)

    @property
    def baseline(self) -> TrialRecord | None:
        """The longer training of the network with nothing that was searched, if it succeeded."""
        return next((trial for trial in self.longer.completed if trial.trial == BASELINE), None)

    @cached_property
    def pairs(self) -> list[Pair]:
        """The candidates that completed the longer training, the best after it first."""
        searched = {trial.trial: trial for trial in self.run.completed}
        of_all = {trial.trial: n for n, trial in enumerate(self.run.best(len(searched)), 1)}
        done = [trial for trial in self.longer.completed if trial.trial in searched]
        after = sorted(done, key=lambda trial: -trial.score)
        before = sorted(done, key=lambda trial: -searched[trial.trial].score)
        ranks = {trial.trial: rank for rank, trial in enumerate(before, 1)}
        return [
            Pair(
                search=searched[trial.trial],
                longer=trial,
                is_top=trial.trial in self.top,
                rank=ranks[trial.trial],
                rank_longer=rank,
                rank_of_all=of_all[trial.trial],
            )
            for rank, trial in enumerate(after, 1)
        ]

    @property
    def failed(self) -> list[TrialRecord]:
        """The candidates that failed in the longer training."""
        return [trial for trial in self.longer.trials if trial.failed]

    @cached_property
    def overall(self) -> Correlation | None:
        """The rank correlation of scores in the search with those after longer training."""
        return _correlation(self.pairs)

    @cached_property
    def among_top(self) -> Correlation | None:
        """The rank correlation among the top alone, where differences are small."""
        return _correlation([pair for pair in self.pairs if pair.is_top])

    @cached_property
    def stage_one(self) -> Correlation | None:
        """The rank correlation of scores after stage one with those after longer training.

        It is None for a search without a second stage, in which it is the overall one.
        """
        staged = [pair for pair in self.pairs if pair.search.stages]
        if all(len(pair.search.stages) == 1 for pair in staged):
            return None
        firsts = [pair.search.stages[0].score for pair in staged]
        return spearman(firsts, [pair.longer.score for pair in staged])

    @property
    def other_metric(self) -> str | None:
        """The name of the task's first metric, if the score is another figure."""
        return next((pair.other_metric[0] for pair in self.pairs if pair.other_metric), None)

    @cached_property
    def by_other_metric(self) -> Correlation | None:
        """The rank correlation of scores in the search with the metric after longer training."""
        found = [
            (pair.search.score, pair.other_metric[1]) for pair in self.pairs if pair.other_metric
        ]
        return spearman(*zip(*found, strict=True)) if found else None

    @property
    def epochs(self) -> str:
        """The epochs of the longer training and of the search, as text."""
        return f"{_epochs(self.longer)} epochs instead of {_epochs(self.run)}"


def other_metric_of(trial: TrialRecord) -> tuple[str, float] | None:
    """Returns the task's first metric and its value, if the trial's score is another figure."""
    name = trial.stages[-1].other_metric if trial.stages else None
    return None if name is None else (name, trial.stages[-1].metrics[name])


def _correlation(pairs: Sequence[Pair]) -> Correlation | None:
    return spearman([pair.search.score for pair in pairs], [pair.longer.score for pair in pairs])


def _epochs(run: Run) -> str:
    found = [run.settings.get(f"{stage}.epochs") for stage in ("stage_one", "stage_two")]
    return " + ".join(str(epochs) for epochs in found if epochs is not None)
