"""Factors of channels that the kernel before them takes over in what is shipped."""

import numpy as np
import pytest

from nas_tf.networks.draft import Draft
from nas_tf.networks.fused import fold_targets, fuse, ops
from nas_tf.networks.state import Arrays, initial_arrays
from serving import folding, graph
from serving.fused_model import FusedModel
from serving.shipment import Shipment
from tests.networks.kind_cases import check
from tests.serving.shipped import TASKS, detector, pictures, shipment


def factors(network: Shipment, least: float) -> Arrays:
    """Returns arrays with sampled factors, the first of each sum as low as ``least``."""
    rng = np.random.default_rng(3)
    arrays = dict(network.arrays)
    for layer in network.blueprint.layers:
        if layer.kind == "scale":
            value = rng.uniform(0.5, 1.5, arrays[layer.name, "kernel"].shape)
            value.flat[0] = least
            arrays[layer.name, "kernel"] = value.astype(np.float32)
    return arrays


def shipped_scales(network: Shipment, arrays: Arrays) -> set[str]:
    nodes = fuse(network.blueprint)
    weights = {node.name: folding.folded(node, arrays) for node in nodes}
    kept, _ = folding.with_scales_folded(nodes, weights)
    return {node.name for node in kept if node.layers[0].kind == "scale"}


@pytest.mark.parametrize("least", [0.5, 0.0, -0.5])
@pytest.mark.parametrize("network", [shipment("template", genotype="wacv-arch1"), detector()])
def test_a_network_is_the_same_without_its_factors(network: Shipment, least: float) -> None:
    arrays = factors(network, least)
    images = (pictures(2) / 127.5 - 1).astype(np.float32)
    reference = FusedModel(Shipment("x", network.task, network.blueprint, arrays)).keras(images)
    found = graph.network(network.blueprint, arrays, for_conversion=False)(images)
    check(reference if isinstance(reference, dict) else {"logits": reference}, found)
    taken = fold_targets(fuse(network.blueprint))
    assert len(taken) > 5
    assert set(taken).isdisjoint(shipped_scales(network, arrays)) is (least >= 0)


def test_the_factor_of_an_exponent_is_kept() -> None:
    network = detector()
    scales = {layer.name for layer in network.shipped.layers if layer.kind == "scale"}
    of_head = {name for name in scales if name.startswith("head.")}
    assert of_head
    assert of_head <= shipped_scales(network, factors(network, 0.5))


def test_factors_that_kernels_take_over_are_not_timed() -> None:
    network = shipment("template", genotype="wacv-arch1")
    alone = [op for op in ops(network.blueprint) if op.kind == "depthwise" and op.kernel == (1, 1)]
    assert alone == []


def scaled(
    least: float, *, pooled: bool = False, read_twice: bool = False, most: float = 0.0
) -> set[str]:
    """Returns the factors that are left after a convolution, resizing and a factor.

    ``most`` is the bound of a ReLU after the convolution, 0 for none, and -1 for no ReLU.
    """
    draft = Draft((32, 32))
    image = draft.image()
    draft.start_part("decoder", epsilon=1e-5, momentum=0.9)
    x = draft.conv(image, "conv", 4, kernel=3, stride=4)
    x = x if most == -1 else draft.relu(x, "conv.relu", most=most or None)
    x = draft.max_pool(x, "pool", kernel=3, stride=1) if pooled else x
    x = draft.resize(x, image, "resize")
    y = draft.scale(x, "scale")
    y = draft.add(y, x, "sum") if read_twice else y
    draft.output(draft.conv(y, "last", 2), "logits")
    blueprint = draft.finish()
    arrays = initial_arrays(blueprint, seed=1)
    network = Shipment("x", TASKS["segmentation"], blueprint, arrays)
    return shipped_scales(network, factors(network, least))


@pytest.mark.parametrize("least", [0.5, -0.5])
def test_only_positive_factors_pass_a_relu_or_a_maximum(least: float) -> None:
    left = set() if least > 0 else {"scale"}
    assert scaled(least) == left
    assert scaled(least, most=-1, pooled=True) == left
    assert scaled(least, most=-1) == set()


def test_factors_do_not_pass_a_bound_or_another_reader() -> None:
    assert scaled(0.5, most=6.0) == {"scale"}
    assert scaled(0.5, read_twice=True) == {"scale"}
