"""The meta split: candidates learn on nine tenths of the training set and are scored on one."""

import numpy as np

from nas_tf.errors import DataError

META_VAL = 0.1
"""CVPR 2019: 90 % of the training set is meta-train, 10 % meta-val."""


def meta_split(
    count: int, *, seed: int, fraction: float = META_VAL
) -> tuple[np.ndarray, np.ndarray]:
    """Indices of meta-train and meta-val, each in order: disjoint, complete, fixed by the seed."""
    held_out = round(count * fraction)
    if not 0 < held_out < count:
        raise DataError(
            f"{count} examples cannot be split with a fraction of {fraction} held out: "
            "at least one example is needed on each side"
        )
    order = np.random.default_rng(seed).permutation(count)
    return np.sort(order[held_out:]), np.sort(order[:held_out])
