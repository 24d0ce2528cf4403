"""Surfaces of the drawn scenes: what covers an object says nothing about its class."""

import numpy as np

Box = tuple[slice, slice]
WHOLE: Box = (slice(None), slice(None))


def texture(rng: np.random.Generator, size: int, box: Box = WHOLE) -> np.ndarray:
    """A square of stripes, checks, blotches or plain colour, float32 [size, size, 3] in 0–255.

    Args:
        rng: Source of colours and pattern.
        size: Side of the square.
        box: The rows and columns to compute; the values are those of the whole square.
    """
    first, second = rng.uniform(20, 235, (2, 3))
    places = np.arange(size)
    y, x = places[box[0], None], places[None, box[1]]
    angle, period = rng.uniform(0, np.pi), rng.uniform(4, 18)

    def stripes() -> np.ndarray:
        return (x * np.cos(angle) + y * np.sin(angle)) / period % 1 < 0.5

    def checks() -> np.ndarray:
        return stripes() ^ ((y * np.cos(angle) - x * np.sin(angle)) / period % 1 < 0.5)

    patterns = (
        lambda: np.zeros((y.size, x.size)),
        lambda: stripes().astype(float),
        lambda: checks().astype(float),
        lambda: blotches(rng, size, cells=int(rng.integers(6, 20)), box=box),
    )
    mix = patterns[rng.integers(len(patterns))]() * rng.uniform(0.3, 0.9)
    return (first + mix[..., None] * (second - first)).astype(np.float32)


def blotches(rng: np.random.Generator, size: int, cells: int, box: Box = WHOLE) -> np.ndarray:
    """Smooth random values in 0–1: a coarse random grid, enlarged."""
    places = np.linspace(0, cells - 1.001, size)
    grid = rng.random((cells, cells))
    y, x = places[box[0]], places[box[1]]
    (above, left), (below, right) = (
        [np.minimum(axis.astype(int) + step, cells - 1) for axis in (y, x)] for step in (0, 1)
    )
    rows = grid[above] + (y % 1)[:, None] * (grid[below] - grid[above])
    return rows[:, left] + (x % 1)[None, :] * (rows[:, right] - rows[:, left])
