"""The one place that silences the known noise of importing TensorFlow and its companions.

Only lines listed here are dropped, and only while importing: anything else the libraries
say at import is passed on. Afterwards one warning is dropped, that functions are traced again.
"""

import importlib
import logging
import os
import re
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from types import ModuleType

_NOISE = re.compile(
    b"|".join(
        (
            rb"Unable to register cu(DNN|FFT|BLAS) factory",
            rb"Could not find cuda drivers",
            rb"TF-TRT Warning: Could not find TensorRT",
            rb"oneDNN custom operations are on",
            rb"This TensorFlow binary is optimized",
            rb"^To enable the following instructions",
            rb"^Gym has been unmaintained",
            rb"^Please upgrade to Gymnasium",
            rb"^See the migration guide at https://gymnasium",
        )
    )
)
_CONVERTER = re.compile(
    b"|".join(
        (
            rb"grappler/(devices|clusters/single_machine)\.cc",
            rb"Ignored (output_format|drop_control_dependency)",
            rb"Summary on the non-converted ops",
            rb"^-+$|^ \* |^- \w+\.\w+:|^\s+\(\w+: \d+|^\s*$",
            rb"Estimated count of arithmetic ops",
            rb"Created TensorFlow Lite XNNPACK delegate",
            rb"Assets written to",
            rb"cc/saved_model/(reader|loader)\.cc",
            rb"MLIR (V1 optimization|crash reproducer)",
            rb"^fully_quantize:",
        )
    )
)


def load(name: str) -> ModuleType:
    """Imports a module of the TensorFlow family without its known import noise."""
    if name in sys.modules:
        return sys.modules[name]
    with _only_news(_NOISE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"\s*TensorFlow Addons \(TFA\) has ended")
        module = importlib.import_module(name)
        if name == "tensorflow":
            module.config.list_physical_devices("GPU")  # probes CUDA here, not at the first op
            module.get_logger().addFilter(_is_news)
    return module


def _is_news(line: logging.LogRecord) -> bool:
    """Every candidate is another network, so its functions are traced anew."""
    return "triggered tf.function retracing" not in str(line.msg)


def converting() -> AbstractContextManager[None]:
    """Holds back what the writers of other formats, and TFLite's interpreter, say every time."""
    return _only_news(_CONVERTER)


@contextmanager
def _only_news(noise: re.Pattern[bytes]) -> Iterator[None]:
    """Holds back what reaches file descriptor 2 and passes on all but the known noise.

    ``sys.stderr`` itself stays in place: libraries keep a reference to it at import.
    """
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)
            held.seek(0)
            with open(2, "wb", closefd=False) as told:
                told.writelines(line for line in held if not noise.search(line))
