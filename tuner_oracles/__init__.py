"""KerasTuner oracles for any HyperModel of discrete hyperparameters.

All of them resume exactly after a kill and share one interface (``DurableOracle``); ``search``
runs a tuner alone, as chief or as worker. This package imports keras_tuner and tf_agents when
a name is first used, and never imports nas_tf::

    import keras_tuner as kt
    import tuner_oracles

    oracle = tuner_oracles.PPOOracle("val_loss", max_trials=200, seed=1)
    tuner = kt.Tuner(oracle, build_model, directory="runs", project_name="small")
    tuner_oracles.search(tuner, x, y, validation_data=(x_val, y_val), epochs=3)
"""

import importlib
from typing import Any

_HOMES = {
    "EvolutionOracle": "evolution",
    "NearBestOracle": "random_search",
    "PPOOracle": "ppo",
    "PredictorOracle": "predictor",
    "RandomOracle": "random_search",
    "is_worker": "distributed",
    "search": "distributed",
}
__all__ = [
    "EvolutionOracle",
    "NearBestOracle",
    "PPOOracle",
    "PredictorOracle",
    "RandomOracle",
    "is_worker",
    "search",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'tuner_oracles' has no attribute {name!r}")
    return getattr(importlib.import_module(f"tuner_oracles.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
