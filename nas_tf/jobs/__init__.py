"""The work of the commands, as functions; ``nas_tf.cli`` adds options, tables and live lines.

``search`` runs a search, with an oracle that ``oracles`` makes of its configuration, and
``candidates`` evaluates one candidate, and ``salvage`` repairs a damaged search.
``feature_caches`` lists and removes features. ``trained`` finds a trained network by its run,
``scoring`` scores it, ``compression``, ``exports`` and ``predictions`` take it to production, and
``finetuning`` to another task. ``latencies`` measures networks. These modules load TensorFlow;
``trials``, ``environment``, ``feature_caches`` and ``interrupts`` do not.
"""

import importlib
from types import ModuleType

_LIGHT = ("environment", "feature_caches", "interrupts", "trials")
_HEAVY = (
    *("candidates", "compression", "exports", "finetuning", "latencies", "oracles"),
    *("predictions", "salvage", "scoring", "search", "trained"),
)


def __getattr__(name: str) -> ModuleType:
    if name not in _LIGHT + _HEAVY:
        raise AttributeError(f"module 'nas_tf.jobs' has no attribute {name!r}")
    if name in _HEAVY:
        from nas_tf import quiet

        quiet.load("tensorflow")
    return importlib.import_module(f"nas_tf.jobs.{name}")
