"""One process of a search: the whole of it, its chief, or one of its workers."""

from pathlib import Path
from typing import Any

import keras_tuner as kt
from keras_tuner.src.distribute import utils as distribution
from rich.console import Console

import tuner_oracles
from nas_tf import spaces
from nas_tf.cli import tables
from nas_tf.cli.headline import Headline
from nas_tf.cli.progress import live_line
from nas_tf.config.schema import Experiment
from nas_tf.errors import ConfigError
from nas_tf.search import SearchHyperModel, TwoStageTuner
from nas_tf.search.hypermodel import OBJECTIVE
from nas_tf.spaces import SearchSpace
from tuner_oracles.durable import DurableOracle


def run(experiment: Experiment, folder: Path, console: Console) -> None:
    """Searches until the budget is spent; interrupted, a later call goes on."""
    space = spaces.get(experiment.space)
    model = SearchHyperModel.of(experiment, space)
    oracle = oracle_of(experiment, space)
    with live_line(console) as line:
        headline = Headline(folder, experiment.search.trials)

        def finished(trial: Any) -> None:
            line.say(tables.line(trial))
            line.say(headline.after(trial))

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
            tuner_oracles.search(tuner, verbose=0)
        else:
            tuner.search(verbose=0)


def oracle_of(experiment: Experiment, space: SearchSpace) -> kt.Oracle:
    """The oracle that a configuration names."""
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
        return own[search.oracle](OBJECTIVE, canonical=_canonical(space), **common)
    if distribution.has_chief_oracle():
        raise ConfigError(
            f"oracle {search.oracle} is KerasTuner's own and loses trials when a worker dies: "
            f"expected one of {', '.join(own)} with workers"
        )
    if search.oracle == "bayesian":
        return kt.oracles.BayesianOptimizationOracle(objective=OBJECTIVE, **common)
    return kt.oracles.HyperbandOracle(
        objective=OBJECTIVE, max_epochs=experiment.stage_one.epochs, seed=experiment.seed
    )


def _canonical(space: SearchSpace) -> Any:
    """Trials that are the same network have the same key."""
    names = [token.name for token in space.tokens]
    return lambda values: space.canonical(space.decode([values[name] for name in names]))
