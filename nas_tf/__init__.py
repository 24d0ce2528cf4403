"""nas_tf: search small, fast networks for dense prediction and take them to production.

Importing this package loads no TensorFlow; each subpackage is imported at its first use.
"""

import importlib
from typing import Any

__version__ = "0.1.0"

_SUBPACKAGES = ("networks", "report", "runs", "search", "spaces", "tasks")
_SEARCH = ("SearchHyperModel", "TwoStageTuner")
__all__ = ["__version__", *_SUBPACKAGES, *_SEARCH]


def __getattr__(name: str) -> Any:
    if name in _SUBPACKAGES:
        return importlib.import_module(f"nas_tf.{name}")
    if name in _SEARCH:
        return getattr(importlib.import_module("nas_tf.search"), name)
    raise AttributeError(f"module 'nas_tf' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
