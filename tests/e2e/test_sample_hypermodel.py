"""PPO searches one of KerasTuner's own HyperModels."""

from pathlib import Path

import keras_tuner as kt
import numpy as np
import pytest

import tuner_oracles
from tests.sampling import times

TRIALS = times(4, 2)


@pytest.mark.slow
def test_ppo_searches_hyper_xception(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.random((8, 71, 71, 3), np.float32), np.eye(2)[rng.integers(0, 2, 8)]
    tuner = kt.Tuner(
        tuner_oracles.PPOOracle("val_accuracy", max_trials=TRIALS, seed=1),
        kt.applications.HyperXception(input_shape=(71, 71, 3), classes=2),
        directory=tmp_path,
        project_name="xception",
    )
    tuner_oracles.search(tuner, x, y, validation_data=(x, y), epochs=1, batch_size=4, verbose=0)
    trials = tuner.oracle.trials.values()
    assert [trial.status for trial in trials] == ["COMPLETED"] * TRIALS
    assert len({tuple(trial.hyperparameters.values.items()) for trial in trials}) == TRIALS
    assert tuner.get_best_models()[0].predict(x, verbose=0).shape == (8, 2)
