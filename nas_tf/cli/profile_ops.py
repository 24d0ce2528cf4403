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

_DEFAULT_CONFIG, _CHECK_SEED = "shapes_auxcell", 1001


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
    config: Config,
    size: tuple[int, int] | None,
    threads: int,
    out: Path,
    console: Console,
) -> "Table":
    from nas_tf import latency, quiet

    quiet.load("tensorflow")
    quiet.load("keras_tuner")
    from nas_tf.cli.live import live_line
    from nas_tf.runs import files
    from nas_tf.search import pricing
    from serving import op_table

    table = latency.read(out) if out.exists() else op_table.empty(threads)
    op_table.check_same(table, threads)
    started, count_before = time.perf_counter(), len(table.times)
    wanted = pricing.operations(config, size)
    with live_line(console) as line:
        table = op_table.fill(
            table,
            wanted,
            save=lambda extended: files.write_atomically(out, extended.to_json()),
            progress=lambda done, total: line.rows("operations", done, total),
        )
    click.echo(
        f"{len(table.times)} operations in {out}, {len(table.times) - count_before} of them "
        f"measured in {time.perf_counter() - started:.0f} s ({table.device}, threads: {threads}); "
        f"use it with search.latency={out}"
    )
    return table


def _compare(
    config: Config,
    size: tuple[int, int] | None,
    table: "Table",
    count: int,
    console: Console,
) -> None:
    """Compares sums of operations with the measured latencies of complete networks."""
    from nas_tf.cli.live import live_line
    from nas_tf.runs.statistics import spearman
    from nas_tf.search import pricing
    from serving import measure

    predicted, measured = [], []
    with live_line(console) as line:
        line.rows("networks", 0, count)
        for blueprint in pricing.sample(config, count, seed=_CHECK_SEED, size=size):
            prediction = table.predict(blueprint)
            latency = measure.time_network(blueprint, threads=table.threads).median_ms
            predicted.append(prediction)
            measured.append(latency)
            line.rows("networks", len(predicted), count)
            line.print_line(
                f"{prediction:8.2f} ms predicted, {latency:8.2f} ms measured, "
                f"ratio {prediction / latency:.2f}"
            )
    ratios = sorted(guess / actual for guess, actual in zip(predicted, measured, strict=True))
    correlation = spearman(predicted, measured) or "needs four or more networks"
    click.echo(
        f"predicted / measured: median {median(ratios):.2f}, {ratios[0]:.2f} to "
        f"{ratios[-1]:.2f}; rank correlation {correlation}"
    )
