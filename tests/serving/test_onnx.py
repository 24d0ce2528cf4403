"""ONNX models: their nodes, and their answers in ONNX Runtime."""

import os
import subprocess
from collections import Counter
from pathlib import Path

import onnx
import pytest

from serving import deployment
from serving import onnx as exported
from serving.parity import keras_answers
from tests.serving.shipped import SIZE, SPACES, TASKS, check_alike, pictures, shipment


@pytest.mark.slow
@pytest.mark.sampled(4)
@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("space", SPACES)
def test_it_answers_as_the_keras_model(space: str, task: str) -> None:
    item, pixels = shipment(space, task, seed=1), pictures()
    given = exported.OnnxModel(exported.convert(item), item)(pixels)
    wanted = keras_answers(item)(pixels)
    check_alike(given, wanted)


@pytest.mark.quick(3)
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
        and any(item.name == "dilations" and max(item.ints) > 1 for item in node.attribute)
    ]
    assert dilated
    for node in model.graph.node:
        if node.op_type == "Resize":
            attributes = {item.name: item.s for item in node.attribute}
            assert attributes["mode"] == b"linear"
            assert attributes["coordinate_transformation_mode"] == b"half_pixel"
    (image,), (mask,) = model.graph.input, model.graph.output
    sides = [
        [item.dim_value for item in each.type.tensor_type.shape.dim] for each in (image, mask)
    ]
    assert sides == [[1, *SIZE, 3], [1, *SIZE]]
    assert mask.type.tensor_type.elem_type == onnx.TensorProto.INT32
    assert model.opset_import[0].version == exported.OPSET
    assert {prop.key for prop in model.metadata_props} == {"name", "weights_sha256"}


def test_the_script_for_a_jetson_builds_the_model_next_to_it(tmp_path: Path) -> None:
    """Runs the real script with a fake trtexec that records its arguments."""
    name = "camvid $(touch broken) 'a'"
    (tmp_path / "shipped").mkdir()
    script = deployment.write_jetson(tmp_path / "shipped" / f"{name}.onnx")
    assert script.name == f"{name}.jetson.sh"
    trtexec = tmp_path / "trtexec"
    recorded = tmp_path / "recorded"
    trtexec.write_text(f'#!/bin/sh\n{{ pwd; printf "%s\\n" "$@"; }} >> "{recorded}"\n')
    trtexec.chmod(0o755)
    subprocess.run([script], env={**os.environ, "TRTEXEC": str(trtexec)}, cwd=tmp_path, check=True)
    calls = recorded.read_text().splitlines()
    first = [f"--onnx={name}.onnx", "--fp16", f"--saveEngine={name}-fp16.engine"]
    assert calls[:4] == [str(tmp_path / "shipped"), *first]
    assert f"--onnx={name}.onnx" in calls[4:]
    assert [item.name for item in (tmp_path / "shipped").iterdir()] == [script.name]
    absent = {**os.environ, "TRTEXEC": str(tmp_path / "none")}
    done = subprocess.run([script], env=absent, cwd=tmp_path, capture_output=True, text=True)
    assert (done.stdout, done.returncode) == ("", 4)
    assert f"{tmp_path}/none is not there or not a program" in done.stderr
    assert "TRTEXEC=/path/to/trtexec" in done.stderr
