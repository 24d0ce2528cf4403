"""A small blueprint for every kind of layer, and all of them as outputs of a network."""

from collections.abc import Callable

import numpy as np

from nas_tf.networks.blueprint import Blueprint, Layer
from nas_tf.networks.draft import Draft
from nas_tf.networks.state import Arrays, initial_arrays

SIZE = HEIGHT, WIDTH = 32, 39
PIXELS, CHANNELS = HEIGHT * WIDTH, 8


def deformed(draft: Draft, x: Layer, name: str) -> Layer:
    y = draft.deformable(x, name, 6, groups=2)
    return draft.relu(draft.batch_norm(y, f"{name}.bn"), f"{name}.relu")


def normalised(draft: Draft, x: Layer, name: str, **options: bool) -> Layer:
    x = draft.conv(x, f"{name}.conv", 4)
    return draft.relu(draft.batch_norm(x, name, **options), f"{name}.relu")


def pooled(draft: Draft, x: Layer, name: str) -> Layer:
    y = draft.conv(draft.global_pool(x, name), f"{name}.conv", 3)
    return draft.full(y, x, f"{name}.full")


def resized(draft: Draft, x: Layer, name: str, *, rows: int = 8, corners: bool = False) -> Layer:
    small = draft.average_pool(x, f"{name}.pool", kernel=(rows, 13), stride=(rows, 13))
    return draft.resize(small, x, name, corners=corners)


def mixed(draft: Draft, x: Layer, name: str) -> Layer:
    """Two rows of four: the first has a column without a map, the second a masked entry."""
    table = draft.table(x, f"{name}.alpha", "architecture", (2, 4))
    maps = [x, draft.relu(x, f"{name}.relu"), draft.exp(x, f"{name}.exp")]
    entries = [(0, 0), (0, 2), (1, 3)]
    return draft.mix(table, maps, name, entries=entries, masked=[(1, 0)])


def tabulated(draft: Draft, x: Layer, name: str) -> Layer:
    table = draft.table(x, f"{name}.beta", "architecture", (1, 2))
    return draft.mix(table, [x], name, entries=[(0, 1)])


Case = tuple[Callable[[Draft, Layer, str], Layer], int, int]
"""A function that adds layers of the given name, their parameters and multiply-adds."""
CASES: dict[str, Case] = {
    "input": (lambda d, x, n: x, 0, 0),
    "conv": (lambda d, x, n: d.conv(x, n, 5, kernel=3, rate=2, bias=True), 365, PIXELS * 360),
    "conv-symmetric": (
        lambda d, x, n: d.conv(x, n, 5, kernel=3, stride=2, symmetric=True),
        *(9 * 8 * 5, 16 * 20 * 9 * 8 * 5),
    ),
    "conv-valid": (
        lambda d, x, n: d.conv(x, n, 5, kernel=3, stride=2, valid=True),
        *(9 * 8 * 5, 15 * 19 * 9 * 8 * 5),
    ),
    "conv-groups": (
        lambda d, x, n: d.conv(x, n, 6, kernel=3, stride=2, groups=2, bias=True),
        *(9 * 4 * 6 + 6, 16 * 20 * 9 * 4 * 6),
    ),
    "conv-pairs": (lambda d, x, n: d.conv(x, n, 4, groups=4), 2 * 4, PIXELS * 2 * 4),
    "depthwise": (lambda d, x, n: d.depthwise(x, n, kernel=5, rate=(2, 2)), 200, PIXELS * 200),
    "deformable": (
        deformed,
        9 * 8 * 54 + 54 + 9 * 8 * 6 + 6 + 2 * 6,
        PIXELS * 9 * 8 * (54 + 6),
    ),
    "normalise": (
        lambda d, x, n: d.normalise(
            x, n, mean=np.linspace(-1, 1, 8), deviation=[0.1] * 4 + [2] * 4
        ),
        *(0, 0),
    ),
    "batch_norm": (normalised, 8 * 4 + 2 * 4, PIXELS * 32),
    "batch_norm-plain": (lambda d, x, n: normalised(d, x, n, affine=False), 32, PIXELS * 32),
    "batch_norm-alone": (lambda d, x, n: d.batch_norm(x, n), 16, 0),
    "batch_norm-bare": (lambda d, x, n: d.batch_norm(x, n, affine=False), 0, 0),
    "group_norm": (lambda d, x, n: d.group_norm(x, n, groups=4), 16, 0),
    "relu": (lambda d, x, n: d.relu(x, n, most=6), 0, 0),
    "leaky_relu": (lambda d, x, n: d.leaky_relu(x, n, slope=0.2), 0, 0),
    "luma": (lambda d, x, n: d.luma(d.conv(x, f"{n}.conv", 3), n), 8 * 3, PIXELS * 24),
    "exp": (lambda d, x, n: d.exp(x, n), 0, 0),
    "sigmoid": (lambda d, x, n: d.sigmoid(x, n), 0, 0),
    "max_pool": (lambda d, x, n: d.max_pool(x, n, kernel=3, stride=2), 0, 0),
    "max_pool-symmetric": (
        lambda d, x, n: d.max_pool(d.relu(x, f"{n}.relu"), n, kernel=3, stride=2, symmetric=True),
        *(0, 0),
    ),
    "average_pool": (lambda d, x, n: d.average_pool(x, n, kernel=(2, 3), stride=(2, 2)), 0, 0),
    "global_pool": (pooled, 8 * 3, 8 * 3),
    "subsample": (
        lambda d, x, n: d.depthwise(x, n, kernel=3, stride=4, rate=(8, 4)),
        *(9 * 8, 8 * 10 * 9 * 8),
    ),
    "pad": (lambda d, x, n: d.pad(x, n, 2), 0, 0),
    "resize": (resized, 0, 0),
    "resize-odd": (lambda d, x, n: resized(d, x, n, rows=9), 0, 0),
    "resize-corners": (lambda d, x, n: resized(d, x, n, corners=True), 0, 0),
    "add": (lambda d, x, n: d.add(x, d.exp(x, f"{n}.exp"), n), 0, 0),
    "subtract": (lambda d, x, n: d.subtract(x, d.exp(x, f"{n}.exp"), n), 0, 0),
    "concat": (lambda d, x, n: d.concat([x, d.relu(x, f"{n}.relu")], n), 0, 0),
    "scale": (lambda d, x, n: d.scale(x, n), 8, 0),
    "scale-scalar": (lambda d, x, n: d.relu(d.scale(x, n, scalar=True), f"{n}.relu"), 1, 0),
    "zero": (lambda d, x, n: d.conv(d.zero(x, n), f"{n}.conv", 2, bias=True), 18, PIXELS * 16),
    "table": (tabulated, 2, 0),
    "mix": (mixed, 8, 0),
    "dropout": (lambda d, x, n: d.dropout(x, n, drop=0.5), 0, 0),
    "output": (lambda d, x, n: x, 0, 0),
}


def blueprint_of_all(size: tuple[int, int] | None = SIZE) -> Blueprint:
    """Returns a convolution and all cases after it, each with an output of its name."""
    draft = Draft(size)
    draft.start_part("decoder", epsilon=1e-2, momentum=0.9)
    x = draft.conv(draft.image(), "stem", CHANNELS, kernel=3, bias=True)
    for case, (add, _, _) in CASES.items():
        draft.output(add(draft, x, f"{case}.layer"), case)
    return draft.finish()


def distinct_arrays(blueprint: Blueprint) -> Arrays:
    """Returns weights that all differ, with positive variances."""
    rng, found = np.random.default_rng(3), initial_arrays(blueprint, seed=2)
    for (_, role), value in found.items():
        low, high = (0.0, 0.4) if role == "variance" else (-0.3, 0.3)
        value += rng.uniform(low, high, value.shape).astype(np.float32)
    return found


def check(found: dict, wanted: dict, near: float = 1e-5) -> None:
    """Checks that values are finite and equal up to a share of the largest, or of 1."""
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        array = np.asarray(value)
        assert np.isfinite(array).all(), name
        limit = near * max(1.0, float(np.abs(array).max()))
        np.testing.assert_allclose(found[name], array, atol=limit, err_msg=str(name))
