"""``nas-tf evaluate``: one candidate, trained and scored as a search would."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console

from nas_tf import spaces
from nas_tf.cli import options

if TYPE_CHECKING:
    from nas_tf.training.result import CandidateResult


@click.command("evaluate")
@click.argument("genotype", metavar="GENOTYPE")
@options.CONFIG
@options.OVERRIDES
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), help="JSON file for the result."
)
def command(genotype: str, config: str, overrides: tuple[str, ...], out: Path | None) -> None:
    """Train and score GENOTYPE in stages, as a search would, and print its reward.

    With stage_two=null it stops after stage one. Features are cached and used again.
    """
    from nas_tf.cli.progress import live_line
    from nas_tf.config import load

    experiment = load(config, overrides)
    found = spaces.resolve(genotype, experiment.space)

    from nas_tf.training import gate, processor
    from nas_tf.training.groundwork import Groundwork
    from nas_tf.training.two_stage import TwoStage

    processor.use_threads(experiment.threads)
    console = Console(stderr=True)
    with live_line(console) as line:
        ground = Groundwork(experiment, progress=line.rows)
        evaluator = TwoStage(experiment, ground)
        result = evaluator.evaluate(
            found, gate.make(experiment.gate, experiment.seed), observer=line.step
        )
    _print(result)
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(result.to_dict(), indent=1) + "\n", encoding="utf-8")


def _print(result: "CandidateResult") -> None:
    console = Console(soft_wrap=True)
    for number, stage in enumerate(result.stages, 1):
        figures = ", ".join(f"{key} {value:.4f}" for key, value in stage.metrics.items())
        spent = ", ".join(f"{key} {value:.1f}" for key, value in stage.seconds.items())
        console.print(
            f"stage {number}: reward {stage.reward:.4f} after {stage.steps} steps, "
            f"loss {stage.losses[0]:.3f} → {stage.losses[-1]:.3f}\n  {figures}\n"
            f"  seconds: {spent}",
            highlight=False,
        )
    if result.stopped:
        console.print(f"stopped: {result.stopped}", highlight=False, markup=False)
    console.print(
        f"reward {result.reward:.4f}, {result.params:,} parameters, "
        f"{result.madds / 1e9:.2f} B multiply-adds",
        highlight=False,
    )
