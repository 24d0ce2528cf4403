"""How many distinct networks a search space has, estimated by sampling."""

import math
import random
from collections.abc import Callable

from nas_tf.spaces.base import SearchSpace


def distinct_networks(
    space: SearchSpace,
    *,
    samples: int = 1000,
    seed: int = 0,
    progress: Callable[[int], None] | None = None,
) -> tuple[float, float]:
    """Estimates the number of distinct networks and its standard error.

    A uniform token vector falls into a class of ``n`` with probability proportional to ``n``, so
    the mean of ``1 / n`` is the number of classes over the number of vectors.
    """
    rng = random.Random(seed)
    shares = []
    for done in range(samples):
        shares.append(1 / space.class_size(space.sample(rng)))
        if progress is not None:
            progress(done + 1)
    mean = math.fsum(shares) / samples
    variance = math.fsum((share - mean) ** 2 for share in shares) / max(1, samples - 1)
    return mean * space.size, math.sqrt(variance / samples) * space.size
