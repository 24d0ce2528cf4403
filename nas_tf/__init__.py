"""nas_tf: search small, fast networks for dense prediction and take them to production.

Importing this package loads no TensorFlow; each room is imported when first used.
"""

import importlib
from types import ModuleType

__version__ = "0.1.0.dev0"

_ROOMS = ("networks", "report", "spaces", "tasks")
__all__ = ["__version__", *_ROOMS]


def __getattr__(name: str) -> ModuleType:
    if name in _ROOMS:
        return importlib.import_module(f"nas_tf.{name}")
    raise AttributeError(f"module 'nas_tf' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
