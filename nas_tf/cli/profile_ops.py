"""``nas-tf profile-ops``: measures a latency table of a space's operations on this machine."""

import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import click
from rich.console import Console

from nas_tf.cli import options, timing
from nas_tf.config import load
from nas_tf.config.schema import Config
from nas_tf.errors import ConfigError

if TYPE_CHECKING:
    from nas_tf.latency import Table

_DEFAULT_CONFIG = "shapes_auxcell"


@click.command("profile-ops")
@click.argument("config_name", metavar="NAME|FILE", required=False)
@options.OVERRIDES
@click.option(
    "--space",
    metavar="SPACE",
    help="Space to measure, instead of a configuration's.",
)
@options.INPUT
@click.option(
    "--threads", type=click.IntRange(1), default=1, show_default=True, help="Number of threads."
)
@click.option(
    "--check",
    type=click.IntRange(1),
    help="Number of complete networks to measure and compare with their predictions.",
)
@click.option(
    "--out",
    required=True,
    type=options.OUT_FILE,
    help="JSON file of the table; an existing table is extended.",
)
def command(
    config_name: str | None,
    overrides: tuple[str, ...],
    space: str | None,
    input_size: tuple[int, int] | None,
    threads: int,
    check: int | None,
    out: Path,
) -> None:
    """Measure the latency of a space's operations in TFLite on this machine.

    A search with search.latency=TABLE predicts the latency of a candidate as the sum of its
    operations. After an interruption, the same command resumes; it measures only operations that
    are missing from the table.

    \b
    nas-tf profile-ops camvid_auxcell --out tables/here.json --check 10
    nas-tf profile-ops --space dpc --input 513x513 --out tables/here.json
    """
    config = _config(config_name, overrides, space, input_size)
    console = Console(stderr=True)
    try:
        with timing.warn_if_busy():
            table = _fill(config, input_size, threads, out, console)
            if check:
                _compare(config, input_size, table, check, console)
    except KeyboardInterrupt:
        console.print(
            f"stopped; the same command resumes the measurement in {out}",
            highlight=False,
            markup=False,
        )
        raise click.exceptions.Exit(130) from None


def _config(
    name: str | None,
    overrides: tuple[str, ...],
    space: str | None,
    input_size: tuple[int, int] | None,
) -> Config:
    """Loads the named configuration, or a default one for ``--space``."""
    if name is None or "=" in name:
        if space is None or input_size is None:
            raise ConfigError("no configuration is given, expected one, or --space and --input")
        overrides = (name, *overrides) if name else overrides
        name = _DEFAULT_CONFIG
    return load(name, [*overrides, f"space={space}"] if space else overrides)


def _fill(
    config: Config, size: tuple[int, int] | None, threads: int, out: Path, console: Console
) -> "Table":
    from nas_tf.cli.live import live_line
    from nas_tf.jobs import latencies

    started, measured = time.perf_counter(), 0
    with live_line(console) as line:

        def progress(done: int, total: int) -> None:
            nonlocal measured
            measured = total
            line.rows("operations", done, total)

        table = latencies.fill_table(out, config, size=size, threads=threads, progress=progress)
    click.echo(
        f"{len(table.times)} operations in {out}, {measured} of them measured in "
        f"{time.perf_counter() - started:.0f} s ({table.device}, threads: {threads}); "
        f"use it with search.latency={out}"
    )
    return table


def _compare(
    config: Config, size: tuple[int, int] | None, table: "Table", count: int, console: Console
) -> None:
    """Compares sums of operations with the measured latencies of complete networks."""
    from nas_tf.cli.live import live_line
    from nas_tf.jobs import latencies
    from nas_tf.runs.statistics import spearman

    pairs: list[tuple[float, float]] = []
    with live_line(console) as line:
        line.rows("networks", 0, count)
        for predicted, measured in latencies.predicted_and_measured(table, config, count, size):
            pairs.append((predicted, measured))
            line.rows("networks", len(pairs), count)
            line.print_line(
                f"{predicted:8.2f} ms predicted, {measured:8.2f} ms measured, "
                f"ratio {predicted / measured:.2f}"
            )
    ratios = sorted(predicted / measured for predicted, measured in pairs)
    correlation = spearman(*zip(*pairs, strict=True)) or "needs four or more networks"
    click.echo(
        f"predicted / measured: median {median(ratios):.2f}, {ratios[0]:.2f} to "
        f"{ratios[-1]:.2f}; rank correlation {correlation}"
    )
