"""One process of a search: its only process, its chief, or one of its workers."""

import io
import json
import shlex
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from pathlib import Path
from typing import Any

from rich.console import Console

import tuner_oracles
from nas_tf import spaces
from nas_tf.cli import role, tables, timing
from nas_tf.cli.live import Headline, Line, live_line
from nas_tf.cli.oracles import MOST_FAILURES, first_trials, oracle_of
from nas_tf.config.schema import Config
from nas_tf.errors import ConfigError, DataError, EnvironmentFault, NasTfError, TrainingError
from nas_tf.runs.trial_store import TrialStore
from nas_tf.search import SearchHyperModel, TwoStageTuner
from tuner_oracles.durable import DurableOracle
from tuner_oracles.ledger import NAME, Busy, LedgerError, Lost, Unwritable
from tuner_oracles.tokens import SpaceError
from tuner_oracles.worker import ChiefLost


def run(config: Config, folder: Path, console: Console, announcement: str) -> None:
    """Searches until the budget is spent; after an interruption, a later call resumes.

    ``announcement`` is printed after the configuration and its files have passed all checks.
    """
    space = spaces.get(config.space)
    model = SearchHyperModel.of(config, space, latency=timing.measured_latency(config))
    oracle = oracle_of(config, space, first_trials(config, folder))
    model.check()  # before the tuner makes the run's folder
    if announcement:
        console.print(announcement, highlight=False, markup=False, soft_wrap=True)
    with live_line(console) as line, _user_errors(folder):
        headline = Headline(folder, config.search.trials)

        def on_trial(trial: Any) -> None:
            line.print_line(tables.line(trial))
            line.set_header(headline.after(trial))

        with redirect_stdout(io.StringIO()):  # KerasTuner prints the file that it reloads
            tuner = TwoStageTuner(
                model,
                oracle,
                directory=folder.parent,
                project_name=folder.name,
                observer=line.step,
                progress=line.rows,
                on_trial=on_trial,
                saved_weights=config.search.saved_weights,
            )
        if isinstance(oracle, DurableOracle):
            on_end = None
            if role.is_chief_by_hand():
                on_end = _NewTrials(folder, line, headline)
            tuner_oracles.search(tuner, verbose=0, on_end=on_end)
            if on_end is not None:
                on_end()  # a worker writes trials whose process died when its search ends
        else:
            tuner.search(verbose=0)


class _NewTrials:
    """Prints, in a chief, the trials that its workers have written since the last call."""

    def __init__(self, folder: Path, line: Line, headline: Headline) -> None:
        self._store, self._line, self._headline = TrialStore(folder), line, headline
        self._printed = {trial.trial for trial in self._store.all()}

    def __call__(self) -> None:
        with suppress(DataError, OSError):  # a search does not fail because of its messages
            for trial in self._store.all():
                if trial.trial not in self._printed:
                    self._printed.add(trial.trial)
                    worker = f"{trial.worker}: " if trial.worker else ""
                    self._line.print_line(f"{worker}{tables.line(trial)}")
                    self._line.set_header(self._headline.after(trial))


@contextmanager
def _user_errors(folder: Path) -> Iterator[None]:
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
        raise DataError(
            f"{error.fault}; put back a copy of {NAME}, or start another search from the best of "
            f"this one: --warm-start {shlex.quote(str(folder))} --out NEW instead of --resume"
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
