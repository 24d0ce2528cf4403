"""The benchmark in PyTorch knows every layer of the networks that it is given."""

import pytest

from benchmarks import detector_step, restored_picture, supernet_step
from benchmarks.torch_network import TorchNetwork
from nas_tf.networks.blueprint import Blueprint

MODULES = {"conv", "depthwise", "batch_norm", "group_norm"}


@pytest.mark.parametrize(
    "blueprint",
    [
        pytest.param(detector_step.decoder("published"), id="detector"),
        pytest.param(restored_picture.shipment("hinas-sep3x3").blueprint, id="derived"),
        pytest.param(supernet_step.blueprint_at(16), id="super-net"),
    ],
)
def test_every_kind_of_layer_is_known(blueprint: Blueprint) -> None:
    kinds = {layer.kind for layer in blueprint.live().layers} - MODULES - {"input"}
    assert kinds
    assert all(hasattr(TorchNetwork, f"_{kind}") for kind in kinds)
