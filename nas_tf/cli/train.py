"""``nas-tf train``: trains a genotype in full, with a live line, a table and a plot."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

from nas_tf import spaces
from nas_tf.cli import completion, options, tables
from nas_tf.cli.live import Line, live_line
from nas_tf.config import Config
from nas_tf.genotype import Genotype
from nas_tf.report.formatting import duration
from nas_tf.runs import filenames


@click.command("train")
@click.argument("genotype", metavar="GENOTYPE", shell_complete=completion.genotypes)
@options.CONFIG
@options.OVERRIDES
@click.option(
    "--out",
    type=options.OUT_FOLDER,
    help="Folder of the run (default: runs/CONFIG-GENOTYPE); an existing run is resumed.",
)
def command(genotype: str, config_name: str, overrides: tuple[str, ...], out: Path | None) -> None:
    """Train GENOTYPE in full; after an interruption, the same command resumes the training.

    \b
    nas-tf train arch0 --config camvid_auxcell
    nas-tf train arch0 --config shapes_auxcell full_training.stages.0.epochs=3 --out runs/short
    """
    from nas_tf.config.load import load
    from nas_tf.config.paths import run_name

    config = load(config_name, overrides)
    resolved = spaces.resolve(genotype, config.space)
    name = f"{run_name(config_name)}-{options.short_name(genotype, resolved)}"
    run(config, resolved, out or Path("runs") / name, title=f"training {genotype}")


if TYPE_CHECKING:
    from nas_tf.training.full_run import Finished, FullRun


def run(
    config: Config,
    genotype: Genotype,
    folder: Path,
    *,
    title: str,
    start: Callable[..., Any] | None = None,
) -> "Finished":
    """Trains with a live line, then prints a table of figures and the paths of all files."""
    from nas_tf.report import plots
    from nas_tf.training import hardware
    from nas_tf.training.full_run import FullRun

    threads = hardware.use_threads(config.threads)
    console = Console(stderr=True)
    training = FullRun(config, genotype, folder, start)
    _announce(console, training, threads)
    with live_line(console) as line:
        line.start(title, training.training.steps, training.training.steps_done)
        try:
            finished = training.run(
                line.update, lambda end, row: _print_epoch(line, training, end, row)
            )
        except KeyboardInterrupt:
            training.save()
            console.print(
                f"stopped; the same command resumes the training in {folder}", markup=False
            )
            raise click.exceptions.Exit(130) from None
    plot = training.folder / "curve.svg"
    plots.save(training.folder / filenames.HISTORY, plot, title=title)
    _print_result(training, finished, plot)
    return finished


def _announce(console: Console, training: "FullRun", threads: int) -> None:
    config = training.config
    epochs = sum(stage.epochs for stage in config.full_training.stages)
    count = sum(layout.trainable.size for layout in training.training.parts.values())
    console.print(
        f"{config.data.name} {config.data.train_split}, {training.task.name}, {epochs} epochs, "
        f"{training.training.steps} steps, {count:,} trainable parameters, "
        f"{config.precision} precision, {threads} threads; saved in {training.folder}",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )
    if training.resumed:
        console.print(f"resuming after step {training.training.steps_done}", highlight=False)


def _print_epoch(
    line: Line, training: "FullRun", end: Any, figures: Mapping[str, float] | None
) -> None:
    text = f"stage {end.stage + 1} epoch {end.epoch + 1}: loss {end.loss:.4f}"
    if figures is not None:
        text += "".join(f", {key} {value:.4f}" for key, value in figures.items())
    line.print_line(f"{text} ({end.seconds:.0f} s)")


def _print_result(training: "FullRun", finished: "Finished", plot: Path) -> None:
    console = tables.console()
    console.print(tables.figures(finished.metrics.table()))
    figures = ", ".join(f"{key} {value:.4f}" for key, value in finished.result.items())
    console.print(
        f"{training.config.data.val_split} split, last weights: {figures}; "
        f"training took {duration(finished.seconds)}",
        highlight=False,
    )
    for path in (*finished.files, plot):
        console.print(f"  {path}", highlight=False, markup=False)
