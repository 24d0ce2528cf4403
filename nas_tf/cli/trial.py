"""``nas-tf trial``: trains and scores one candidate, as a search does."""

from pathlib import Path

import click
from rich.console import Console

from nas_tf import files, spaces
from nas_tf.cli import completion, options, tables
from nas_tf.report.formatting import milliseconds, score
from nas_tf.runs import TrialRecord, record


@click.command("trial")
@click.argument("genotype", metavar="GENOTYPE", shell_complete=completion.genotypes)
@options.CONFIG
@options.OVERRIDES
@click.option("--out", type=options.OUT_FILE, help="JSON file of the trial.")
def command(genotype: str, config_name: str, overrides: tuple[str, ...], out: Path | None) -> None:
    """Train and score GENOTYPE in stages, as a search does, and print its reward.

    With stage_two=null only stage one runs. The encoder's features are cached and reused.

    \b
    nas-tf trial arch0 --config camvid_auxcell
    nas-tf trial arch0 --config shapes_auxcell stage_one.epochs=4 --out arch0.json
    """
    from nas_tf.cli.live import live_line
    from nas_tf.config import load

    config = load(config_name, overrides)
    candidate = spaces.resolve(genotype, config.space)

    from nas_tf.jobs import candidates

    with live_line(Console(stderr=True)) as line:
        trial = candidates.evaluate(config, candidate, observer=line.step, progress=line.rows)
    _print(trial)
    if out is not None:
        files.write(out, record.text(trial))


def _print(trial: TrialRecord) -> None:
    console = tables.console()
    for number, stage in enumerate(trial.stages, 1):
        figures = ", ".join(f"{key} {value:.4f}" for key, value in stage.metrics.items())
        times = ", ".join(f"{key} {value:.1f}" for key, value in stage.seconds.items())
        console.print(
            f"stage {number}: score {score(stage.score)} after {stage.steps} steps, "
            f"loss {stage.losses[0]:.3f} → {stage.losses[-1]:.3f}\n  {figures}\n"
            f"  seconds: {times}",
            highlight=False,
        )
    if trial.stopped:
        console.print(f"stopped: {trial.stopped}", highlight=False, markup=False)
    outcome = "failed" if trial.failed else f"reward {score(trial.reward)}"
    before = f" (score {score(trial.score)})" if trial.reward != trial.score else ""
    latency = "" if trial.latency_ms is None else f", {milliseconds(trial.latency_ms)}"
    console.print(
        f"{outcome}{before}, {trial.params:,} parameters, "
        f"{trial.madds / 1e9:.2f} B multiply-adds{latency}",
        highlight=False,
    )
