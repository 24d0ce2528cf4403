"""``nas-tf study``: measures how well cheaper trainings rank candidates, and their time."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.table import Table

from nas_tf.cli import completion, options, tables
from nas_tf.config import load
from nas_tf.config.paths import run_name
from nas_tf.errors import ConfigError
from nas_tf.runs.study import RESULTS, Result, Study

if TYPE_CHECKING:
    from nas_tf.cli.live import Line
    from nas_tf.search.study import Plan


@click.command("study")
@click.argument(
    "config_name", metavar="NAME|FILE|folder:DIR", shell_complete=completion.configurations
)
@options.OVERRIDES
@click.option(
    "--try",
    "tried",
    metavar="SETTING",
    multiple=True,
    help="Overrides to compare, separated by spaces; may be repeated (default: fewer epochs, "
    "images and views, smaller crops, half the width).",
)
@click.option(
    "--count",
    type=click.IntRange(4),
    default=24,
    show_default=True,
    help="Number of genotypes.",
)
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="Their seed.")
@click.option(
    "--genotypes",
    type=click.File(encoding="utf-8"),
    help="File of genotypes, one a line, instead of sampled ones; - is standard input.",
)
@click.option(
    "--epochs-times",
    type=click.IntRange(2),
    show_default="5",
    help="Factor by which the longer training has more epochs.",
)
@click.option(
    "--against",
    metavar="SETTING",
    help="Overrides of the longer training, instead of more epochs; with those of stage_two it is "
    "end to end.",
)
@click.option(
    "--untrained/--no-untrained",
    default=True,
    show_default=True,
    help="Compare scores without training too: costs, gradient norm, synaptic flow, patterns of "
    "active units.",
)
@click.option(
    "--least",
    type=click.FloatRange(0, 1),
    default=0.9,
    show_default=True,
    help="Rank correlation that a proposed setting must have.",
)
@click.option(
    "--out", type=options.OUT_FOLDER, help="Folder of the study (default: studies/CONFIG)."
)
def command(
    config_name: str,
    overrides: tuple[str, ...],
    tried: tuple[str, ...],
    count: int,
    seed: int,
    genotypes: click.File | None,
    epochs_times: int | None,
    against: str | None,
    untrained: bool,
    least: float,
    out: Path | None,
) -> None:
    """Measure how well cheaper trainings of candidates rank them, and how long they take.

    The same genotypes are trained in stage one as configured, under each cheaper setting, and with
    more epochs. Spearman's ρ with the longest training says how far a setting can be trusted.
    After an interruption, the same command resumes.

    \b
    nas-tf study camvid_auxcell
    nas-tf study shapes_auxcell --count 12 --try stage_one.epochs=1 \\
        --try 'stage_one.epochs=1 stage_one.crop=[64,64]'
    """
    settings = [_overrides("--try", text) for text in tried]
    longer = () if against is None else _overrides("--against", against)
    if longer and epochs_times is not None:
        raise ConfigError("--against and --epochs-times are given, expected one of them")

    def configured(changes: Sequence[str]) -> object:
        return load(config_name, [*overrides, *changes])

    config = configured(())
    from nas_tf import spaces
    from nas_tf.search import study

    space, given = spaces.get(config.space), None
    if genotypes is not None:
        given = [study.parsed(space, line) for line in genotypes if line.strip()]
    planned = study.plan(
        configured,
        settings,
        count if given is None else given,
        times=epochs_times or 5,
        against=longer,
        seed=seed,
        untrained=untrained,
    )
    folder = out or Path("studies") / run_name(config_name)
    started = study.start(folder, planned)
    _train(started, planned)
    _print_result(Study(started.folder), least)


def _overrides(option: str, text: str) -> Sequence[str]:
    if not (found := shlex.split(text)):
        raise ConfigError(f"{option} is empty, expected overrides such as stage_one.epochs=1")
    return found


def _train(started: Study, planned: "Plan") -> None:
    from nas_tf.cli.live import live_line
    from nas_tf.search import study

    console = Console(stderr=True)
    names = (*planned.untrained, *planned.settings)
    left, total = len(started.remaining), len(planned.genotypes) * len(names)
    if 0 < left < total:
        console.print(f"resuming after {total - left} of {total} scores", highlight=False)
    with options.resumable(), live_line(console) as line:
        trainings = _Progress(line, total - left, total)
        study.train(
            started,
            planned,
            observer=trainings.step,
            progress=line.rows,
            on_result=trainings.on_result,
        )


class _Progress:
    """Shows on a live line the number of the training, and prints a line after each."""

    def __init__(self, line: "Line", done: int, total: int) -> None:
        self._line, self._done, self._total = line, done, total

    def step(self, stage: str, done: int, total: int, loss: float) -> None:
        """Shows a step of the current training."""
        self._line.step(f"{self._done + 1}/{self._total} {stage}", done, total, loss)

    def on_result(self, result: Result) -> None:
        """Prints the score of a training, or why it failed."""
        from nas_tf.report.study import result_line

        self._done += 1
        text = (
            f"{result.setting}: failed, {result.stopped}"
            if result.failed
            else result_line(result.setting, result.score, result.seconds)
        )
        self._line.print_line(f"{self._done}/{self._total} {text}")


def _print_result(study: Study, least: float) -> None:
    """Prints the settings, the conclusions, and the paths of table and figure."""
    from nas_tf.report import document
    from nas_tf.report import study as report

    console = tables.console()
    console.print(_table(study))
    for line in report.lines(study, least):
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    report.write_table(study, study.folder / "study.csv")
    names = ["study.csv", RESULTS]
    if study.front:
        document.save_figure(report.figure(study), study.folder / "study")
        document.save_figure(report.ranks(study), study.folder / "ranks")
        names[:0] = ["study.svg", "ranks.svg"]
    for name in names:
        console.print(f"{study.folder / name}", highlight=False, markup=False, soft_wrap=True)


def _table(study: Study) -> Table:
    from nas_tf.report.study import rows

    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("setting", overflow="fold")
    for name in ("genotypes", "ρ", "95 %", "seconds", "mean score", "front"):
        table.add_column(name, justify="right")
    for row in rows(study):
        is_known, is_trained = row["rho"] is not None, row["mean_score"] is not None
        table.add_row(
            str(row["setting"]),
            str(row["genotypes"]),
            f"{row['rho']:.2f}" if is_known else "",
            f"{row['low']:.2f} to {row['high']:.2f}" if is_known else "",
            f"{row['seconds']:.{1 if is_trained else 2}f}",
            "" if row["mean_score"] is None else f"{row['mean_score']:.4f}",
            "*" if row["front"] else "",
        )
    return table
