"""KerasTuner oracles for any HyperModel of discrete hyperparameters.

All of them resume exactly after a kill and share one interface (``DurableOracle``); ``search``
runs a tuner alone, as chief or as worker. This package imports keras_tuner and tf_agents, when
a name is first asked for, and never nas_tf.
"""

import importlib
from typing import Any

_HOMES = {
    "EvolutionOracle": "evolution",
    "NearBestOracle": "random_search",
    "PPOOracle": "ppo",
    "RandomOracle": "random_search",
    "is_worker": "distributed",
    "search": "distributed",
}
__all__ = [
    "EvolutionOracle",
    "NearBestOracle",
    "PPOOracle",
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
