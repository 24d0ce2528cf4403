"""``nas-tf rerank``: the best of a search and a sample of the rest, trained longer."""

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.table import Table

from nas_tf.cli import options, tables
from nas_tf.config import load
from nas_tf.config.rerank import for_rerank
from nas_tf.errors import ConfigError, DataError
from nas_tf.runs import Reranking, Run, TrialRecord, files

if TYPE_CHECKING:
    from nas_tf.cli.live import Line
    from nas_tf.config.schema import Config

_TIMES = 5


@click.command("rerank")
@click.argument("run", metavar="RUN", type=click.Path(path_type=Path, file_okay=False))
@options.OVERRIDES
@click.option(
    "--top", type=click.IntRange(1), default=10, show_default=True, help="Number of best trials."
)
@click.option(
    "--sample",
    type=click.IntRange(0),
    default=10,
    show_default=True,
    help="Number of further trials, spread evenly over the ranks of the rest.",
)
@click.option(
    "--config",
    metavar="NAME|FILE",
    help="Configuration (default: the run's own, with more epochs).",
)
@click.option(
    "--epochs-times",
    type=click.IntRange(1),
    help=f"Factor on the run's numbers of epochs.  [default: {_TIMES}]",
)
def command(
    run: Path,
    overrides: tuple[str, ...],
    top: int,
    sample: int,
    config: str | None,
    epochs_times: int | None,
) -> None:
    """Train the best trials of RUN and a sample of the rest longer, and check the ranking.

    Uses the run's own configuration with five times the epochs, and every candidate reaches stage
    two. The same command resumes after an interruption. Results are saved in RUN/rerank, and the
    run's report shows them.

    \b
    nas-tf rerank runs/camvid_auxcell-ppo
    nas-tf rerank runs/camvid_auxcell-ppo --top 5 --sample 15 --epochs-times 3
    nas-tf rerank runs/camvid_auxcell-ppo stage_two.epochs=20 limits.seconds=null
    """
    if config is not None and epochs_times is not None:
        raise ConfigError("--config and --epochs-times are given, expected one of them")
    searched = Run(run)
    if not searched.completed:
        raise DataError(f"{run} has no completed trial yet, expected one at least")
    if config is None:
        experiment = for_rerank(run / files.CONFIG, epochs_times or _TIMES, overrides)
    else:
        experiment = load(config, ["gate.policy=open", *overrides])
    from nas_tf import quiet

    quiet.load("tensorflow")
    quiet.load("keras_tuner")
    from nas_tf.search import rerank

    reranking = rerank.begin(searched, experiment, top=top, sample=sample)
    _train(reranking, experiment)
    _tell(Reranking(searched, Run(reranking.longer.folder)))


def _train(reranking: Reranking, experiment: "Config") -> None:
    from nas_tf.cli.live import live_line
    from nas_tf.search import rerank

    console = Console(stderr=True)
    count = len(reranking.top) + len(reranking.sample)
    done = count - len(rerank.remaining(reranking))
    if done and done < count:
        console.print(f"resumes after {done} of {count} candidates", highlight=False)
    try:
        with live_line(console) as line:
            candidates = _Candidates(line, done, count)
            rerank.train(
                reranking,
                experiment,
                observer=candidates.step,
                progress=line.rows,
                on_trial=candidates.ended,
            )
    except KeyboardInterrupt:
        click.echo(f"stopped; resume with: nas-tf {shlex.join(sys.argv[1:])}", err=True)
        raise click.exceptions.Exit(130) from None


class _Candidates:
    """The live line over all candidates: which one, and what remains."""

    def __init__(self, line: "Line", done: int, count: int) -> None:
        self._line, self._done, self._count = line, done, count
        self._spent: list[float] = []

    def step(self, what: str, done: int, total: int, loss: float) -> None:
        """A step of a stage of the present candidate."""
        self._line.step(f"{self._done + 1}/{self._count} {what}", done, total, loss)

    def ended(self, before: TrialRecord, after: TrialRecord) -> None:
        """A candidate and what became of it, and the time left at the speed so far."""
        from nas_tf.report.formatting import duration

        self._done += 1
        self._spent.append(after.seconds)
        left = (self._count - self._done) * sum(self._spent) / len(self._spent)
        became = f"failed: {after.stopped}" if after.status == "failed" else f"{after.score:.4f}"
        self._line.say(
            f"{self._done}/{self._count} trial {after.trial}: {before.score:.4f} → {became}, "
            f"{after.seconds:.0f} s, {duration(left)} left"
        )


def _tell(reranking: Reranking) -> None:
    """The ranks before and after, what follows from them, and where the picture is."""
    from nas_tf.report import document, reranked
    from nas_tf.report.run_statistics import RunStatistics

    console = tables.console()
    console.print(_table(reranking))
    for trial in reranking.failed:
        console.print(
            f"trial {trial.trial} failed: {trial.stopped}", highlight=False, markup=False
        )
    honesty = RunStatistics(reranking.run).honesty
    if honesty:
        console.print(
            f"Stage one against stage two in the search: Spearman's {honesty}.", highlight=False
        )
    for line in reranked.lines(reranking):
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    picture = reranking.longer.folder / "ranking"
    document.save_figure(reranked.ranking_figure(reranking), picture)
    console.print(f"{picture}.svg", highlight=False, markup=False, soft_wrap=True)


def _table(reranking: Reranking) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("rank", "longer", "search rank", "search", "of all", "parameters", "trial"):
        table.add_column(name, justify="right")
    table.add_column("chosen as")
    table.add_column("genotype", overflow="fold")
    for pair in reranking.pairs:
        table.add_row(
            str(pair.rank_longer),
            f"{pair.longer.score:.4f}",
            str(pair.rank),
            f"{pair.search.score:.4f}",
            str(pair.rank_of_all),
            f"{pair.longer.params:,}",
            pair.longer.trial,
            "top" if pair.is_top else "sample",
            pair.longer.genotype,
        )
    return table
