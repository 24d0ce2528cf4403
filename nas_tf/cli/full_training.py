"""Full training as a person sees it: what ``train``, ``train-teacher`` and ``finetune`` share."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

from nas_tf.cli import tables
from nas_tf.cli.line import Line
from nas_tf.cli.progress import live_line
from nas_tf.config import Experiment
from nas_tf.genotype import Genotype
from nas_tf.report.words import duration

if TYPE_CHECKING:
    from nas_tf.training.full_run import Finished, FullRun


def run(
    config: Experiment,
    genotype: Genotype,
    folder: Path,
    *,
    title: str,
    start: Callable[..., Any] | None = None,
) -> "Finished":
    """Trains with a live line; ends with a table, and where everything is."""
    from nas_tf.report import curve
    from nas_tf.training import processor
    from nas_tf.training.full_run import FullRun

    threads = processor.use_threads(config.threads)
    console = Console(stderr=True)
    training = FullRun(config, genotype, folder, start)
    _announce(console, training, threads)
    with live_line(console) as line:
        line.start(title, training.training.steps, training.training.steps_done)
        try:
            finished = training.run(
                line.at, lambda end, row: _epoch_line(line, training, end, row)
            )
        except KeyboardInterrupt:
            training.save()
            console.print(f"stopped; the same command resumes from here ({folder})", markup=False)
            raise click.exceptions.Exit(130) from None
    drawing = folder / "curve.svg"
    curve.save(folder / "history.csv", drawing, title=title)
    _print_result(training, finished, drawing)
    return finished


def _announce(console: Console, training: "FullRun", threads: int) -> None:
    config = training.config
    epochs = sum(stage.epochs for stage in config.full.stages)
    count = sum(layout.trainable.size for layout in training.training.parts.values())
    console.print(
        f"{config.data.name} {config.data.train_split}, {training.task.name}, {epochs} epochs, "
        f"{training.training.steps} steps, {count:,} trainable parameters, "
        f"{config.precision} precision, {threads} threads; kept in {training.folder}",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )
    if training.resumed:
        console.print(f"resuming after step {training.training.steps_done}", highlight=False)


def _epoch_line(
    line: Line, training: "FullRun", end: Any, figures: Mapping[str, float] | None
) -> None:
    text = f"stage {end.stage + 1} epoch {end.epoch + 1}: loss {end.loss:.4f}"
    if figures is not None:
        text += "".join(f", {key} {value:.4f}" for key, value in figures.items())
    line.say(f"{text} ({end.seconds:.0f} s)")


def _print_result(training: "FullRun", finished: "Finished", drawing: Path) -> None:
    console = tables.console()
    console.print(tables.figures(finished.metrics.table()))
    figures = ", ".join(f"{key} {value:.4f}" for key, value in finished.result.items())
    console.print(
        f"{training.config.data.val_split} split, last weights: {figures}; "
        f"{duration(finished.seconds)} of training",
        highlight=False,
    )
    for path in (*finished.files, drawing):
        console.print(f"  {path}", highlight=False, markup=False)
