"""A small decoder on ResNet and Xception answers alike in all formats that are exported."""

from pathlib import Path

import pytest
import tensorflow as tf

from nas_tf import networks
from nas_tf.networks import encoders
from nas_tf.networks.functional import Functional
from nas_tf.networks.state import Arrays, State, from_arrays, initial_arrays, to_arrays
from nas_tf.spaces import AuxCellSpace, DPCSpace
from serving import images, onnx, saved_model, tflite
from serving.lite_runner import LiteModel
from serving.parity import compare
from serving.shipment import Shipment
from tests.serving.shipped import CLASSES, PALETTE, SIZE, TASKS, pictures

GENOTYPE = AuxCellSpace(blocks=2, branches=1).parse("[[[3,1],[0,4]],[2,[0,1,9,5]]]")

CHOICES = ("resnet50", "xception")
_ADDED = ("_3_bn", "_sepconv3_bn", "_project_BN")
"""The last normalisations of residual blocks."""


def calibrated(blueprint: networks.Blueprint) -> Arrays:
    """Returns random weights, and the statistics with which all features are of order 1.

    Residual blocks add little to their input, as in a trained network: otherwise rounding to 8
    bits grows from block to block.
    """
    network, arrays = Functional(blueprint), initial_arrays(blueprint, seed=1)
    for (layer, role), value in arrays.items():
        if role == "gamma" and layer.endswith(_ADDED):
            value *= 0.3
    state = from_arrays(network.parts, arrays)
    parts = frozenset(network.parts)
    batch = images.normalised(pictures(8, seed=2))
    measured = network(batch, state.trainable, state.statistics, training=parts).measured
    statistics = {part: vector.numpy() for part, vector in measured.items()}
    return to_arrays(network.parts, State(state.trainable, statistics))


@pytest.mark.slow
@pytest.mark.parametrize("name", CHOICES)  # all others are on mobilenet_v2
def test_all_formats_answer_alike(name: str, tmp_path: Path) -> None:
    task, encoder = TASKS["segmentation"], encoders.get(name)
    settings = networks.Settings(width=8, sep_repeats=1, auxiliary="none", encoder=encoder)
    blueprint = networks.blueprint_of(GENOTYPE, task.head, input_size=SIZE, settings=settings)
    facts = {"classes": list(CLASSES), "palette": PALETTE}
    item = Shipment(name, task, blueprint, calibrated(blueprint), facts)
    samples = list(pictures(8, seed=9))
    formats = {
        "saved_model": saved_model.answers(saved_model.write(item, tmp_path)),
        "onnx": onnx.OnnxModel(onnx.convert(item), item),
        "int8": LiteModel(tflite.convert(item, "int8", samples)),
    }
    found = compare(item, formats, [(pictures(), tf.zeros((3, *SIZE), tf.uint8))])
    assert min(found[kind].agreement for kind in ("saved_model", "onnx")) > 0.999
    assert found["int8"].agreement > 0.6


@pytest.mark.parametrize(
    "encoder", ["mobilenet_v2", *(pytest.param(e, marks=pytest.mark.slow) for e in CHOICES)]
)
def test_the_decoder_of_deeplabv3plus_answers_alike_in_tflite(encoder: str) -> None:
    task = TASKS["segmentation"]
    settings = networks.settings.published(
        "dpc", width=8, encoder=encoders.get(encoder), decoder="deeplabv3plus"
    )
    cell = DPCSpace(branches=2).parse([[0, "sep3x3_1x6"], [0, "pool_1x1"]])
    blueprint = networks.blueprint_of(cell, task.head, input_size=SIZE, settings=settings)
    facts = {"classes": list(CLASSES), "palette": PALETTE}
    item = Shipment(f"{encoder}-v3plus", task, blueprint, calibrated(blueprint), facts)
    model = LiteModel(tflite.convert(item, "fp32", list(pictures(8, seed=9))))
    assert "RESIZE_BILINEAR" in model.operations
    found = compare(item, {"fp32": model}, [(pictures(), tf.zeros((3, *SIZE), tf.uint8))])
    assert found["fp32"].agreement > 0.999
