"""``nas-tf trial``: trains and scores one candidate, as a search does."""

import json
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import click
from rich.console import Console

from nas_tf import folders, spaces
from nas_tf.cli import options, tables
from nas_tf.config.schema import Config, Goals
from nas_tf.report.formatting import milliseconds, score

if TYPE_CHECKING:
    from nas_tf.training.result import CandidateResult
    from nas_tf.training.two_stage import Latency


@click.command("trial")
@click.argument("genotype", metavar="GENOTYPE")
@options.CONFIG
@options.OVERRIDES
@click.option("--out", type=options.OUT_FILE, help="JSON file of the result.")
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

    from nas_tf.training import gate, hardware
    from nas_tf.training.shared_data import SharedData
    from nas_tf.training.two_stage import TwoStage

    hardware.use_threads(config.threads)
    if config.search.goals != Goals():
        _pricing().check(config)
    latency = _latency(config)
    console = Console(stderr=True)
    with live_line(console) as line:
        shared = SharedData(config, progress=line.rows)
        evaluator = TwoStage(config, shared, latency=latency)
        result = evaluator.evaluate(
            candidate, gate.make(config.gate, config.seed), observer=line.step
        )
    reward = _reward(config, result)
    _print(result, reward)
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        with folders.reporting_full_disk(out):
            out.write_text(
                json.dumps({**result.to_dict(), "reward": reward}, indent=1) + "\n",
                encoding="utf-8",
            )


def _latency(config: Config) -> "Latency | None":
    if config.search.latency is None:
        return None
    from nas_tf import quiet

    quiet.load("keras_tuner")
    from nas_tf.cli import timing
    from nas_tf.search import preflight, pricing

    preflight.check(config)
    return pricing.latency_of(config, timing.measured_latency(config))


def _reward(config: Config, result: "CandidateResult") -> float:
    """Returns the reward that a search would report to its oracle."""
    if config.search.goals == Goals():
        return result.score
    return _pricing().reward(config.search.goals, result)


def _pricing() -> ModuleType:
    """Loads the module that computes rewards, and with it KerasTuner."""
    from nas_tf import quiet

    quiet.load("keras_tuner")
    from nas_tf.search import pricing

    return pricing


def _print(result: "CandidateResult", reward: float) -> None:
    console = tables.console()
    for number, stage in enumerate(result.stages, 1):
        figures = ", ".join(f"{key} {value:.4f}" for key, value in stage.metrics.items())
        times = ", ".join(f"{key} {value:.1f}" for key, value in stage.seconds.items())
        console.print(
            f"stage {number}: score {score(stage.score)} after {stage.steps} steps, "
            f"loss {stage.losses[0]:.3f} → {stage.losses[-1]:.3f}\n  {figures}\n"
            f"  seconds: {times}",
            highlight=False,
        )
    if result.stopped:
        console.print(f"stopped: {result.stopped}", highlight=False, markup=False)
    outcome = "failed" if result.failed else f"reward {score(reward)}"
    before = f" (score {score(result.score)})" if reward != result.score else ""
    latency = "" if result.latency_ms is None else f", {milliseconds(result.latency_ms)}"
    console.print(
        f"{outcome}{before}, {result.params:,} parameters, "
        f"{result.madds / 1e9:.2f} B multiply-adds{latency}",
        highlight=False,
    )
