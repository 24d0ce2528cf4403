"""ONNX models: what nodes they have, and what ONNX Runtime answers by them."""

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest

from nas_tf import spaces
from serving import deployment
from serving import onnx as exported
from serving.parity import keras_answers
from tests.serving.shipped import SIZE, TASKS, pictures, shipment, tells


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("space", spaces.SPACES)
def test_it_answers_as_the_keras_model(space: str, task: str) -> None:
    one, pixels = shipment(space, task, seed=1), pictures()
    given = exported.OnnxModel(exported.convert(one), one)(pixels)
    wanted = keras_answers(one)(pixels)
    assert given.keys() == wanted.keys()
    assert task != "depth" or tells(wanted["depth"])
    for name, values in given.items():
        assert (values.shape, values.dtype) == (wanted[name].shape, wanted[name].dtype)
        near = np.abs(values.astype(float) - wanted[name]) <= 1e-3 * np.abs(wanted[name]).max()
        assert near.mean() > (0.8 if name == "keypoints" else 0.995)


@pytest.mark.parametrize("genotype", ["arch0", "arch1", "arch2"])
def test_tensorrt_meets_plain_nodes_of_fixed_sizes(genotype: str) -> None:
    model = onnx.load_from_string(exported.convert(shipment(genotype=genotype)))
    onnx.checker.check_model(model, full_check=True)
    names = Counter(node.op_type for node in model.graph.node)
    assert not names.keys() & {"SpaceToDepth", "DepthToSpace", "Shape", "Loop", "If", "NonZero"}
    dilated = [
        node
        for node in model.graph.node
        if node.op_type == "Conv"
        and any(one.name == "dilations" and max(one.ints) > 1 for one in node.attribute)
    ]
    assert dilated
    for node in model.graph.node:
        if node.op_type == "Resize":
            told = {one.name: one.s for one in node.attribute}
            assert told["mode"] == b"linear"
            assert told["coordinate_transformation_mode"] == b"half_pixel"
    (image,), (mask,) = model.graph.input, model.graph.output
    sides = [[one.dim_value for one in each.type.tensor_type.shape.dim] for each in (image, mask)]
    assert sides == [[1, *SIZE, 3], [1, *SIZE]]
    assert mask.type.tensor_type.elem_type == onnx.TensorProto.INT32
    assert model.opset_import[0].version == exported.OPSET
    assert {one.key for one in model.metadata_props} == {"name", "weights_sha256"}


def test_the_script_for_a_jetson_names_the_model(tmp_path: Path) -> None:
    script = deployment.write_jetson(tmp_path / "street.onnx")
    assert script.name == "street.jetson.sh"
    text = script.read_text()
    assert '"$trtexec" --onnx=street.onnx --fp16 --saveEngine=street-fp16.engine' in text
    assert script.stat().st_mode & 0o111
