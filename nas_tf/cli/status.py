"""``nas-tf status``: prints the progress of a run, while it runs and afterwards."""

import json
from datetime import UTC, datetime
from statistics import median

import click
from rich.markup import escape

from nas_tf.cli import options, tables
from nas_tf.report import run_statistics
from nas_tf.report.formatting import duration, score
from nas_tf.runs import Run, filenames

_ACTIVE_TRIALS = 3.0
"""The number of mean trial times after which a run without a new trial counts as stopped."""


@click.command("status")
@options.RUN
@click.option("--json", "as_json", is_flag=True, help="Print the figures as one JSON object.")
def command(run: Run, as_json: bool) -> None:
    """Show the progress of RUN: finished trials, best and mean reward, gate, failures.

    \b
    nas-tf status runs/camvid_auxcell-ppo
    watch nas-tf status runs/camvid_auxcell-ppo
    """
    facts = figures(run)
    if as_json:
        click.echo(json.dumps(facts))
        return
    info = run.info
    console = tables.console()
    space = run_statistics.RunStatistics(run).space
    search = f"{space} on {info.data}, {info.oracle}, seed {info.seed}"
    console.print(f"[bold]{escape(str(run.folder))}[/]: {escape(search)}")
    console.print(f"{facts['trials']}/{facts['of']} trials, {_state(facts)}")
    if facts["completed"]:
        gated = f"{facts['gated']} stopped by the gate, " if run.has_gate else ""
        console.print(
            f"best {score(facts['best'])}, median {score(facts['median'])}, mean of the last 20 "
            f"{score(facts['mean_of_last_20'])}; {gated}{facts['failed']} failed"
        )
        console.print(f"best: {tables.line(run.best()[0])}", markup=False)
    for reason, count in facts["failures"].items():
        console.print(f"{count} failed: {reason}", markup=False)
    if (run.folder / filenames.REPORT).exists():
        console.print(f"report: {run.folder / filenames.REPORT}", markup=False)


def figures(run: Run) -> dict[str, object]:
    """Returns the figures that ``nas-tf status --json`` prints."""
    rewards = [trial.reward for trial in run.completed]
    seconds = [trial.seconds for trial in run.trials]
    last = run.trials[-1].ended if run.trials else None
    return {
        "run": str(run.folder),
        "trials": len(run.trials),
        "of": run.info.max_trials,
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


def _state(facts: dict) -> str:
    if not facts["trials"]:
        return "none ended yet"
    if facts["of"] and facts["trials"] >= facts["of"]:
        return f"finished {duration(facts['seconds_since_last'])} ago"
    ago = duration(facts["seconds_since_last"])
    if facts["seconds_since_last"] < _ACTIVE_TRIALS * facts["seconds_a_trial"]:
        return f"the last ended {ago} ago, a trial takes {duration(facts['seconds_a_trial'])}"
    return f"the last ended {ago} ago: if the search has stopped, --resume continues it"
