"""Silences the known noise of importing TensorFlow and its companions; nothing else does.

Only lines listed here are dropped, and only during the import: anything else that the libraries
print is passed on. Afterwards a single warning is dropped: that functions are traced again.
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
            rb"Cannot infer shape for PyFuncStateless",
        )
    )
)


def load(name: str) -> ModuleType:
    """Imports a module of the TensorFlow family without its known import noise.

    The memory that it takes on a GPU grows with what it needs, unless the user's environment says
    otherwise: other processes may share the GPU.
    """
    if name in sys.modules:
        return sys.modules[name]
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    with _without_noise(_NOISE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"\s*TensorFlow Addons \(TFA\) has ended")
        module = importlib.import_module(name)
        if name == "tensorflow":
            module.config.list_physical_devices("GPU")  # probes CUDA here, not at the first op
            module.get_logger().addFilter(_is_not_retracing)
    return module


def _is_not_retracing(record: logging.LogRecord) -> bool:
    """Returns False for retracing warnings: every candidate is a new network with new graphs."""
    return "triggered tf.function retracing" not in str(record.msg)


def converting() -> AbstractContextManager[None]:
    """Suppresses the known output of format converters and TFLite's interpreter."""
    return _without_noise(_CONVERTER)


@contextmanager
def _without_noise(noise: re.Pattern[bytes]) -> Iterator[None]:
    """Holds back the output to file descriptor 2 and passes on all but the known noise.

    It affects the whole process. ``sys.stderr`` itself stays in place, since libraries keep a
    reference to it at import.
    """
    sys.stderr.flush()
    original = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(original, 2)
            os.close(original)
            held.seek(0)
            with open(2, "wb", closefd=False) as stderr:
                stderr.writelines(line for line in held if not noise.search(line))
