"""``nas-tf rerank``: trains the best of a search and a sample of the others longer."""

from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.table import Table

from nas_tf.cli import options, tables
from nas_tf.config import load
from nas_tf.config.rerank import for_rerank
from nas_tf.errors import ConfigError, DataError
from nas_tf.runs import Reranking, Run, TrialRecord, filenames

if TYPE_CHECKING:
    from nas_tf.cli.live import Line
    from nas_tf.config.schema import Config

_EPOCHS_FACTOR = 5


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
    help="Number of further trials, spread evenly over the ranks of the others.",
)
@click.option(
    "--config",
    "config_name",
    metavar="NAME|FILE",
    help="Configuration (default: the run's own, with more epochs).",
)
@click.option(
    "--epochs-times",
    type=click.IntRange(1),
    help=f"Factor by which the epochs are multiplied.  [default: {_EPOCHS_FACTOR}]",
)
def command(
    run: Path,
    overrides: tuple[str, ...],
    top: int,
    sample: int,
    config_name: str | None,
    epochs_times: int | None,
) -> None:
    """Train the best trials of RUN and a sample of the others longer, and check the ranking.

    The configuration is the run's own with five times the epochs, and every candidate reaches
    stage two. A search of heads on a fixed pyramid is also compared with that pyramid under the
    plain head, trained equally long. After an interruption, the same command resumes. Results are
    saved in RUN/rerank and are part of the run's report.

    \b
    nas-tf rerank runs/camvid_auxcell-ppo
    nas-tf rerank runs/camvid_auxcell-ppo --top 5 --sample 15 --epochs-times 3
    nas-tf rerank runs/camvid_auxcell-ppo stage_two.epochs=20 limits.seconds=null
    """
    if config_name is not None and epochs_times is not None:
        raise ConfigError("both --config and --epochs-times are given, expected one of them")
    searched = Run(run)
    if not searched.completed:
        raise DataError(f"{run} has no completed trial yet, expected one at least")
    if config_name is None:
        config = for_rerank(run / filenames.CONFIG, epochs_times or _EPOCHS_FACTOR, overrides)
    else:
        config = load(config_name, ["gate.policy=open", *overrides])
    from nas_tf.search import rerank

    reranking = rerank.start(searched, config, top=top, sample=sample)
    _train(reranking, config)
    _print_result(Reranking(searched, Run(reranking.longer.folder)))


def _train(reranking: Reranking, config: "Config") -> None:
    from nas_tf.cli.live import live_line
    from nas_tf.search import rerank

    console = Console(stderr=True)
    count = len(reranking.names)
    done = count - len(rerank.remaining(reranking))
    if done and done < count:
        console.print(f"resuming after {done} of {count} candidates", highlight=False)
    with options.resumable(), live_line(console) as line:
        candidates = _CandidateProgress(line, done, count)
        rerank.train(
            reranking,
            config,
            observer=candidates.step,
            progress=line.rows,
            on_trial=candidates.on_trial,
        )


class _CandidateProgress:
    """Shows on a live line the number of the candidate, and prints the time left after each."""

    def __init__(self, line: "Line", done: int, count: int) -> None:
        self._line, self._done, self._count = line, done, count
        self._seconds: list[float] = []

    def step(self, stage: str, done: int, total: int, loss: float) -> None:
        """Shows a step of a stage of the current candidate."""
        self._line.step(f"{self._done + 1}/{self._count} {stage}", done, total, loss)

    def on_trial(self, before: TrialRecord, after: TrialRecord) -> None:
        """Prints the scores of a candidate before and after, and the time left."""
        from nas_tf.report.formatting import duration, score

        self._done += 1
        self._seconds.append(after.seconds)
        left = (self._count - self._done) * sum(self._seconds) / len(self._seconds)
        outcome = f"failed: {after.stopped}" if after.status == "failed" else score(after.score)
        start = f"trial {after.trial}: {score(before.score)} →" if before.stages else "baseline:"
        self._line.print_line(
            f"{self._done}/{self._count} {start} {outcome}, {after.seconds:.0f} s, "
            f"{duration(left)} left"
        )


def _print_result(reranking: Reranking) -> None:
    """Prints the ranks before and after, the conclusions, and the path of the figure."""
    from nas_tf.report import document, reranked
    from nas_tf.report.run_statistics import RunStatistics

    console = tables.console()
    console.print(_table(reranking))
    for trial in reranking.failed:
        console.print(
            f"trial {trial.trial} failed: {trial.stopped}", highlight=False, markup=False
        )
    correlation = RunStatistics(reranking.run).stage_correlation
    if correlation:
        console.print(
            f"Stage one against stage two in the search: Spearman's {correlation}.",
            highlight=False,
        )
    for line in reranked.lines(reranking):
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    figure = reranking.longer.folder / "ranking"
    document.save_figure(reranked.ranking_figure(reranking), figure)
    console.print(f"{figure}.svg", highlight=False, markup=False, soft_wrap=True)


def _table(reranking: Reranking) -> Table:
    from nas_tf.report.formatting import score

    table = Table(box=None, header_style="bold", pad_edge=False)
    metric = reranking.other_metric
    for name in ("rank", "longer", *([metric] if metric else [])):
        table.add_column(name, justify="right")
    for name in ("search rank", "search", "of all", "parameters", "trial"):
        table.add_column(name, justify="right")
    table.add_column("chosen as")
    table.add_column("genotype", overflow="fold")
    for pair in reranking.pairs:
        table.add_row(
            str(pair.rank_longer),
            score(pair.longer.score),
            *([score(pair.other_metric[1]) if pair.other_metric else ""] if metric else []),
            str(pair.rank),
            score(pair.search.score),
            str(pair.rank_of_all),
            f"{pair.longer.params:,}",
            pair.longer.trial,
            "top" if pair.is_top else "sample",
            pair.longer.genotype,
        )
    return table
