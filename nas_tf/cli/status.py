"""``nas-tf status``: how a run stands, while it runs and after."""

import json
from datetime import UTC, datetime
from statistics import median

import click
from rich.markup import escape

from nas_tf.cli import options, tables
from nas_tf.report import run_statistics
from nas_tf.report.formatting import duration
from nas_tf.runs import Run, files

_ACTIVE = 3.0
"""A run is taken to be alive if it ended a trial within so many times its mean trial."""


@click.command("status")
@options.RUN
@click.option("--json", "as_json", is_flag=True, help="Print the figures as one JSON object.")
def command(run: Run, as_json: bool) -> None:
    """Show the progress of RUN: finished trials, best and mean reward, gate, failures.

    \b
    nas-tf status runs/camvid_auxcell-ppo
    watch nas-tf status runs/camvid_auxcell-ppo
    """
    told = figures(run)
    if as_json:
        click.echo(json.dumps(told))
        return
    about = run.about
    console = tables.console()
    made = f"{about['space']} on {about['data']}, {about['oracle']}, seed {about['seed']}"
    console.print(f"[bold]{escape(str(run.folder))}[/]: {escape(made)}")
    console.print(f"{told['trials']}/{told['of']} trials, {_state(told)}")
    if told["completed"]:
        gated = f"{told['gated']} stopped by the gate, " if run.has_gate else ""
        console.print(
            f"best {told['best']:.4f}, median {told['median']:.4f}, mean of the last 20 "
            f"{told['mean_of_last_20']:.4f}; {gated}{told['failed']} failed"
        )
        console.print(f"the best: {tables.line(run.best()[0])}", markup=False)
    for reason, count in told["failures"].items():
        console.print(f"{count} failed: {reason}", markup=False)
    if (run.folder / files.REPORT).exists():
        console.print(f"report: {run.folder / files.REPORT}", markup=False)


def figures(run: Run) -> dict[str, object]:
    """What ``status`` says, by name."""
    rewards = [trial.reward for trial in run.completed]
    seconds = [trial.seconds for trial in run.trials]
    last = run.trials[-1].ended if run.trials else None
    return {
        "run": str(run.folder),
        "trials": len(run.trials),
        "of": run.about["max_trials"],
        "completed": len(rewards),
        "gated": sum(trial.stopped == "gate" for trial in run.completed),
        "failed": len(run.trials) - len(rewards),
        "failures": {
            failure.reason: len(failure.trials)
            for failure in run_statistics.group_failures(run.trials)
        },
        "best": max(rewards, default=None),
        "median": median(rewards) if rewards else None,
        "mean_of_last_20": sum(rewards[-20:]) / len(rewards[-20:]) if rewards else None,
        "seconds_a_trial": sum(seconds) / len(seconds) if seconds else None,
        "seconds_since_last": _since(last) if last else None,
    }


def _since(moment: str) -> float:
    return (datetime.now(UTC) - datetime.fromisoformat(moment)).total_seconds()


def _state(told: dict) -> str:
    if not told["trials"]:
        return "none ended yet"
    if told["of"] and told["trials"] >= told["of"]:
        return f"finished {duration(told['seconds_since_last'])} ago"
    ago = duration(told["seconds_since_last"])
    if told["seconds_since_last"] < _ACTIVE * told["seconds_a_trial"]:
        return f"the last ended {ago} ago, a trial takes {duration(told['seconds_a_trial'])}"
    return f"the last ended {ago} ago: stopped? Its command with --resume goes on"
