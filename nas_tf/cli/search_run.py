"""One process of a search: the whole of it, its chief, or one of its workers."""

import importlib.util
import io
import json
import shlex
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from pathlib import Path
from typing import Any

import keras_tuner as kt
from keras_tuner.src.distribute import utils as distribution
from rich.console import Console

import tuner_oracles
from nas_tf import spaces
from nas_tf.cli import role, tables, timing
from nas_tf.cli.live import Headline, Line, live_line
from nas_tf.cli.oracles import Bayesian, Hyperband
from nas_tf.config.schema import Config
from nas_tf.errors import ConfigError, DataError, EnvironmentFault, NasTfError, TrainingError
from nas_tf.runs import files
from nas_tf.runs.trial_store import TrialStore
from nas_tf.search import SearchHyperModel, TwoStageTuner, warm_start
from nas_tf.search.hypermodel import OBJECTIVE
from nas_tf.spaces import SearchSpace
from tuner_oracles.durable import DurableOracle
from tuner_oracles.ledger import NAME, Busy, LedgerError, Lost, Unwritable
from tuner_oracles.tokens import SpaceError
from tuner_oracles.worker import ChiefLost

MOST_FAILURES = 10
"""So many in a row end a search, as with our own oracles."""


def run(experiment: Config, folder: Path, console: Console, begins: str) -> None:
    """Searches until the budget is spent; interrupted, a later call goes on.

    ``begins`` is said once all that could be wrong with the configuration and its files is not.
    """
    space = spaces.get(experiment.space)
    model = SearchHyperModel.of(experiment, space, latency=timing.measured_latency(experiment))
    oracle = oracle_of(experiment, space, tried_first(experiment, folder))
    model.check()  # before the tuner makes the run's folder
    if begins:
        console.print(begins, highlight=False, markup=False, soft_wrap=True)
    with live_line(console) as line, _one_line(folder):
        headline = Headline(folder, experiment.search.trials)

        def finished(trial: Any) -> None:
            line.say(tables.line(trial))
            line.head(headline.after(trial))

        with redirect_stdout(io.StringIO()):  # KerasTuner says what file it reloads
            tuner = TwoStageTuner(
                model,
                oracle,
                directory=folder.parent,
                project_name=folder.name,
                observer=line.step,
                progress=line.rows,
                on_trial=finished,
                kept=experiment.search.kept,
            )
        if isinstance(oracle, DurableOracle):
            tell = _Newly(folder, line, headline) if role.is_chief_by_hand() else None
            tuner_oracles.search(tuner, verbose=0, on_end=tell)
            if tell is not None:
                tell()  # a worker writes trials whose process died when its search ends
        else:
            tuner.search(verbose=0)


class _Newly:
    """A chief tells the trials that its workers have written since; they are in one folder."""

    def __init__(self, folder: Path, line: Line, headline: Headline) -> None:
        self._shelf, self._line, self._headline = TrialStore(folder), line, headline
        self._told = {trial.trial for trial in self._shelf.all()}

    def __call__(self) -> None:
        with suppress(DataError, OSError):  # telling is no reason to end
            for trial in self._shelf.all():
                if trial.trial not in self._told:
                    self._told.add(trial.trial)
                    worker = f"{trial.worker}: " if trial.worker else ""
                    self._line.say(f"{worker}{tables.line(trial)}")
                    self._line.head(self._headline.after(trial))


@contextmanager
def _one_line(folder: Path) -> Iterator[None]:
    """What oracles, KerasTuner and the system raise, as the errors a person meets."""
    try:
        yield
    except Unwritable as error:
        raise EnvironmentFault(str(error)) from error
    except Busy as error:
        raise DataError(f"{error.fault}; end it first, or give another folder by --out") from error
    except Lost as error:
        raise DataError(
            f"{error.fault}; put back a copy of {NAME}, or begin another search with the best of "
            f"this one: --begin-with {shlex.quote(str(folder))} --out NEW instead of --resume"
        ) from error
    except LedgerError as error:
        raise DataError(str(error)) from error
    except OSError as error:
        raise EnvironmentFault(f"the search in {folder} ends: {error}") from error
    except SpaceError as error:
        raise ConfigError(str(error)) from error
    except ChiefLost as error:
        raise NasTfError(str(error)) from error
    except json.JSONDecodeError as error:
        raise DataError(
            f"oracle.json or a trial.json in {folder} can't be read, {error}: put back a copy, or "
            "search into another folder"
        ) from error
    except RuntimeError as error:
        if "consecutive failures" not in str(error):
            raise
        last = str(error).strip().rpartition("\n")[2]
        raise TrainingError(f"{MOST_FAILURES} trials failed in a row; the last: {last}") from error


def tried_first(experiment: Config, folder: Path) -> list[dict[str, int]] | None:
    """What another run found best, where a search begins with it; begun, it has its own record."""
    search = experiment.search
    asks_a_chief = distribution.has_chief_oracle() and not distribution.is_chief_oracle()
    if search.begin_with is None or asks_a_chief or (folder / files.RUN).exists():
        return None
    return warm_start.first(
        Path(search.begin_with), spaces.get(experiment.space), search.begin_count
    )


def oracle_of(
    experiment: Config, space: SearchSpace, first: list[dict[str, int]] | None = None
) -> kt.Oracle:
    """The oracle that a configuration names; ``first`` is what ours try before they propose."""
    search = experiment.search
    common: dict[str, Any] = {"max_trials": search.trials, "seed": experiment.seed}
    own = {
        "ppo": tuner_oracles.PPOOracle,
        "random": tuner_oracles.RandomOracle,
        "near-best": tuner_oracles.NearBestOracle,
        "evolution": tuner_oracles.EvolutionOracle,
    }
    if search.oracle in own:
        if search.oracle == "ppo":
            common["preset"] = search.preset
        return own[search.oracle](OBJECTIVE, canonical=_canonical(space), first=first, **common)
    if distribution.has_chief_oracle():
        raise ConfigError(
            f"oracle {search.oracle} is KerasTuner's own and loses trials when a worker dies: "
            f"expected one of {', '.join(own)} with workers"
        )
    own_limits = {"objective": OBJECTIVE, "max_consecutive_failed_trials": MOST_FAILURES}
    seed = experiment.seed + 1  # KerasTuner takes 0 for no seed
    if search.oracle == "bayesian":
        if importlib.util.find_spec("sklearn") is None:
            raise EnvironmentFault(
                "oracle bayesian needs scikit-learn: pip install 'nas-tf[bayesian]'"
            )
        return Bayesian(max_trials=search.trials, seed=seed, **own_limits)
    return Hyperband(search.trials, experiment.stage_one.epochs, seed=seed, **own_limits)


def _canonical(space: SearchSpace) -> Any:
    """Trials that are the same network have the same key."""
    names = [token.name for token in space.tokens]
    return lambda values: space.canonical(space.decode([values[name] for name in names]))
