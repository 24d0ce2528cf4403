"""The oracles of a search: those of ``tuner_oracles``, and KerasTuner's own."""

import importlib.util
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import keras_tuner as kt
from keras_tuner.src.distribute import utils as distribution
from keras_tuner.src.engine.trial import Trial

import tuner_oracles
from nas_tf import files, spaces
from nas_tf.config.schema import Config
from nas_tf.errors import ConfigError, EnvironmentFault
from nas_tf.genotype import Genotype
from nas_tf.networks import Cost, cost
from nas_tf.runs import filenames
from nas_tf.search import warm_start
from nas_tf.search.hypermodel import OBJECTIVE
from nas_tf.spaces import SearchSpace
from nas_tf.training import from_config, guards, own_data
from tuner_oracles.tokens import SpaceError

_MOST_SAMPLES = 1000
MOST_FAILURES = 10
"""The number of failed trials in a row that ends a search, the same for all oracles."""


def oracle_of(
    config: Config, space: SearchSpace, first: list[dict[str, int]] | None = None
) -> kt.Oracle:
    """Returns the oracle that a configuration names.

    ``first`` are the values of the first trials, which an oracle of ``tuner_oracles`` proposes
    before its own.
    """
    search, name = config.search, config.search.oracle_name
    common: dict[str, Any] = {"max_trials": search.trials, "seed": config.seed}
    own = {
        "ppo": tuner_oracles.PPOOracle,
        "predictor": tuner_oracles.PredictorOracle,
        "random": tuner_oracles.RandomOracle,
        "near-best": tuner_oracles.NearBestOracle,
        "evolution": tuner_oracles.EvolutionOracle,
    }
    if name in own:
        if name == "ppo":
            common["preset"] = search.preset
        common |= search.oracle_arguments
        common |= {"canonical": _canonical(space), "feasible": Feasible(config, space)}
        try:
            return own[name](OBJECTIVE, first=first, second_runs=search.second_seeds, **common)
        except ValueError as error:
            raise ConfigError(f"search.oracle: {error}") from error
    if name == "gradient":
        raise ConfigError(
            "search.oracle is gradient, which proposes no trials: expected nas-tf search, or "
            f"nas_tf.jobs.search.search_by_gradient; trials need one of {', '.join(own)}"
        )
    if distribution.has_chief_oracle():
        raise ConfigError(
            f"oracle {name} is KerasTuner's own and loses trials when a worker dies, "
            f"expected one of {', '.join(own)} with workers"
        )
    limits = {"objective": OBJECTIVE, "max_consecutive_failed_trials": MOST_FAILURES}
    limits |= search.oracle_arguments
    seed = config.seed + 1  # KerasTuner takes 0 for no seed
    if name == "bayesian":
        if importlib.util.find_spec("sklearn") is None:
            raise EnvironmentFault(
                "oracle bayesian needs scikit-learn: pip install 'nas-tf[bayesian]'"
            )
        oracle: _Adapted = Bayesian(max_trials=search.trials, seed=seed, **limits)
    else:
        oracle = Hyperband(search.trials, config.stage_one.epochs, seed=seed, **limits)
    oracle.feasible = Feasible(config, space)
    return oracle


def first_trials(config: Config, folder: Path) -> list[dict[str, int]] | None:
    """Returns the best genotypes of the run of ``search.warm_start``, for the first trials.

    Returns None in a worker, whose chief has them, and for a search that has already started.
    """
    search = config.search
    has_chief = distribution.has_chief_oracle() and not distribution.is_chief_oracle()
    if search.warm_start is None or has_chief or (folder / filenames.RUN).exists():
        return None
    return warm_start.first(
        Path(search.warm_start), spaces.get(config.space), search.warm_start_count
    )


class _Adapted(kt.Oracle):
    """An oracle of KerasTuner with what our searches need.

    It replaces files atomically: KerasTuner writes in place, and a kill would damage them. It
    learns failed trials, which KerasTuner leaves out, as completed ones below all others. Values
    without a network, and those of a failed trial that Hyperband promotes, are sampled again.
    """

    feasible: Callable[[Mapping[str, int]], bool] = staticmethod(lambda values: True)

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Returns the proposal of KerasTuner's oracle, or a random one where it is refused."""
        with _failures_completed(self.trials.values()):
            proposal = super().populate_space(trial_id)
        for _ in range(_MOST_SAMPLES):
            values = dict(proposal.get("values") or {})
            parent = self.trials.get(values.get("tuner/trial_id"))  # of Hyperband's promotions
            has_failed = parent is not None and parent.status == "FAILED"
            if not values or (self.feasible(values) and not has_failed):
                break
            values.pop("tuner/trial_id", None)
            proposal = {**proposal, "values": {**values, **(self._random_values() or {})}}
        return proposal

    def save(self) -> None:
        """Writes ``oracle.json``."""
        files.write(Path(self._get_oracle_fname()), json.dumps(self.get_state()))

    def _save_trial(self, trial: Trial) -> None:
        path = Path(self._get_trial_dir(trial.trial_id)) / "trial.json"
        files.write(path, json.dumps(trial.get_state()))


@contextmanager
def _failures_completed(trials: Iterable[Trial]) -> Iterator[None]:
    """Shows failed trials as completed ones whose score is below those of all others."""
    trials = list(trials)
    scores = [trial.score for trial in trials if trial.status == "COMPLETED"] or [0.0]
    failed = [trial for trial in trials if trial.status == "FAILED"]
    before = [trial.score for trial in failed]
    for trial in failed:
        trial.status = "COMPLETED"
        trial.score = min(scores) - ((max(scores) - min(scores)) or 1.0)
    try:
        yield
    finally:
        for trial, score in zip(failed, before, strict=True):
            trial.status, trial.score = "FAILED", score


class Bayesian(_Adapted, kt.oracles.BayesianOptimizationOracle):
    """Bayesian optimisation by a Gaussian process (needs scikit-learn)."""


class Hyperband(_Adapted, kt.oracles.HyperbandOracle):
    """Hyperband that repeats its sweeps until it has run ``trials`` trials.

    KerasTuner's own ends after a number of sweeps, which does not determine a search's cost.
    """

    def __init__(self, trials: int, epochs: int, **options: Any) -> None:
        super().__init__(max_epochs=epochs, hyperband_iterations=None, **options)
        self.max_trials = trials


def _canonical(space: SearchSpace) -> Any:
    """Returns a function by which trials of equal networks have equal keys."""
    return lambda values: space.canonical(_genotype(space, values))


class Feasible:
    """Decides which values are worth a trial: those of networks within the limits on size.

    Candidates with more parameters or multiply-adds than ``limits`` allows are no trials. Raises
    ``SpaceError`` if the first thousand are all beyond them.
    """

    def __init__(self, config: Config, space: SearchSpace) -> None:
        self._config, self._space = config, space
        limits = config.limits
        self._is_limited = limits.params is not None or limits.madds is not None
        self._refused: list[Cost] | None = []

    def __call__(self, values: Mapping[str, int]) -> bool:
        """Returns whether the values are worth a trial."""
        genotype = _genotype(self._space, values)
        if self._space.refusal(genotype) is not None:
            return False
        if not self._is_limited:
            return True
        build = from_config.blueprint_builder(self._completed, genotype, "search")
        counted = cost(build(from_config.reward_view(self._completed).crop).deployed())
        try:
            guards.check_cost(self._config.limits, counted)
        except guards.OverLimit:
            if self._refused is not None:
                self._refuse(self._refused, counted)
            return False
        self._refused = None
        return True

    def _refuse(self, refused: list[Cost], counted: Cost) -> None:
        refused.append(counted)
        if len(refused) == _MOST_SAMPLES:
            limits, smallest = self._config.limits, min(refused, key=lambda each: each.madds)
            given = {"params": limits.params, "madds": limits.madds}
            keys = " and ".join(f"limits.{key} {value:,}" for key, value in given.items() if value)
            raise SpaceError(
                f"{keys} refused all of {_MOST_SAMPLES:,} genotypes: the smallest has "
                f"{smallest.params:,} parameters and {smallest.madds:,} multiply-adds"
            )

    @cached_property
    def _completed(self) -> Config:
        return own_data.completed(self._config)


def _genotype(space: SearchSpace, values: Mapping[str, int]) -> Genotype:
    return space.decode([values[token.name] for token in space.tokens])
