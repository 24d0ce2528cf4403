"""A detector in every format answers with the boxes of the Keras model, at any picture's size."""

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx as onnx_format
import pytest
import tensorflow as tf
from onnx.reference import ReferenceEvaluator

from benchmarks.deploy import random_arrays
from nas_tf import networks, spaces
from nas_tf.errors import ConfigError, EnvironmentFault
from nas_tf.networks.draft import Draft
from nas_tf.tasks import Answer, Depth, Detection, Outputs
from serving import graph, images, onnx, parity, saved_model, tflite
from serving.lite_runner import LiteModel
from serving.parity import keras_answers
from serving.shipment import Shipment
from serving.signatures import FILES, LOGITS
from tests.sampling import IS_WHOLE
from tests.serving.shipped import SIZE, pictures
from tests.serving.test_saved_model import file_of, signature

PORTABLE = "[[2,3,0,1,1],[3,3,0,1,1],[4,3,0,3,0],[1,3,0,3,1],[5,3,0,2,1],[4,7,2,1,0],[7,2,1,0,1]]"
DEFORMABLE = f"[{PORTABLE.replace('[2,3,0,', '[2,3,4,')},[0],[5,1,4,4,4,4]]"
"""A pyramid with a deformable layer, and towers of a deformable and a plain one."""
TASK = Detection(3, names=("nut", "bolt", "screw"))


class Undecoded(Detection):
    """A task whose answers are the outputs of the network."""

    def answer(self, outputs: Outputs, image_size: tuple[int, int]) -> Answer:
        return dict(outputs)


def shipment(genotype: str) -> Shipment:
    """Random weights, whose classes are as likely as not: those of a search begin unlikely."""
    settings = networks.settings.search("fcos", width=32, alpha=0.35)
    blueprint = networks.blueprint_of(
        spaces.resolve(genotype), TASK.head, input_size=SIZE, settings=settings
    )
    arrays, rng = random_arrays(blueprint), np.random.default_rng(5)
    for (layer, role), value in arrays.items():
        if layer.endswith("classes.predictor"):
            arrays[layer, role] = 100 * value if role == "kernel" else np.zeros_like(value)
        if layer.endswith("boxes.predictor") and role == "bias":
            arrays[layer, role] = np.full_like(value, 2.0)
        if layer.endswith(".offsets") and role == "bias":
            arrays[layer, role] = rng.normal(size=value.shape).astype(np.float32)
    return Shipment("nuts", TASK, blueprint, arrays, {"classes": list(TASK.names)})


@pytest.fixture(scope="module")
def shipped() -> Shipment:
    return shipment(PORTABLE)


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


@pytest.mark.slow
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


@pytest.mark.slow
def test_raw_outputs_are_served_by_level(shipped: Shipment, tmp_path: Path) -> None:
    folder = saved_model.write(shipped, tmp_path)
    found = signature(folder, LOGITS)(images=tf.constant(pictures()))
    assert found["p3.classes"].shape == (3, 8, 12, 3)
    assert found["p7.boxes"].shape == (3, 1, 1, 4)
    decoded = TASK.answer(found, SIZE)
    np.testing.assert_array_equal(
        decoded["boxes"], saved_model.answers(folder)(pictures())["boxes"]
    )


@pytest.mark.slow
def test_tflite_and_onnx_answer_as_keras(shipped: Shipment, wanted: dict[str, np.ndarray]) -> None:
    content = tflite.convert(shipped, "fp32")
    check(LiteModel(content)(pictures()), wanted)
    check(onnx.OnnxModel(onnx.convert(shipped), shipped)(pictures()), wanted)


def quantised(item: Shipment) -> LiteModel:
    return LiteModel(tflite.convert(item, "int8", list(pictures(16, seed=9))))


def types(model: LiteModel) -> dict[str, set[str]]:
    """Returns the types of the first outputs of each kind of operation."""
    interpreter = model._interpreter
    by_place = {each["index"]: each["dtype"].__name__ for each in interpreter.get_tensor_details()}
    found: dict[str, set[str]] = {}
    for operation in interpreter._get_ops_details():
        names = found.setdefault(operation["op_name"], set())
        names.add(by_place[operation["outputs"][0]])
    return found


DECODED = ("EXP", "TOPK_V2", "GATHER", "SELECT_V2", "LOGISTIC", "SQRT", "SQUARED_DIFFERENCE")


@pytest.mark.slow
def test_int8_computes_the_body_in_bytes_and_the_boxes_in_float(shipped: Shipment) -> None:
    """The boxes of the Keras model are the truth: precision and distance of the formats' boxes."""
    model = quantised(shipped)
    kinds = types(model)
    assert kinds["CONV_2D"] == {"int8", "float32"}, "float for the means of groups alone"
    assert kinds["DEPTHWISE_CONV_2D"] == {"int8", "float32"}, "float for the factors of exponents"
    assert kinds["ADD"] >= {"int8"}
    assert kinds["RESIZE_BILINEAR"] == {"int8"}
    for name in DECODED:
        assert "int8" not in kinds[name], name
    assert not [name for name in kinds if name.startswith("Flex")]
    pixels = pictures(8, seed=3)
    keras = keras_answers(shipped)(pixels)
    truth = np.concatenate([keras["boxes"], keras["classes"][..., None]], -1)
    shown = keras["scores"][..., None] > 0.3
    target = np.where(shown, truth, -1).astype(np.float32)
    compared = parity.compare(shipped, {"int8": model}, [(pixels, target)])
    assert compared["keras"].closeness == {"box_iou": pytest.approx(1)}
    assert compared["keras"].result["ap50"] > 0.98
    found = compared["int8"]
    assert found.closeness["box_iou"] > 0.95, "less than a threshold of AP"
    assert found.agreement > 0.9
    assert found.result["ap50"] > 0.75, "hundreds of like scores compete for the last places"
    assert found.result["ap"] > found.result["ap50"] - 0.02, "at every threshold"


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["fp32", "int8"])
def test_xnnpack_runs_all_up_to_the_exponentials_in_one_piece(
    shipped: Shipment, kind: tflite.Kind
) -> None:
    raw = replace(shipped, task=Undecoded(3, names=TASK.names))
    model = LiteModel(tflite.convert(raw, kind, list(pictures(16, seed=9))))
    assert model.partitions == 1
    (delegate,) = (
        each for each in model._interpreter._get_ops_details() if each["op_name"] == "DELEGATE"
    )
    outputs = model._interpreter.get_output_details()
    assert len(outputs) == len(delegate["outputs"]) == 15, "or what exponentials take"


@pytest.mark.slow
@pytest.mark.parametrize("genotype", [DEFORMABLE, *(["nas-fcos"] if IS_WHOLE else [])])
def test_deformable_networks_are_exported_in_float_even_in_int8(genotype: str) -> None:
    item, pixels = shipment(genotype), pictures()
    wanted = keras_answers(item)(pixels)
    check(LiteModel(tflite.convert(item, "fp32"))(pixels), wanted)
    model = quantised(item)
    assert "int8" not in types(model)["FULLY_CONNECTED"], "the products of samples and kernels"
    assert "int8" not in types(model)["FLOOR"], "the places of samples"
    assert TASK.agreement(model(pixels), wanted).min() > 0.9
    model = onnx_format.load_from_string(onnx.convert(item, deform_conv=True))
    onnx_format.checker.check_model(model, full_check=True)
    count = sum(layer.kind == "deformable" for layer in item.shipped.layers)
    assert sum(node.op_type == "DeformConv" for node in model.graph.node) == count
    check(onnx.OnnxModel(onnx.convert(item), item)(pixels), wanted)


class Map(Depth):
    """A task whose undecoded answers are the outputs of the network."""

    def undecoded(self, outputs: Outputs, image_size: tuple[int, int]) -> Answer:
        return dict(outputs)


def test_deform_conv_computes_what_the_network_does() -> None:
    """The evaluator of ONNX has the operation, ONNX Runtime 1.22 does not."""
    draft = Draft((32, 32))
    draft.start_part("decoder", epsilon=1e-5, momentum=0.9)
    x = draft.conv(draft.image(), "first", 4, kernel=3, stride=4)
    x = draft.deformable(x, "middle", 6, groups=2)
    x = draft.relu(draft.batch_norm(x, "norm"), "relu")
    draft.output(draft.conv(x, "last", 1, bias=True), "logits")
    blueprint = draft.finish()
    arrays, rng = random_arrays(blueprint), np.random.default_rng(5)
    arrays["middle.offsets", "bias"] += rng.normal(size=54).astype(np.float32)
    item = Shipment("map", Map(), blueprint, arrays)
    pixels = pictures(1, size=(32, 32)).astype(np.float32)
    wanted = graph.network(blueprint, arrays)(images.normalised(pixels))["logits"]
    content = onnx.convert(item, deform_conv=True)
    (found,) = ReferenceEvaluator(content).run(None, {onnx.IMAGE: pixels})
    np.testing.assert_allclose(found, wanted, atol=1e-5 * np.abs(wanted).max())
    assert np.abs(wanted).max() > 0.01
    opsets = onnx_format.load_from_string(content).opset_import
    assert [each.version for each in opsets if not each.domain] == [19]
    with pytest.raises(EnvironmentFault, match=r"^ONNX Runtime \S+ has no DeformConv, expected"):
        onnx.OnnxModel(content, item)


def test_deform_conv_needs_a_deformable_convolution(shipped: Shipment) -> None:
    with pytest.raises(ConfigError, match=r"^nuts has no deformable convolution .* format onnx$"):
        onnx.convert(shipped, deform_conv=True)


def test_closeness_is_the_overlap_of_matching_boxes() -> None:
    def answer(*rows: tuple[float, ...]) -> Mapping[str, np.ndarray]:
        values = np.array(rows, np.float32)[None]
        return {"boxes": values[..., :4], "scores": values[..., 4], "classes": values[..., 5]}

    reference = answer((0, 0, 10, 10, 0.9, 1), (20, 20, 30, 30, 0.8, 0), (0, 0, 9, 9, 0.2, 1))
    moved = answer((0, 0, 10, 8, 0.9, 1), (20, 20, 30, 30, 0.8, 1))
    assert TASK.closeness(moved, reference)["box_iou"] == pytest.approx([0.8])
    assert np.isnan(TASK.closeness(answer((50, 50, 60, 60, 0.9, 1)), reference)["box_iou"]).all()


def test_the_page_on_boards_chooses_the_same_boxes() -> None:
    page = Path(__file__).parents[2] / "docs" / "how-to" / "jetson.md"
    (code,) = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    names: dict[str, Any] = {}
    exec(code, names)
    rng = np.random.default_rng(6)
    first = rng.uniform(0, 60, (400, 2))
    boxes = np.concatenate([first, first + rng.uniform(5, 30, (400, 2))], 1).astype(np.float32)
    scores = np.maximum(rng.uniform(-0.2, 1, 400), 0).astype(np.float32)
    classes = rng.integers(0, 2, 400, dtype=np.int32)
    found = {"candidate_boxes": boxes, "candidate_scores": scores, "candidate_classes": classes}
    wanted = TASK.decoded({name: values[None] for name, values in found.items()})
    chosen = names["best"](boxes, scores, classes)
    assert 50 < len(chosen) == wanted["count"][0]
    np.testing.assert_array_equal(boxes[chosen], wanted["boxes"][0, : len(chosen)])
