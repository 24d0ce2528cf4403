"""Trials of a run that were trained longer, beside what the search had said of them.

They are a run of their own in the folder ``rerank`` of the search; a trial has one name in both.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from nas_tf.runs import files
from nas_tf.runs.load import Run
from nas_tf.runs.record import TrialRecord
from nas_tf.runs.statistics import Correlation, spearman


@dataclass(frozen=True)
class Pair:
    """One candidate before and after, with its ranks among those trained longer, and of all."""

    search: TrialRecord
    longer: TrialRecord
    is_top: bool
    rank: int
    rank_longer: int
    rank_of_all: int


@dataclass(frozen=True)
class Reranking:
    """A search, and the run that trains some of its candidates longer.

    Compared are scores, the task's own rewards: a price on cost is the same before and after.
    """

    run: Run
    longer: Run

    @classmethod
    def of(cls, run: Run) -> "Reranking | None":
        """The reranking of a run, if there is one."""
        folder = run.folder / files.RERANK
        return cls(run, Run(folder)) if (folder / files.RUN).exists() else None

    @property
    def top(self) -> list[str]:
        """The best of the search when the reranking began, by name."""
        return self.longer.about["top"]

    @property
    def sample(self) -> list[str]:
        """Those drawn from the rest, from the best to the worst."""
        return self.longer.about["sample"]

    @cached_property
    def pairs(self) -> list[Pair]:
        """Candidates that completed the longer training, first the best after it."""
        searched = {trial.trial: trial for trial in self.run.completed}
        of_all = {trial.trial: n for n, trial in enumerate(self.run.best(len(searched)), 1)}
        done = [trial for trial in self.longer.completed if trial.trial in searched]
        after = sorted(done, key=lambda one: -one.score)
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
        """Candidates that failed in the longer training."""
        return [trial for trial in self.longer.trials if trial.status == "failed"]

    @cached_property
    def whole(self) -> Correlation | None:
        """How well the search foretells the longer training, in rank."""
        return _foretold(self.pairs)

    @cached_property
    def among_top(self) -> Correlation | None:
        """The same among the top alone, where differences are small."""
        return _foretold([pair for pair in self.pairs if pair.is_top])

    @cached_property
    def stage_one(self) -> Correlation | None:
        """How well stage one of the search alone foretells the longer training."""
        staged = [pair for pair in self.pairs if pair.search.stages]
        firsts = [pair.search.stages[0].score for pair in staged]
        return spearman(firsts, [pair.longer.score for pair in staged])

    @property
    def epochs(self) -> str:
        """How long candidates were trained, before and after."""
        return f"{_epochs(self.longer)} epochs instead of {_epochs(self.run)}"


def _foretold(pairs: Sequence[Pair]) -> Correlation | None:
    return spearman([pair.search.score for pair in pairs], [pair.longer.score for pair in pairs])


def _epochs(run: Run) -> str:
    found = [run.settings.get(f"{stage}.epochs") for stage in ("stage_one", "stage_two")]
    return " + ".join(str(one) for one in found if one is not None)
