"""``nas-tf best``: prints the best trials of a run as a table, CSV, JSON or genotypes."""

import csv
import sys

import click
import msgspec

from nas_tf.cli import options, tables
from nas_tf.errors import ConfigError
from nas_tf.runs import Run
from nas_tf.runs.record import COLUMNS


@click.command("best")
@options.RUN
@click.option(
    "--top", type=click.IntRange(1), default=10, show_default=True, help="Number of trials."
)
@click.option(
    "--pareto",
    type=click.Choice(("params", "madds", "latency_ms")),
    help="Print only the Pareto front of score and this cost, cheapest first.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(("table", "csv", "json", "genotypes")),
    default="table",
    show_default=True,
    help="Output format.",
)
def command(run: Run, top: int, pareto: str | None, form: str) -> None:
    """List the best trials of RUN.

    \b
    nas-tf best runs/camvid_auxcell-ppo --top 3
    nas-tf best runs/camvid_auxcell-ppo --pareto params --format csv
    nas-tf train "$(nas-tf best runs/shapes_auxcell-ppo --top 1 --format genotypes)" \\
        --config shapes_auxcell
    """
    trials = run.pareto(pareto) if pareto else run.best(top)
    if not trials:
        wanted = f"trial with {pareto}" if pareto and run.completed else "trial yet"
        raise ConfigError(f"{run.folder} has no completed {wanted}: {len(run.trials)} ended")
    if form == "table":
        tables.console().print(tables.best(trials, run.mean_rewards))
    elif form == "genotypes":
        for trial in trials:
            click.echo(trial.genotype)
    elif form == "json":
        click.echo(msgspec.json.format(msgspec.json.encode(trials), indent=1))
    else:
        writer = csv.DictWriter(sys.stdout, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(trial.row() for trial in trials)
