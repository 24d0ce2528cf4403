"""Splits the training set: candidates learn on meta-train and are scored on meta-val."""

import numpy as np

from nas_tf.errors import DataError

META_VAL = 0.1
"""The share of meta-val in the training set (CVPR 2019); the other 90 % are meta-train."""


def meta_split(
    count: int, *, seed: int, fraction: float = META_VAL
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the sorted indices of meta-train and meta-val, which depend on the seed only."""
    held_out = round(count * fraction)
    if not 0 < held_out < count:
        raise DataError(
            f"{count} examples cannot be split with a fraction of {fraction} held out: "
            "at least one example is needed on each side, see data.meta_val_share"
        )
    order = np.random.default_rng(seed).permutation(count)
    return np.sort(order[held_out:]), np.sort(order[:held_out])


def part_of(indices: np.ndarray, share: float, *, seed: int) -> np.ndarray:
    """Returns a share of the indices, sorted; a smaller part is in every larger one."""
    count = max(1, round(share * len(indices)))
    return np.sort(np.random.default_rng(seed).permutation(indices)[:count])
