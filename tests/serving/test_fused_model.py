"""Every kind of layer, shared ones too, as a Keras model that is fine-tuned for 8 bits."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

from nas_tf.networks.blueprint import Blueprint
from serving import graph, lite_models
from serving.fused_model import FusedModel
from serving.shipment import Shipment
from tests.networks.kind_cases import blueprint_of_all, check, distinct_arrays
from tests.networks.test_sharing import normalised_each, towers
from tests.serving.shipped import TASKS

NETWORKS: dict[str, Callable[[], Blueprint]] = {
    "kinds": blueprint_of_all,
    "towers": towers,
    "normalised": normalised_each,
}
EVERY = pytest.mark.parametrize("name", NETWORKS)


def fused_of(name: str) -> FusedModel:
    blueprint = NETWORKS[name]()
    arrays = distinct_arrays(blueprint)
    return FusedModel(Shipment(name, TASKS["segmentation"], blueprint, arrays))


def pixels(fused: FusedModel) -> tf.Tensor:
    return tf.random.stateless_uniform((2, *fused.shipment.size, 3), (1, 2), -1, 1)


def shipped(fused: FusedModel, arrays: dict[Any, np.ndarray], images: tf.Tensor) -> dict:
    return graph.network(fused.shipment.blueprint, arrays, for_conversion=False)(images)


@EVERY
def test_it_is_the_network_and_its_weights_go_back(name: str) -> None:
    fused = fused_of(name)
    images, arrays = pixels(fused), fused.shipment.arrays
    check(fused.keras(images), shipped(fused, arrays, images))
    for layer in fused.keras.layers:
        if layer.trainable:
            layer.set_weights([0.7 * value for value in layer.get_weights()])
    values = {layer.name: layer.get_weights() for layer in fused.keras.layers if layer.weights}
    after = fused.arrays(values)
    assert after.keys() == arrays.keys()
    assert all(np.shape(after[key]) == arrays[key].shape for key in arrays)
    check(fused.keras(images), shipped(fused, after, images))


def test_operations_with_one_kernel_are_one_layer() -> None:
    fused = fused_of("towers")
    convs = [layer for layer in fused.keras.layers if type(layer) is keras.layers.Conv2D]
    assert [layer.name for layer in convs] == [
        "stem",
        "large.tower.conv",
        "large.tower.dcn.offsets",
    ]
    last = [fused.last_layer(node).name for node in fused.nodes]
    assert len(last) == len(set(last))


@pytest.mark.slow
@EVERY
def test_it_is_rounded_to_8_bits_and_its_weights_go_back(name: str) -> None:
    from serving import fake_quantised

    fused = fused_of(name)
    images, arrays = pixels(fused), fused.shipment.arrays
    exact = fused.keras(images)
    quantised = fake_quantised.model(fused, [images])
    rounded = quantised(images, training=True)
    for output, y in exact.items():
        error = tf.norm(rounded[output] - y) / tf.norm(y)
        assert 0 < float(error) < 0.2, output
    after = fused.arrays(fake_quantised.weights(quantised))
    assert after.keys() == arrays.keys()
    check(shipped(fused, after, images), shipped(fused, arrays, images))


@pytest.mark.slow
def test_shared_kernels_are_in_a_tflite_file_once() -> None:
    sizes = {}
    for shared in (True, False):
        blueprint = towers(shared=shared)
        sizes[shared] = len(lite_models.of_network(blueprint, distinct_arrays(blueprint)))
    assert sizes[True] < 0.8 * sizes[False]
