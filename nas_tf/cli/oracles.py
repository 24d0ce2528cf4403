"""KerasTuner's own oracles, as a search of ours needs them."""

import json
from pathlib import Path
from typing import Any

import keras_tuner as kt
from keras_tuner.src.engine.trial import Trial

from nas_tf.runs import files


class _Whole(kt.Oracle):
    """Writes its files whole: KerasTuner writes them in place, and a kill in between ends all."""

    def save(self) -> None:
        """Writes ``oracle.json``."""
        files.write_atomically(Path(self._get_oracle_fname()), json.dumps(self.get_state()))

    def _save_trial(self, trial: Trial) -> None:
        path = Path(self._get_trial_dir(trial.trial_id)) / "trial.json"
        files.write_atomically(path, json.dumps(trial.get_state()))


class Bayesian(_Whole, kt.oracles.BayesianOptimizationOracle):
    """Bayesian optimisation by a Gaussian process (needs scikit-learn)."""


class Hyperband(_Whole, kt.oracles.HyperbandOracle):
    """Hyperband that sweeps again and again until so many trials were run.

    KerasTuner's own ends after a number of sweeps, which says little of what a search will cost.
    """

    def __init__(self, trials: int, epochs: int, **options: Any) -> None:
        super().__init__(max_epochs=epochs, hyperband_iterations=None, **options)
        self.max_trials = trials
