"""``nas-tf search``: from a configuration to a run's folder full of trials."""

import json
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import click
from rich.console import Console

from nas_tf import folders, spaces
from nas_tf.cli import live, options, role, tables
from nas_tf.cli.live import bars
from nas_tf.config import load, resumed
from nas_tf.config.conflicts import KERASTUNERS_OWN
from nas_tf.config.paths import run_name
from nas_tf.config.schema import Config, Oracle
from nas_tf.errors import ConfigError, NasTfError, TrainingError
from nas_tf.runs import Run, files


@click.command("search")
@click.argument("config", metavar="NAME|FILE|folder:DIR")
@options.OVERRIDES
@click.option("--space", type=click.Choice(tuple(spaces.SPACES)), help="Search another space.")
@click.option(
    "--oracle",
    type=click.Choice(get_args(Oracle)),
    help="Search algorithm; below some 200 trials evolution finds more than PPO.",
)
@click.option("--trials", type=click.IntRange(1), help="Number of candidates.")
@click.option(
    "--begin-with", metavar="RUN", help="Evaluate the best genotypes of another run first."
)
@click.option("--workers", type=click.IntRange(1), default=1, help="Number of worker processes.")
@click.option("--resume", is_flag=True, help="Resume the run in the folder.")
@click.option(
    "--out",
    type=options.OUT_FOLDER,
    help="Folder of the run (default: runs/CONFIG-ORACLE).",
)
def command(
    config: str,
    overrides: tuple[str, ...],
    space: str | None,
    oracle: str | None,
    trials: int | None,
    begin_with: str | None,
    workers: int,
    resume: bool,
    out: Path | None,
) -> None:
    """Search for the best networks on a data set; everything is saved in one folder.

    \b
    nas-tf search shapes_auxcell --trials 20
    nas-tf search folder:fields --trials 50
    nas-tf search camvid_auxcell stage_one.epochs=3 --oracle evolution --workers 2
    nas-tf search camvid_auxcell --begin-with runs/shapes_auxcell-ppo
    nas-tf search camvid_auxcell --resume
    """
    given = options.given(
        **{
            "space": space,
            "search.oracle": oracle,
            "search.trials": trials,
            "search.begin_with": begin_with and json.dumps(begin_with),
        }
    )
    every = [*overrides, *(f"{key}={value}" for key, value in given.items())]
    name = f"{run_name(config)}-{load(config, every).search.oracle}"
    conduct(config, every, out or Path("runs") / name, workers=workers, resume=resume)


def conduct(
    config: str, overrides: Sequence[str], folder: Path, *, workers: int, resume: bool
) -> None:
    """Searches into a folder, tells the best, and draws the report."""
    every = list(overrides)
    role.check(workers)
    leads = not role.is_one_of_many()
    if workers > 1 and not any(one.startswith("threads=") for one in every):
        every.append(f"threads={max(1, (os.cpu_count() or 1) // workers)}")
    experiment = load(config, every)
    if workers > 1 and experiment.search.oracle in KERASTUNERS_OWN:
        others = [one for one in get_args(Oracle) if one not in KERASTUNERS_OWN]
        raise ConfigError(
            f"oracle {experiment.search.oracle} is KerasTuner's own and loses trials when a "
            f"worker dies, expected one of {', '.join(others)} with --workers"
        )
    begins = _begins(folder, experiment, resume) if leads else role.part(folder)
    if workers > 1 and leads:
        _check_files(experiment, folder)
        click.echo(begins, err=True)
        _many(config, every, folder, workers)
    else:
        _one(experiment, folder, begins, leads=leads)
    if leads or (role.is_chief_by_hand() and (folder / files.RUN).exists()):
        _tell(folder)


def _begins(folder: Path, experiment: Config, resume: bool) -> str:
    """What the search does, for the line that says so; an unlawful folder is refused."""
    done, most = _check_folder(folder, experiment, resume), experiment.search.trials
    if done >= most:
        return f"all {done} trials of {folder} have ended; with a larger --trials it goes on"
    if done:
        return f"resumes {folder} after {done} trials, up to {most} trials"
    is_new = not (folder / files.RUN).exists()
    fresh = f"no run to resume in {folder}: " if resume and is_new else ""
    return f"{fresh}searches into {folder}, up to {most} trials"


def _check_folder(folder: Path, experiment: Config, resume: bool) -> int:
    """How many trials a run has; one is neither overwritten nor gone on with by mistake."""
    if not (folder / files.RUN).exists():
        folders.refuse_others(folder, (files.LOCK, "oracle.json", "ledger.jsonl", "chief.json"))
        return 0
    done = len(Run(folder).trials)
    if not resume:
        raise ConfigError(
            f"{folder} holds a run of {done} trials: add --resume to continue it, or give "
            "another folder by --out"
        )
    resumed.check(folder, experiment)
    return done


def _check_files(experiment: Config, folder: Path) -> None:
    """What is wrong with data or a file is told here once, not by every worker."""
    from nas_tf import quiet

    quiet.load("tensorflow")
    quiet.load("keras_tuner")
    from nas_tf.cli.search_run import tried_first
    from nas_tf.search import preflight

    preflight.check(experiment)
    tried_first(experiment, folder)


def _many(config: str, overrides: Sequence[str], folder: Path, workers: int) -> None:
    from tuner_oracles.launch import Cluster

    command = [sys.executable, "-m", "nas_tf", "search", config, *overrides, "--out", str(folder)]
    mistakes = {error.exit_code for error in NasTfError.__subclasses__()} - {1}
    console = Console(stderr=True)
    with bars(console) as shown:
        status = Cluster(
            command,
            workers,
            hopeless=mistakes,
            env={**os.environ, live.PIPED: "1"},
            hear=live.Relay(shown, console).hear,
        ).run()
    if status == 130:
        raise _interrupted()
    if status in mistakes:
        raise click.exceptions.Exit(status)
    if status:
        raise TrainingError(f"the search in {folder} ended early; add --resume to continue it")


def _one(experiment: Config, folder: Path, begins: str, *, leads: bool) -> None:
    """This process's share; only one that leads says how to go on."""
    from nas_tf import quiet

    quiet.load("tensorflow")
    quiet.load("keras_tuner")
    from nas_tf.cli.search_run import run

    console = Console(stderr=True)
    try:
        run(experiment, folder, console, begins)
    except KeyboardInterrupt:
        if leads:
            raise _interrupted() from None
        raise


def _interrupted() -> click.exceptions.Exit:
    """The command that goes on: the same, of a search with --resume."""
    arguments = [one for one in sys.argv[1:] if one != "--resume"]
    if arguments[0] == "search":
        arguments.append("--resume")
    click.echo(f"stopped; resume with: nas-tf {shlex.join(arguments)}", err=True)
    return click.exceptions.Exit(130)


def _tell(folder: Path) -> None:
    """The best of the run as a table, and where its report is."""
    from nas_tf.report import page
    from nas_tf.report.run_statistics import RunStatistics

    run = Run(folder)
    failed = len(run.trials) - len(run.completed)
    if not run.completed:
        last = f", the last: {run.trials[-1].stopped}" if run.trials else ""
        raise TrainingError(f"no trial of {folder} came to a reward, {failed} failed{last}")
    stopped = sum(trial.stopped == "gate" for trial in run.trials)
    gate = f"{stopped} stopped by the gate, " if run.has_gate else ""
    console = tables.console()
    console.print(tables.best(run.best(5)))
    console.print(
        f"{len(run.trials)} trials in {folder}: {gate}{failed} failed\nreport: {page.write(run)}",
        highlight=False,
        markup=False,
    )
    facts = RunStatistics(run)
    if facts.alike:
        console.print(page.nothing_learnt(facts), highlight=False, markup=False)
