"""``nas-tf profile-ops``: a latency table of this machine for a space's operations."""

import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import click
from rich.console import Console

from nas_tf import spaces
from nas_tf.cli import options, timing
from nas_tf.config import load
from nas_tf.config.schema import Config
from nas_tf.errors import ConfigError

if TYPE_CHECKING:
    from nas_tf.latency import Table

_PLAIN, _CHECK_SEED = "shapes_auxcell", 1001


@click.command("profile-ops")
@click.argument("config", metavar="NAME|FILE", required=False)
@options.OVERRIDES
@click.option(
    "--space",
    type=click.Choice(tuple(spaces.SPACES)),
    help="Space to time, instead of a configuration's.",
)
@options.INPUT
@click.option("--threads", type=click.IntRange(1), default=1, show_default=True)
@click.option(
    "--check", type=click.IntRange(1), help="Also time this many whole networks, and compare."
)
@click.option(
    "--out",
    required=True,
    type=options.OUT_FILE,
    help="JSON file of the table; an existing table is extended.",
)
def command(
    config: str | None,
    overrides: tuple[str, ...],
    space: str | None,
    input_size: tuple[int, int] | None,
    threads: int,
    check: int | None,
    out: Path,
) -> None:
    """Measure the latency of a space's operations in TFLite on this machine.

    A search with search.latency=TABLE adds them up for every candidate. After an interruption the
    same command resumes; only missing operations are timed.

    \b
    nas-tf profile-ops camvid_auxcell --out tables/here.json --check 10
    nas-tf profile-ops --space dpc --input 513x513 --out tables/here.json
    """
    experiment = _experiment(config, overrides, space, input_size)
    console = Console(stderr=True)
    try:
        with timing.warn_if_busy():
            table = _fill(experiment, input_size, threads, out, console)
            if check:
                _compare(experiment, input_size, table, check, console)
    except KeyboardInterrupt:
        console.print(
            f"stopped; the same command resumes from here ({out})", highlight=False, markup=False
        )
        raise click.exceptions.Exit(130) from None


def _experiment(
    config: str | None,
    overrides: tuple[str, ...],
    space: str | None,
    input_size: tuple[int, int] | None,
) -> Config:
    """The configuration, or the embedded one with another space."""
    if config is None or "=" in config:
        if space is None or input_size is None:
            raise ConfigError("no configuration is given, expected one, or --space and --input")
        overrides = (config, *overrides) if config else overrides
        config = _PLAIN
    return load(config, [*overrides, f"space={space}"] if space else overrides)


def _fill(
    experiment: Config,
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
    began, had = time.perf_counter(), len(table.times)
    wanted = pricing.operations(experiment, size)
    with live_line(console) as line:
        table = op_table.fill(
            table,
            wanted,
            save=lambda one: files.write_atomically(out, one.to_json()),
            progress=lambda done, total: line.rows("operations", done, total),
        )
    click.echo(
        f"{len(table.times)} operations in {out}, {len(table.times) - had} of them timed now in "
        f"{time.perf_counter() - began:.0f} s ({table.device}, threads: {threads}); "
        f"use it with search.latency={out}"
    )
    return table


def _compare(
    experiment: Config,
    size: tuple[int, int] | None,
    table: "Table",
    count: int,
    console: Console,
) -> None:
    """Sums of operations against whole networks."""
    from nas_tf.cli.live import live_line
    from nas_tf.runs.statistics import spearman
    from nas_tf.search import pricing
    from serving import measure

    predicted, measured = [], []
    with live_line(console) as line:
        line.rows("networks", 0, count)
        for blueprint in pricing.sample(experiment, count, seed=_CHECK_SEED, size=size):
            ours = table.predict(blueprint)
            timed = measure.time_network(blueprint, threads=table.threads).median_ms
            predicted.append(ours)
            measured.append(timed)
            line.rows("networks", len(predicted), count)
            line.say(
                f"{ours:8.2f} ms predicted, {timed:8.2f} ms measured, ratio {ours / timed:.2f}"
            )
    ratios = sorted(one / other for one, other in zip(predicted, measured, strict=True))
    correlation = spearman(predicted, measured) or "needs four or more"
    click.echo(
        f"predicted / measured: median {median(ratios):.2f}, {ratios[0]:.2f} to "
        f"{ratios[-1]:.2f}; rank correlation {correlation}"
    )
