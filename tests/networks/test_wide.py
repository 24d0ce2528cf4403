"""Wide layers are the same function as the layers one by one."""

import numpy as np
import pytest
import tensorflow as tf

from nas_tf.networks import heads
from nas_tf.networks.blueprint import Blueprint
from nas_tf.networks.functional import Functional
from nas_tf.networks.state import from_arrays
from nas_tf.networks.supernet import supernet
from nas_tf.networks.wide import WideFunctional, widened
from nas_tf.spaces import RestorationSpace
from tests.networks.kind_cases import SIZE, blueprint_of_all, check, distinct_arrays

PARTS = frozenset({"decoder", "architecture"})


def small(preset: str, *, affine: bool = False) -> Blueprint:
    space = RestorationSpace(preset=preset, layers=2, nodes=2)
    return supernet(space, heads.restoration(3), width=4, affine=affine, input_size=SIZE)


@pytest.mark.parametrize(
    "blueprint",
    [blueprint_of_all(), small("public"), small("slides"), small("public", affine=True)],
    ids=["every kind", "public", "slides", "affine"],
)
@pytest.mark.parametrize("training", [frozenset(), PARTS], ids=["evaluated", "trained"])
def test_outputs_and_statistics(blueprint: Blueprint, training: frozenset[str]) -> None:
    images = tf.random.stateless_uniform((2, *SIZE, 3), (1, 2), -1, 1)
    state = None
    found = []
    for kind in (Functional, WideFunctional):
        network = kind(blueprint)
        state = state or from_arrays(network.parts, distinct_arrays(blueprint))
        found.append(network(images, state.trainable, state.statistics, training=training))
    plain, wide = found
    check(wide.outputs, plain.outputs, near=1e-4)
    for part in training - {"architecture"}:
        check({part: wide.measured[part]}, {part: plain.measured[part]}, near=1e-4)


def test_most_convolutions_of_a_super_net_are_wide() -> None:
    live = small("public").live()
    wide = widened(live)
    assert len(wide.layers) < 0.7 * len(live.layers)
    cells = [layer for layer in wide.layers if layer.name.startswith("cell1.level0.")]
    widths = [layer.channels for layer in cells if layer.kind == "wide_conv"]
    assert max(widths) == 2 * 2 * 4, "edges of two cells read one map"


def test_a_depthwise_convolution_that_is_read_alone_is_computed() -> None:
    live = small("slides").live()
    assert np.sum([layer.kind == "wide_separable" for layer in widened(live).layers]) > 0
    assert not any(layer.name.endswith("unit1.depthwise:wide") for layer in widened(live).layers)
