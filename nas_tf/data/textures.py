"""Surfaces of the drawn scenes: what covers an object says nothing about its class."""

import numpy as np


def texture(rng: np.random.Generator, size: int) -> np.ndarray:
    """A square of stripes, checks, blotches or plain colour, float32 [size, size, 3] in 0–255."""
    first, second = rng.uniform(20, 235, (2, 3))
    y, x = np.mgrid[:size, :size]
    angle, period = rng.uniform(0, np.pi), rng.uniform(4, 18)
    along = (x * np.cos(angle) + y * np.sin(angle)) / period
    across = (y * np.cos(angle) - x * np.sin(angle)) / period
    patterns = (
        lambda: np.zeros((size, size)),
        lambda: (along % 1 < 0.5).astype(float),
        lambda: ((along % 1 < 0.5) ^ (across % 1 < 0.5)).astype(float),
        lambda: blotches(rng, size, cells=int(rng.integers(6, 20))),
    )
    mix = patterns[rng.integers(len(patterns))]() * rng.uniform(0.3, 0.9)
    return (first + mix[..., None] * (second - first)).astype(np.float32)


def blotches(rng: np.random.Generator, size: int, cells: int) -> np.ndarray:
    """Smooth random values in 0–1: a coarse random grid, enlarged."""
    places = np.linspace(0, cells - 1.001, size)
    low, part = places.astype(int), places % 1
    grid = rng.random((cells, cells))
    rows = grid[low] + part[:, None] * (grid[np.minimum(low + 1, cells - 1)] - grid[low])
    right = np.minimum(low + 1, cells - 1)
    return rows[:, low] + part[None, :] * (rows[:, right] - rows[:, low])
