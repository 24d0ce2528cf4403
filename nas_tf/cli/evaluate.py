"""``nas-tf evaluate``: one candidate, trained and scored as a search would."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console

from nas_tf import folders, spaces
from nas_tf.cli import options, tables
from nas_tf.config.schema import Config, Targets
from nas_tf.report.formatting import milliseconds

if TYPE_CHECKING:
    from nas_tf.training.result import CandidateResult
    from nas_tf.training.two_stage import Latency


@click.command("evaluate")
@click.argument("genotype", metavar="GENOTYPE")
@options.CONFIG
@options.OVERRIDES
@click.option("--out", type=options.OUT_FILE, help="JSON file for the result.")
def command(genotype: str, config: str, overrides: tuple[str, ...], out: Path | None) -> None:
    """Train and score GENOTYPE in stages, as a search does, and print its reward.

    With stage_two=null it stops after stage one. The encoder's features are cached and reused.

    \b
    nas-tf evaluate arch0 --config camvid_auxcell
    nas-tf evaluate arch0 --config shapes_auxcell stage_one.epochs=4 --out arch0.json
    """
    from nas_tf.cli.live import live_line
    from nas_tf.config import load

    experiment = load(config, overrides)
    found = spaces.resolve(genotype, experiment.space)

    from nas_tf.training import gate, hardware
    from nas_tf.training.shared_data import SharedData
    from nas_tf.training.two_stage import TwoStage

    hardware.use_threads(experiment.threads)
    latency = _latency(experiment)
    console = Console(stderr=True)
    with live_line(console) as line:
        ground = SharedData(experiment, progress=line.rows)
        evaluator = TwoStage(experiment, ground, latency=latency)
        result = evaluator.evaluate(
            found, gate.make(experiment.gate, experiment.seed), observer=line.step
        )
    reward = _reward(experiment, result)
    _print(result, reward)
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        with folders.room_in(out):
            out.write_text(
                json.dumps({**result.to_dict(), "reward": reward}, indent=1) + "\n",
                encoding="utf-8",
            )


def _latency(experiment: Config) -> "Latency | None":
    if experiment.search.latency is None:
        return None
    from nas_tf import quiet

    quiet.load("keras_tuner")
    from nas_tf.cli import timing
    from nas_tf.search import preflight, pricing

    preflight.check(experiment)
    return pricing.latency_of(experiment, timing.measured_latency(experiment))


def _reward(experiment: Config, result: "CandidateResult") -> float:
    """What an oracle would be told."""
    if experiment.search.targets == Targets():
        return result.score
    from nas_tf import quiet

    quiet.load("keras_tuner")
    from nas_tf.search import pricing

    return pricing.reward(experiment.search.targets, result)


def _print(result: "CandidateResult", reward: float) -> None:
    console = tables.console()
    for number, stage in enumerate(result.stages, 1):
        figures = ", ".join(f"{key} {value:.4f}" for key, value in stage.metrics.items())
        spent = ", ".join(f"{key} {value:.1f}" for key, value in stage.seconds.items())
        console.print(
            f"stage {number}: reward {stage.score:.4f} after {stage.steps} steps, "
            f"loss {stage.losses[0]:.3f} → {stage.losses[-1]:.3f}\n  {figures}\n"
            f"  seconds: {spent}",
            highlight=False,
        )
    if result.stopped:
        console.print(f"stopped: {result.stopped}", highlight=False, markup=False)
    score = f" of a score of {result.score:.4f}" if reward != result.score else ""
    taking = "" if result.latency_ms is None else f", {milliseconds(result.latency_ms)}"
    console.print(
        f"reward {reward:.4f}{score}, {result.params:,} parameters, "
        f"{result.madds / 1e9:.2f} B multiply-adds{taking}",
        highlight=False,
    )
