"""``nas-tf search``: searches a space as a configuration says, in one process or several."""

import json
import os
import shlex
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec
from rich.console import Console

from nas_tf import files
from nas_tf.cli import completion, live, options, role, tables
from nas_tf.cli.live import bars
from nas_tf.config import load, resumed
from nas_tf.config.conflicts import KERASTUNERS_OWN
from nas_tf.config.oracles import ORACLES
from nas_tf.config.paths import run_name
from nas_tf.config.schema import Config
from nas_tf.errors import ConfigError, DataError, NasTfError, TrainingError
from nas_tf.runs import Run, TrialRecord, filenames
from nas_tf.runs.trial_store import TrialStore

if TYPE_CHECKING:
    from nas_tf.search.gradient import GradientSearch


@click.command("search")
@click.argument(
    "config_name", metavar="NAME|FILE|folder:DIR", shell_complete=completion.configurations
)
@options.OVERRIDES
@click.option(
    "--space",
    metavar="SPACE",
    help="Space to search, instead of the configuration's: a name, or {name: auxcell, blocks: 4}.",
)
@click.option(
    "--oracle",
    type=click.Choice(ORACLES),
    help="Search algorithm; search.oracle.KEY=VALUE sets its arguments.",
)
@click.option("--trials", type=click.IntRange(1), help="Number of candidates to evaluate.")
@click.option(
    "--time",
    "hours",
    type=options.HoursType(),
    help="Time after which no candidate begins, such as 8h or 90m.",
)
@click.option(
    "--warm-start",
    "--begin-with",
    "warm_start",
    metavar="RUN",
    help="Another run, whose best genotypes are evaluated first; formerly --begin-with.",
)
@click.option("--workers", type=click.IntRange(1), default=1, help="Number of worker processes.")
@click.option("--resume", is_flag=True, help="Resume the run in the folder.")
@click.option(
    "--out",
    type=options.OUT_FOLDER,
    help="Folder of the run (default: runs/CONFIG-ORACLE).",
)
@click.option(
    "--dry-run",
    is_flag=True,
    help="Make all checks and estimate time and disk space from a few steps, without searching.",
)
def command(
    config_name: str,
    overrides: tuple[str, ...],
    space: str | None,
    oracle: str | None,
    trials: int | None,
    hours: float | None,
    warm_start: str | None,
    workers: int,
    resume: bool,
    out: Path | None,
    dry_run: bool,
) -> None:
    """Search for the best networks on a data set; all results are saved in one folder.

    \b
    nas-tf search shapes_auxcell --trials 20
    nas-tf search folder:fields --trials 50 --time 8h
    nas-tf search camvid_auxcell --oracle evolution search.oracle.population=16 --workers 2
    nas-tf search camvid_auxcell --warm-start runs/shapes_auxcell-ppo
    nas-tf search camvid_auxcell --resume
    nas-tf search folder:fields --trials 50 --dry-run
    """
    given = options.given(
        **{
            "space": space,
            "search.trials": trials,
            "search.hours": hours,
            "search.warm_start": warm_start and json.dumps(warm_start),
        }
    )
    named = [] if oracle is None else [f"search.oracle={oracle}"]  # overrides set its arguments
    settings = [*named, *overrides, *(f"{key}={value}" for key, value in given.items())]
    chosen = load(config_name, settings).search.oracle_name
    if trials is not None and chosen == "gradient":
        raise ConfigError(
            f"--trials is {trials} and search.oracle is gradient, which trains one super-net, "
            "expected gradient.epochs=N, or another --oracle"
        )
    if dry_run:
        _print_estimate(config_name, settings, workers)
        return
    name = f"{run_name(config_name)}-{chosen}"
    conduct(config_name, settings, out or Path("runs") / name, workers=workers, resume=resume)


def conduct(
    config_name: str, overrides: Sequence[str], folder: Path, *, workers: int, resume: bool
) -> None:
    """Searches in a folder, prints the best trials, and writes the report."""
    since = time.monotonic()
    settings = list(overrides)
    role.check(workers)
    leads = not role.is_one_of_many()
    settings += _threads(config_name, settings, workers)
    config = load(config_name, settings)
    if config.search.oracle_name == "gradient":
        _search_by_gradient(config, folder, resume=resume, is_alone=leads and workers == 1)
        _print_result(folder)
        return
    if workers > 1 and config.search.oracle_name in KERASTUNERS_OWN:
        own = (*KERASTUNERS_OWN, "gradient")
        others = [name for name in ORACLES if name not in own]
        raise ConfigError(
            f"oracle {config.search.oracle_name} is KerasTuner's own and loses trials when a "
            f"worker dies, expected one of {', '.join(others)} with --workers"
        )
    announcement = _announcement(folder, config, resume) if leads else role.describe(folder)
    if workers > 1 and leads:
        _check_files(config, folder)
        click.echo(announcement, err=True)
        _search_with_workers(config_name, [*settings, *_found(config)], folder, workers)
    else:
        _search_here(config, folder, announcement, leads=leads)
    if leads or (role.is_chief_by_hand() and (folder / filenames.RUN).exists()):
        _print_time(folder, config, time.monotonic() - since)
        _print_result(folder)


def _threads(config_name: str, settings: Sequence[str], workers: int) -> list[str]:
    """Returns the threads of each of several workers as an override, if none are configured."""
    if workers == 1 or load(config_name, settings).threads is not None:
        return []
    return [f"threads={max(1, len(os.sched_getaffinity(0)) // workers)}"]


def _print_estimate(config_name: str, settings: Sequence[str], workers: int) -> None:
    """Prints what a search would take."""
    from nas_tf.jobs import estimates

    config = load(config_name, [*settings, *_threads(config_name, settings, workers)])
    with live.live_line(Console(stderr=True)) as line:
        found = estimates.estimate(
            config, on_candidate=lambda n: line.rows("candidates", n, estimates.MEASURED)
        )
    for text in tables.estimate_lines(found, workers):
        click.echo(text)


def _announcement(folder: Path, config: Config, resume: bool) -> str:
    """Returns a line that says what the search does; raises if the folder is not accepted."""
    done, most = _check_folder(folder, config, resume), config.search.trials
    if done >= most:
        return f"all {done} trials of {folder} have ended; give a larger --trials to continue"
    if done:
        return f"resuming {folder} after {done} trials, up to {most} trials"
    is_new = not (folder / filenames.RUN).exists()
    note = f"no run to resume in {folder}: " if resume and is_new else ""
    return f"{note}searching in {folder}, up to {most} trials"


def _check_folder(folder: Path, config: Config, resume: bool) -> int:
    """Returns a run's number of trials; refuses to overwrite it, or to resume it unasked."""
    if not (folder / filenames.RUN).exists():
        files.refuse_others(folder, (filenames.LOCK, "oracle.json", "ledger.jsonl", "chief.json"))
        return 0
    done = len(Run(folder).trials)
    if not resume:
        raise ConfigError(
            f"{folder} holds a run of {done} trials: add --resume to continue it, or give "
            "another folder with --out"
        )
    if done < config.search.trials:
        from nas_tf.training import own_files

        own_files.check(folder, config)
    resumed.check(folder, config)
    return done


def _check_files(config: Config, folder: Path) -> None:
    """Raises errors of data and files here, so that they are not printed by every worker."""
    from nas_tf.jobs import oracles
    from nas_tf.search import preflight

    preflight.check(config)
    oracles.first_trials(config, folder)


def _found(config: Config) -> list[str]:
    """Returns what another run gave, as overrides: workers do not read it, as it may change."""
    if config.search.follows is None:
        return []
    follows = msgspec.json.encode(config.search.follows).decode()
    return [f"space={json.dumps(config.space)}", f"search.follows={follows}"]


def _search_by_gradient(config: Config, folder: Path, *, resume: bool, is_alone: bool) -> None:
    """Trains a super-net in this process, and prints a line after each epoch."""
    from nas_tf.jobs import search

    if not is_alone:
        raise ConfigError(
            "search.oracle is gradient, which trains one super-net in one process, expected no "
            "--workers; processors share the work within a step (threads)"
        )
    _check_folder(folder, config, resume)
    console = Console(stderr=True)
    with live.live_line(console) as line:
        training = None

        def announce(checked: "GradientSearch") -> None:
            nonlocal training
            training = checked.training
            before = f"resuming {folder} after epoch {checked.epochs_done}"
            say = before if checked.resumed else f"training the super-net in {folder}"
            text = f"{say}, up to epoch {config.gradient.epochs}"
            console.print(text, highlight=False, markup=False, soft_wrap=True)
            line.start("super-net", training.steps, training.steps_done)

        try:
            search.search_by_gradient(
                config,
                folder,
                on_checked=announce,
                observer=line.step,
                on_epoch=lambda row: line.print_line(_epoch_line(row)),
                on_trial=lambda trial: line.print_line(tables.line(trial)),
            )
        except KeyboardInterrupt:
            if training is not None:
                training.save()
            raise _interrupted() from None


def _epoch_line(row: Mapping[str, Any]) -> str:
    """Returns an epoch's loss, figures, entropy of the operations, and most probable path."""
    figures = {"psnr": "PSNR", "ssim": "SSIM"}
    scored = "".join(f", {name} {row[key]:.4g}" for key, name in figures.items() if key in row)
    return (
        f"epoch {row['epoch']}: loss {row['loss']:.4f}{scored}, entropy {row['entropy']:.3f}, "
        f"path {row['path']} ({row['probability']:.3f}), {row['seconds']:.0f} s"
    )


def _search_with_workers(
    config_name: str, overrides: Sequence[str], folder: Path, workers: int
) -> None:
    from tuner_oracles.launch import Cluster

    arguments = ["search", config_name, *overrides, "--out", str(folder)]
    command = [sys.executable, "-m", "nas_tf", *arguments]
    mistakes = {error.exit_code for error in NasTfError.__subclasses__()} - {1}
    console = Console(stderr=True)
    with bars(console) as shown:
        status = Cluster(
            command,
            workers,
            fatal=mistakes,
            env={**os.environ, live.PIPED: "1"},
            on_line=live.Relay(shown, console).on_line,
        ).run()
    if status == 130:
        raise _interrupted()
    if status in mistakes:
        raise click.exceptions.Exit(status)
    if status:
        raise TrainingError(f"the search in {folder} ended early; add --resume to continue it")


def _search_here(config: Config, folder: Path, announcement: str, *, leads: bool) -> None:
    """Searches in this process; if it leads, prints how to resume when it is interrupted."""
    from nas_tf.jobs import search

    console = Console(stderr=True)
    announce = partial(console.print, announcement, highlight=False, markup=False, soft_wrap=True)
    try:
        with live.live_line(console) as line:
            shown = _Trials(folder, line, config.search.trials)
            on_end = shown.print_others if role.is_chief_by_hand() else None
            search.search(
                config,
                folder,
                on_checked=announce if announcement else None,
                observer=line.step,
                progress=line.rows,
                on_trial=shown.print,
                on_end=on_end,
            )
            if on_end is not None:
                on_end()  # a worker writes trials whose process died when its search ends
    except KeyboardInterrupt:
        if leads:
            raise _interrupted() from None
        raise


class _Trials:
    """Prints the trials of this process, and in a chief those that its workers have written."""

    def __init__(self, folder: Path, line: live.Line, count: int) -> None:
        self._line, self._headline = line, live.Headline(folder, count)
        self._store = TrialStore(folder)
        self._printed = {trial.trial for trial in self._store.all()}

    def print(self, trial: TrialRecord, worker: str = "") -> None:
        """Prints a trial, and sets the header after it."""
        self._printed.add(trial.trial)
        self._line.print_line(f"{worker}{tables.line(trial)}")
        self._line.set_header(self._headline.after(trial))

    def print_others(self) -> None:
        """Prints the trials that were written since the last call."""
        with suppress(DataError, OSError):  # a search does not fail because of its messages
            for trial in self._store.all():
                if trial.trial not in self._printed:
                    self.print(trial, f"{trial.worker}: " if trial.worker else "")


def _print_time(folder: Path, config: Config, seconds: float) -> None:
    """Says that the time is up if trials are left after the hours of a search."""
    done, most = len(Run(folder).trials), config.search.trials
    hours = config.search.hours
    if hours is not None and seconds >= 3600 * hours and done < most:
        click.echo(f"the time is up after {done} of {most} trials; --resume continues", err=True)


def _interrupted() -> click.exceptions.Exit:
    """Prints the command that resumes: the same one, for a search with --resume."""
    arguments = [argument for argument in sys.argv[1:] if argument != "--resume"]
    if arguments[0] == "search":
        arguments.append("--resume")
    click.echo(f"stopped; resume with: nas-tf {shlex.join(arguments)}", err=True)
    return click.exceptions.Exit(130)


def _print_result(folder: Path) -> None:
    """Prints a table of the best trials, writes the report, and prints its path."""
    from nas_tf.report import page
    from nas_tf.report.run_statistics import RunStatistics

    run = Run(folder)
    failed = len(run.trials) - len(run.completed)
    if not run.completed:
        last = f", the last: {run.trials[-1].stopped}" if run.trials else ""
        raise TrainingError(f"no trial of {folder} has a reward, {failed} failed{last}")
    stopped = sum(trial.stopped == "gate" for trial in run.trials)
    gate = f"{stopped} stopped by the gate, " if run.has_gate else ""
    console = tables.console()
    console.print(tables.best(run.best(5), run.mean_rewards))
    console.print(
        f"{len(run.trials)} trials in {folder}: {gate}{failed} failed\nreport: {page.write(run)}",
        highlight=False,
        markup=False,
    )
    facts = RunStatistics(run)
    if facts.alike:
        console.print(page.nothing_learnt(facts), highlight=False, markup=False)
