"""A search as a configuration describes it, with every error of the user's on one line."""

import io
import json
import shlex
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path

import tuner_oracles
from nas_tf import files, spaces
from nas_tf.config import resumed
from nas_tf.config.schema import Config
from nas_tf.errors import ConfigError, DataError, EnvironmentFault, NasTfError, TrainingError
from nas_tf.jobs.latencies import measured_latency
from nas_tf.jobs.oracles import MOST_FAILURES, first_trials, oracle_of
from nas_tf.runs import TrialRecord, filenames
from nas_tf.search import SearchHyperModel, TwoStageTuner
from nas_tf.search.gradient import GradientSearch, OnEpoch
from nas_tf.training import hardware
from nas_tf.training.two_stage import Observer
from tuner_oracles.durable import DurableOracle
from tuner_oracles.ledger import NAME, Busy, LedgerError, Lost, Unwritable
from tuner_oracles.tokens import SpaceError
from tuner_oracles.worker import ChiefLost


def search(
    config: Config,
    folder: Path,
    *,
    on_checked: Callable[[], None] | None = None,
    observer: Observer | None = None,
    progress: Callable[[str, int, int], None] | None = None,
    on_trial: Callable[[TrialRecord], None] | None = None,
    on_end: Callable[[], None] | None = None,
) -> TwoStageTuner:
    """Searches until the budget of trials or hours is spent; a later call resumes.

    By KerasTuner's variables it is the only process of the search, its chief, or a worker.

    Args:
        config: The configuration.
        folder: The folder of the run.
        on_checked: Called after the configuration and its files have passed all checks.
        observer: Called at every training step.
        progress: Called while features are cached, with a name, the rows done and their total.
        on_trial: Called with the record of every finished trial of this process.
        on_end: Called in a chief when trials of its workers have ended.
    """
    folder, config = files.with_own_name(folder), _as_started(config, folder)
    space = spaces.get(config.space)
    model = SearchHyperModel.of(config, space, latency=measured_latency(config))
    oracle = oracle_of(config, space, first_trials(config, folder))
    if config.search.hours is not None and isinstance(oracle, DurableOracle):
        oracle.deadline = time.monotonic() + 3600 * config.search.hours
    model.check()  # before the tuner makes the run's folder
    if on_checked is not None:
        on_checked()
    with reporting_errors(folder):
        with redirect_stdout(io.StringIO()):  # KerasTuner prints the file that it reloads
            tuner = TwoStageTuner(
                model,
                oracle,
                directory=folder.parent,
                project_name=folder.name,
                observer=observer,
                progress=progress,
                on_trial=on_trial,
                saved_weights=config.search.saved_weights,
            )
        if isinstance(oracle, DurableOracle):
            tuner_oracles.search(tuner, verbose=0, on_end=on_end)
        else:
            tuner.search(verbose=0)
    return tuner


def _as_started(config: Config, folder: Path) -> Config:
    """Returns the configuration with what the pictures or another run decided at the start."""
    return resumed.check(folder, config) if (folder / filenames.RUN).exists() else config


def search_by_gradient(
    config: Config,
    folder: Path,
    *,
    on_checked: Callable[[GradientSearch], None] | None = None,
    observer: Observer | None = None,
    on_epoch: OnEpoch | None = None,
    on_trial: Callable[[TrialRecord], None] | None = None,
) -> GradientSearch:
    """Trains the super-net of a configuration to the end; a later call resumes.

    Args:
        config: The configuration, with ``search.oracle=gradient``.
        folder: The folder of the run.
        on_checked: Called with the search, after all checks and before the first step.
        observer: Called at every step of the weights.
        on_epoch: Called with the figures of every finished epoch.
        on_trial: Called with the record of every genotype that becomes a trial.
    """
    hardware.use_threads(config.threads)
    folder, config = files.with_own_name(folder), _as_started(config, folder)
    with reporting_errors(folder):
        search = GradientSearch(config, folder)
        if on_checked is not None:
            on_checked(search)

        def step(done: int, total: int, loss: float) -> None:
            if observer is not None:
                observer("super-net", done, total, loss)

        search.run(step, on_epoch, on_trial)
    return search


@contextmanager
def reporting_errors(folder: Path) -> Iterator[None]:
    """Turns what oracles, KerasTuner and the system raise into errors of one line."""
    try:
        yield
    except Unwritable as error:
        raise EnvironmentFault(str(error)) from error
    except Busy as error:
        raise DataError(
            f"{error.fault}; end it first, or give another folder with --out"
        ) from error
    except Lost as error:
        quoted = shlex.quote(str(folder))
        remedy = f"put back a copy of {NAME}"
        if (folder / NAME).exists():
            remedy += f", keep its intact part by nas-tf runs {quoted} --salvage"
        raise DataError(
            f"{error.fault}; {remedy}, or start another search from the best of this one: "
            f"--warm-start {quoted} --out NEW instead of --resume"
        ) from error
    except LedgerError as error:
        raise DataError(str(error)) from error
    except OSError as error:
        raise EnvironmentFault(f"the search in {folder} ended: {error}") from error
    except SpaceError as error:
        raise ConfigError(str(error)) from error
    except ChiefLost as error:
        raise NasTfError(str(error)) from error
    except json.JSONDecodeError as error:
        raise DataError(
            f"oracle.json or a trial.json in {folder} can't be read: {error}; put back a copy, or "
            "give another folder with --out"
        ) from error
    except RuntimeError as error:
        if "consecutive failures" not in str(error):
            raise
        last = str(error).strip().rpartition("\n")[2]
        raise TrainingError(f"{MOST_FAILURES} trials failed in a row; the last: {last}") from error
