"""A detector in every format answers with the boxes of the Keras model, at any picture's size."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from benchmarks.deploy import random_arrays
from nas_tf import networks, spaces
from nas_tf.tasks import Detection
from serving import onnx, saved_model, tflite
from serving.lite_runner import LiteModel
from serving.parity import keras_answers
from serving.shipment import Shipment
from serving.signatures import FILES
from tests.serving.shipped import SIZE, pictures
from tests.serving.test_saved_model import file_of, signature

pytestmark = pytest.mark.slow
PORTABLE = "[[2,3,0,1,1],[3,3,0,1,1],[4,3,0,3,0],[1,3,0,3,1],[5,3,0,2,1],[4,7,2,1,0],[7,2,1,0,1]]"
TASK = Detection(3, names=("nut", "bolt", "screw"))


@pytest.fixture(scope="module")
def shipped() -> Shipment:
    """Random weights, whose classes are as likely as not: those of a search begin unlikely."""
    settings = networks.settings.search("fcos", width=32, alpha=0.35)
    genotype = spaces.resolve(PORTABLE)
    blueprint = networks.blueprint_of(genotype, TASK.head, input_size=SIZE, settings=settings)
    arrays = random_arrays(blueprint)
    for (layer, role), value in arrays.items():
        if layer.endswith("classes.predictor"):
            arrays[layer, role] = 100 * value if role == "kernel" else np.zeros_like(value)
        if layer.endswith("boxes.predictor") and role == "bias":
            arrays[layer, role] = np.full_like(value, 2.0)
    return Shipment("nuts", TASK, blueprint, arrays, {"classes": list(TASK.names)})


@pytest.fixture(scope="module")
def wanted(shipped: Shipment) -> dict[str, np.ndarray]:
    found = keras_answers(shipped)(pictures())
    assert (found["count"] > 10).all()
    return found


def check(given: dict[str, np.ndarray], wanted: dict[str, np.ndarray]) -> None:
    assert {name: values.shape for name, values in given.items()} == {
        name: values.shape for name, values in wanted.items()
    }
    assert (TASK.agreement(given, wanted) > 0.95).all()
    same = (given["classes"] == wanted["classes"]) & (wanted["classes"] >= 0)
    assert same.mean() > 0.8, "in the same order but for ties"
    near = np.abs(given["boxes"] - wanted["boxes"]).max(-1)[same]
    assert np.median(near) < 1e-2


def test_a_saved_model_answers_images_and_files(
    shipped: Shipment, wanted: dict[str, np.ndarray], tmp_path: Path
) -> None:
    folder = saved_model.write(shipped, tmp_path)
    check(saved_model.answers(folder)(pictures()), wanted)
    file = file_of(pictures(1, size=(32, 48))[0])
    found = signature(folder, FILES)(image_bytes=tf.constant([file]))
    boxes, count = found["boxes"].numpy()[0], int(found["count"][0])
    assert boxes.shape == (100, 4)
    assert count > 0
    assert boxes.min() >= 0
    assert (boxes.max(0) <= (48, 32, 48, 32)).all(), "in pixels of the picture, cut at its edges"


def test_tflite_and_onnx_answer_as_keras(shipped: Shipment, wanted: dict[str, np.ndarray]) -> None:
    content = tflite.convert(shipped, "fp32", list(pictures(4)))
    check(LiteModel(content)(pictures()), wanted)
    check(onnx.OnnxModel(onnx.convert(shipped), shipped)(pictures()), wanted)
