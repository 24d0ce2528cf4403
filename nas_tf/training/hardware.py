"""How this machine computes best: precision of the arithmetic, and threads."""

import functools
import os
import warnings
from pathlib import Path

import tensorflow as tf

from nas_tf.errors import ConfigError
from nas_tf.networks.functional import FLOAT32, Precision

BFLOAT16_DENSE = Precision(tf.bfloat16, dense=True)
BFLOAT16_MIXED = Precision(tf.bfloat16, depthwise_from=5)


def precision(name: str) -> Precision:
    """The arithmetic of a name: ``float32``, ``bfloat16``, or ``auto``.

    In bfloat16, separable convolutions are computed as dense ones where the processor multiplies
    matrices (AMX); elsewhere 5x5 depthwise convolutions stay in float32, whose gradients are
    faster there. ``auto`` is bfloat16 where the processor has instructions for it.
    """
    if name not in ("auto", "float32", "bfloat16"):
        raise ConfigError(f"precision is {name!r}, expected auto, float32 or bfloat16")
    if name == "float32" or (name == "auto" and not _has_bfloat16()):
        return FLOAT32
    return BFLOAT16_DENSE if "amx_bf16" in _flags() else BFLOAT16_MIXED


def use_threads(count: int | None) -> int:
    """Gives the work to ``count`` threads, all cores by default; before TensorFlow computes.

    Operations of different branches run beside each other, each on one thread: that scales far
    better here than splitting every operation. How sums are split decides their last bits too.
    """
    cores = len(os.sched_getaffinity(0))
    threading = tf.config.threading
    try:
        threading.set_intra_op_parallelism_threads(1)
        threading.set_inter_op_parallelism_threads(count or cores)
    except RuntimeError:
        found = threading.get_inter_op_parallelism_threads() or cores
        if count not in (None, found):
            warnings.warn(
                f"threads is {count} without effect: TensorFlow has computed in this process "
                f"before, by {found}",
                RuntimeWarning,
                stacklevel=2,
            )
        return found
    return count or cores


def compute_in_one_order() -> None:
    """Keeps sums in the order in which they are written.

    TensorFlow's arithmetic optimisation orders the terms of a sum anew for every graph, which
    would change last bits from one run, or resumption, to the next.
    """
    tf.config.optimizer.set_experimental_options({"arithmetic_optimization": False})


def strategy() -> tf.distribute.Strategy | None:
    """Splits batches over all GPUs where there are several."""
    several = len(tf.config.list_physical_devices("GPU")) > 1
    return tf.distribute.MirroredStrategy() if several else None


def _has_bfloat16() -> bool:
    on_gpu = bool(tf.config.list_physical_devices("GPU"))
    return on_gpu or not {"avx512_bf16", "amx_bf16"}.isdisjoint(_flags())


@functools.cache
def _flags() -> frozenset[str]:
    """What the processor says it can do; nothing where the system does not tell."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="ignore").splitlines()
    except OSError:
        return frozenset()
    return frozenset(next((line for line in lines if line.startswith("flags")), "").split())
