"""Settings of the arithmetic for this machine: precision, threads and devices."""

import functools
import os
import warnings
from pathlib import Path

import tensorflow as tf

from nas_tf.errors import ConfigError
from nas_tf.networks.blueprint import Blueprint
from nas_tf.networks.functional import FLOAT32, Precision
from nas_tf.training.machines import joint_strategy, machines

BFLOAT16_DENSE = Precision(tf.bfloat16, dense=True)
BFLOAT16_MIXED = Precision(tf.bfloat16, depthwise_from=5)
FLOAT16 = Precision(tf.float16)


def precision(name: str) -> Precision:
    """Returns the arithmetic that ``float32``, ``bfloat16``, ``float16`` or ``auto`` names.

    In bfloat16, separable convolutions are computed as dense ones if the processor multiplies
    matrices (AMX); otherwise 5x5 depthwise convolutions stay in float32, whose gradients are
    faster. ``auto`` is bfloat16 if the processor has instructions for it. With GPUs it is what
    all of them have: bfloat16 from compute capability 8.0 (Ampere) on, else float16 from 7.0
    (Volta) on.
    """
    if name not in ("auto", "float32", "bfloat16", "float16"):
        raise ConfigError(f"precision is {name!r}, expected auto, float32, bfloat16 or float16")
    name = _fastest() if name == "auto" else name
    if name != "bfloat16":
        return FLOAT32 if name == "float32" else FLOAT16
    return BFLOAT16_DENSE if "amx_bf16" in _flags() else BFLOAT16_MIXED


def use_threads(count: int | None) -> int:
    """Sets the number of threads, all cores by default, and returns it.

    It has no effect once TensorFlow has computed in this process. Operations of different
    branches run in parallel, each on one thread: that scales far better here than splitting every
    operation. The split of sums also determines their last bits.
    """
    cores = len(os.sched_getaffinity(0))
    threading = tf.config.threading
    try:
        threading.set_intra_op_parallelism_threads(1)
        threading.set_inter_op_parallelism_threads(count or cores)
    except RuntimeError:
        current = threading.get_inter_op_parallelism_threads() or cores
        if count not in (None, current):
            warnings.warn(
                f"threads is {count} without effect: TensorFlow has computed in this process "
                f"before, with {current}",
                RuntimeWarning,
                stacklevel=2,
            )
        return current
    return count or cores


def compute_in_one_order() -> None:
    """Makes TensorFlow compute sums in the order in which they are written.

    Its arithmetic optimisation reorders the terms of a sum for every graph, which would change
    the last bits from one run, or resumption, to the next.
    """
    tf.config.optimizer.set_experimental_options({"arithmetic_optimization": False})


def without_fusion() -> None:
    """Turns off TensorFlow's fusion of layers, which fails on restoration and prints an error."""
    tf.config.optimizer.set_experimental_options({"remapping": False})


def fuse_if_possible(blueprint: Blueprint) -> None:
    """Turns off TensorFlow's fusion of layers for a network of the space of restoration.

    Such a network is the only kind that has leaky ReLUs.
    """
    if any(layer.kind == "leaky_relu" for layer in blueprint.layers):
        without_fusion()


def strategy() -> tf.distribute.Strategy | None:
    """Returns a strategy that splits batches over all machines and their GPUs.

    None if there is one device. Several machines must be known before TensorFlow computes.
    """
    if machines().count > 1:
        return joint_strategy()
    several = len(tf.config.list_physical_devices("GPU")) > 1
    return tf.distribute.MirroredStrategy() if several else None


def _fastest() -> str:
    if gpus := tf.config.list_physical_devices("GPU"):
        details = map(tf.config.experimental.get_device_details, gpus)
        oldest = min(detail.get("compute_capability", (0, 0)) for detail in details)
        return "bfloat16" if oldest >= (8, 0) else "float16" if oldest >= (7, 0) else "float32"
    has_bfloat16 = not {"avx512_bf16", "amx_bf16"}.isdisjoint(_flags())
    return "bfloat16" if has_bfloat16 else "float32"


@functools.cache
def _flags() -> frozenset[str]:
    """Returns the processor's feature flags; none if the system does not list them."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="ignore").splitlines()
    except OSError:
        return frozenset()
    return frozenset(next((line for line in lines if line.startswith("flags")), "").split())
