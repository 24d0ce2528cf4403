"""Tables and lines about trials, and the console on which they are printed."""

import re
from collections.abc import Iterator, Mapping, Sequence
from statistics import median
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from nas_tf.report.formatting import duration, milliseconds, score, significant
from nas_tf.runs import TrialRecord

if TYPE_CHECKING:
    from nas_tf.jobs.estimates import Estimate

_UNLIMITED_WIDTH = 4000


def console() -> Console:
    """Returns the console of standard output; if it is piped, tables are not narrowed."""
    plain = Console(soft_wrap=True, highlight=False)
    return plain if plain.is_terminal else _Piped(width=_UNLIMITED_WIDTH, highlight=False)


class _Piped(Console):
    """A console that strips the spaces with which tables fill their lines."""

    def print(self, *objects: Any, **options: Any) -> None:
        """Prints without spaces at the ends of lines."""
        with self.capture() as captured:
            super().print(*objects, **options)
        text = re.sub(r" +$", "", captured.get(), flags=re.MULTILINE)
        super().print(text, end="", highlight=False, markup=False, emoji=False, soft_wrap=True)


def best(trials: Sequence[TrialRecord], means: Mapping[str, float]) -> Table:
    """Returns a table of trials with their rewards, scores by stage and costs.

    ``means`` are the rewards by which they rank: a column where one is of two seeds.
    """
    two_seeds = any(means[trial.trial] != trial.reward for trial in trials)
    table = Table(box=None, header_style="bold", pad_edge=False)
    mean = ("mean of seeds",) if two_seeds else ()
    for name in (*mean, "reward", "stage 1", "stage 2", "parameters", "multiply-adds", "trial"):
        table.add_column(name, justify="right")
    table.add_column("genotype", overflow="fold")
    for trial in trials:
        first, second = (*(score(stage.score) for stage in trial.stages), "", "")[:2]
        table.add_row(
            *([score(means[trial.trial])] if two_seeds else ()),
            *(score(trial.reward), first, second),
            f"{trial.params:,}",
            f"{trial.madds / 1e9:.2f} B",
            trial.trial,
            trial.genotype,
        )
    return table


def figures(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Returns a table of a task's figures, with a row per class or joint."""
    table = Table(box=None, pad_edge=False)
    for key, value in rows[0].items():
        table.add_column(key, justify="left" if isinstance(value, str) else "right")
    for row in rows:
        table.add_row(*map(_cell, row.values()))
    return table


def line(trial: TrialRecord) -> str:
    """Returns a line about a finished trial."""
    if trial.status == "failed":
        return f"trial {trial.trial} failed after {trial.seconds:.0f} s: {trial.stopped}"
    stages = " → ".join(score(stage.score) for stage in trial.stages)
    stopped = ", stopped by the gate" if trial.stopped == "gate" else ""
    reward = f", reward {score(trial.reward)}" if trial.reward != trial.score else ""
    latency = "" if trial.latency_ms is None else f", {milliseconds(trial.latency_ms)}"
    return (
        f"trial {trial.trial}: score {stages}{reward}{stopped}, "
        f"{trial.params / 1e6:.2f} M parameters, {trial.madds / 1e9:.2f} B multiply-adds"
        f"{latency}, {trial.seconds:.0f} s"
    )


def estimate_lines(found: "Estimate", workers: int) -> Iterator[str]:
    """Yields the lines of a search's estimate."""
    yield (
        f"{found.trials} trials learn from {found.images} images and are scored on {found.scored}"
    )
    need, free = (size / 2**30 for size in (found.feature_bytes, found.free_bytes))
    yield (
        f"features: {significant(need, 2)} GiB, {significant(free, 2)} GiB are free; about "
        f"{duration(found.feature_seconds)} to compute, once"
    )
    for name, seconds in (("stage one", found.stage_one), ("stage two", found.stage_two)):
        if seconds:
            among = f"{duration(min(seconds))} to {duration(max(seconds))}"
            more = "" if name == "stage one" else " if the candidate passes the gate"
            yield (
                f"{name}: about {duration(median(seconds))} a candidate{more} ({among}, "
                f"{len(seconds)} measured)"
            )
    least, most = found.seconds(workers)
    total = f"in total with {workers} workers" if workers > 1 else "in total"
    if found.stage_two:
        ends = f"{duration(least)} if no candidate passes the gate, {duration(most)} if all do"
        yield f"{total}: about {ends}"
    else:
        yield f"{total}: about {duration(least)}"


def size(count: int) -> str:
    """Returns a number of bytes as people read it."""
    return f"{count / 1e6:.1f} MB" if count < 1e9 else f"{count / 1e9:.2f} GB"


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4f}"
    return "–" if value is None else escape(str(value))
