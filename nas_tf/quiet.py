"""The one place that silences the known noise of importing TensorFlow and its companions.

Only lines listed here are dropped, and only while importing: anything else the libraries
say at import is passed on, and nothing is filtered afterwards.
"""

import importlib
import os
import re
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

_NOISE = re.compile(
    "|".join(
        (
            r"Unable to register cu(DNN|FFT|BLAS) factory",
            r"Could not find cuda drivers",
            r"TF-TRT Warning: Could not find TensorRT",
            r"oneDNN custom operations are on",
            r"This TensorFlow binary is optimized",
            r"^To enable the following instructions",
            r"^Gym has been unmaintained",
            r"^Please upgrade to Gymnasium",
            r"^See the migration guide at https://gymnasium",
        )
    )
)


def load(name: str) -> ModuleType:
    """Imports a module of the TensorFlow family without its known import noise."""
    if name in sys.modules:
        return sys.modules[name]
    with _only_news(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"\s*TensorFlow Addons \(TFA\) has ended")
        module = importlib.import_module(name)
        if name == "tensorflow":
            module.config.list_physical_devices("GPU")  # probes CUDA here, not at the first op
    return module


@contextmanager
def _only_news() -> Iterator[None]:
    """Holds back what reaches file descriptor 2 and passes on all but the known noise.

    ``sys.stderr`` itself stays in place: libraries keep a reference to it at import.
    """
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile("w+", errors="replace") as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)
            held.seek(0)
            news = [line for line in held if not _NOISE.search(line)]
            sys.stderr.write("".join(news))
