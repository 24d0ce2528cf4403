"""Operations as an interpreter runs them, found from blueprints alone."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas_tf import networks, spaces
from nas_tf.networks import fused
from nas_tf.networks.blueprint import Blueprint
from nas_tf.networks.fused import Op

SPACES = st.sampled_from(tuple(spaces.SPACES))
OF_ONE_MAP = st.sampled_from(("auxcell", "template", "dpc"))
SEEDS = st.integers(0, 10_000)


def blueprint_of(space: str, seed: int) -> Blueprint:
    genotype = spaces.get(space).sample(random.Random(seed))
    settings = networks.settings.search(space)
    return networks.blueprint_of(genotype, 3, input_size=(97, 129), settings=settings)


@given(OF_ONE_MAP, SEEDS)
def test_every_layer_is_in_one_operation_and_products_are_kept(space: str, seed: int) -> None:
    blueprint = blueprint_of(space, seed)
    nodes, shipped = fused.fuse(blueprint), blueprint.deployed()
    taken = [layer.name for node in nodes for layer in node.layers]
    assert len(taken) == len(set(taken))
    if any(layer.kind == "zero" for layer in shipped.layers):
        return
    left = [layer for layer in shipped.layers if layer.name not in taken]
    assert not {layer.kind for layer in left} & {"conv", "depthwise", "scale", "batch_norm"}
    assert {layer.name for layer in left if layer.kind == "relu"} <= {"output.relu"}
    products = sum(
        math.prod((*node.op.output, *node.op.kernel))
        * (node.op.inputs[0][2] if node.op.kind == "conv" else 1)
        for node in nodes
        if node.layers[0].kind in ("conv", "depthwise")
    )
    assert products == networks.cost(shipped).madds


@given(OF_ONE_MAP, SEEDS)
def test_nodes_read_what_was_computed_before(space: str, seed: int) -> None:
    blueprint = blueprint_of(space, seed)
    known = {layer.name for layer in blueprint.layers if layer.kind in ("input", "zero")}
    for node in fused.fuse(blueprint):
        assert set(node.inputs) <= known
        known.add(node.name)
    assert node.op.output == (*blueprint.output().size, 3)


@given(SPACES, SEEDS)
def test_names_come_back_as_operations(space: str, seed: int) -> None:
    for op in fused.ops(blueprint_of(space, seed)):
        assert Op.parse(str(op)) == op
        assert op.as_timed == op
        assert op.work > 0


def test_names_as_people_read_them() -> None:
    conv = Op("conv", ((45, 60, 48),), (45, 60, 48), (3, 3), rate=(12, 12))
    assert str(conv) == "conv 3x3 rate 12x12: 45x60x48 > 45x60x48"
    resize = Op("resize", ((1, 1, 8),), (4, 4, 8), corners=True)
    assert str(resize) == "resize corners: 1x1x8 > 4x4x8"


@pytest.mark.parametrize("text", ["", "conv", "conv 3x3: 4x4x4", "add: axb > 1x1x1", "a: b: c"])
def test_what_is_no_name_is_refused(text: str) -> None:
    with pytest.raises((ValueError, TypeError, IndexError)):
        Op.parse(text)


def test_similar_operations_differ_in_channels_alone() -> None:
    item = Op("conv", ((45, 60, 48),), (45, 60, 48), (3, 3))
    wide = Op("conv", ((45, 60, 96),), (45, 60, 24), (3, 3))
    smaller = Op("conv", ((23, 30, 48),), (23, 30, 48), (3, 3))
    assert item.without_channels == wide.without_channels
    assert item.without_channels != smaller.without_channels
    joined = Op("concat", ((4, 4, 10), (4, 4, 3)), (4, 4, 13))
    assert joined.as_timed.inputs == ((4, 4, 7), (4, 4, 6))


def test_what_follows_from_zeros_alone_costs_nothing() -> None:
    zeros = "[[[3,3],[3,2],[3,0]],[10,[0,0,10,10],[0,0,10,10],[0,0,10,10]]]"
    blueprint = networks.blueprint_of(spaces.resolve(zeros, "auxcell"), 5, input_size=(64, 64))
    assert fused.ops(blueprint).total() == 0
    assert all(node.constant for node in fused.fuse(blueprint))


def test_what_is_computed_twice_is_run_once() -> None:
    gaps = "[[[3,3],[3,2],[3,0]],[4,[0,0,4,4],[0,0,0,0],[0,0,0,0]]]"
    blueprint = networks.blueprint_of(spaces.resolve(gaps, "auxcell"), 5, input_size=(64, 64))
    means = [node for node in fused.fuse(blueprint) if node.op.kind == "mean"]
    read = [node.inputs for node in means]
    assert len(read) == len(set(read))
    mean_layers = [layer for layer in blueprint.deployed().layers if layer.kind == "global_pool"]
    assert len(mean_layers) > len(means)
