"""A trial of a run, for ``nas-tf show``."""

from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from nas_tf import networks
from nas_tf.errors import ConfigError
from nas_tf.networks import Blueprint
from nas_tf.networks.heads import Head
from nas_tf.report.words import milliseconds
from nas_tf.runs import Run, Stage, TrialRecord, layout
from nas_tf.spaces import PUBLISHED, Published


def find(run: Run, trial: str | None) -> TrialRecord:
    """The trial of a number or identifier; the best if none is given."""
    if trial is None:
        if best := run.best():
            return best[0]
        raise ConfigError(f"{run.folder} has no completed trial yet: {len(run.trials)} ended")
    for one in run.trials:
        if one.trial == trial or one.trial.lstrip("0") == trial.lstrip("0"):
            return one
    names = [one.trial for one in run.trials]
    known = f"one of {names[0]} to {names[-1]}" if names else "none, for none has ended"
    raise ConfigError(f"trial is {trial!r}, expected {known}")


def first_published(space: str) -> Published:
    """The published network whose outputs and size stand for those of its space."""
    return next(p for p in PUBLISHED.values() if p.genotype.space == space)


def draw(
    run: Run,
    trial: TrialRecord,
    given: dict[str, Any],
    outputs: int | None,
    input_size: tuple[int, int] | None,
) -> Blueprint:
    """As the run drew its candidates when it counted what they cost, but for what is given.

    Runs of versions that did not tell their outputs and input are drawn as the paper's were.
    """
    genotype, told = trial.parsed, run.about
    own = {
        key: run.settings[f"network.{key}"]
        for key in ("width", "sep_repeats", "auxiliary", "alpha")
        if run.settings.get(f"network.{key}") is not None
    }
    try:
        if told["outputs"] is not None and told["input"] is not None:
            head: Head | int = Head(told["task"], told["outputs"])
            size = tuple(told["input"])
        else:
            like = first_published(genotype.space)
            head, size = like.num_classes, like.input_size
        return networks.draw(
            genotype,
            head if outputs is None else outputs,
            input_size=input_size or size,
            settings=networks.settings.search(genotype.space, **own | given),
        )
    except ConfigError as error:
        if given or outputs is not None or input_size is not None:
            raise
        raise ConfigError(
            f"trial {trial.trial} of {run.folder} can't be drawn: {error}; {layout.RUN} and "
            f"{layout.CONFIG} there say how"
        ) from error


def describe(console: Console, run: Run, trial: TrialRecord) -> None:
    """What became of the trial, and what its network costs."""
    ranked = [one.trial for one in run.best(len(run.trials))]
    known = trial.trial in ranked
    place = f" number {ranked.index(trial.trial) + 1} of {len(ranked)}" if known else ""
    console.print(f"[bold]trial {trial.trial}[/] of {escape(str(run.folder))}{place}")
    console.print(_fate(trial), markup=False)
    if trial.params:
        latency = f", {milliseconds(trial.latency_ms)}" if trial.latency_ms else ""
        console.print(
            f"shipped: {trial.params:,} parameters, {trial.madds:,} multiply-adds{latency}"
        )
    console.print(
        f"seed {trial.seed}, {trial.seconds:.0f} s on {trial.worker}, from {trial.started}",
        markup=False,
    )
    if trial.stages:
        console.print(_stages(trial.stages))
    console.print()


def _fate(trial: TrialRecord) -> str:
    if trial.status == "failed":
        return f"failed: {trial.stopped}; the oracle received {trial.reward:.4f}"
    stopped = ", stopped by the gate" if trial.stopped == "gate" else ""
    priced = f" (score {trial.score:.4f})" if trial.score != trial.reward else ""
    return f"reward {trial.reward:.4f}{priced}{stopped}"


def _stages(stages: tuple[Stage, ...]) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("")
    for number in range(1, len(stages) + 1):
        table.add_column(f"stage {number}", justify="right")
    rows = {
        "reward": [f"{stage.reward:.4f}" for stage in stages],
        **{
            name: [f"{stage.metrics.get(name, float('nan')):.4f}" for stage in stages]
            for name in stages[0].metrics
        },
        "loss, first to last": [
            f"{stage.losses[0]:.3f} → {stage.losses[-1]:.3f}" if stage.losses else ""
            for stage in stages
        ],
        "steps": [str(stage.steps) for stage in stages],
        "seconds": [f"{sum(stage.seconds.values()):.0f}" for stage in stages],
    }
    for name, values in rows.items():
        table.add_row(name, *values)
    return table
