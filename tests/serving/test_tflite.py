"""TFLite models for phones: their operations, XNNPACK's partitions, and their answers."""

import functools
import zipfile
from collections import Counter
from pathlib import Path

import flatbuffers
import numpy as np
import pytest
import tensorflow as tf
from flatbuffers.encode import Get as get
from flatbuffers.number_types import Float32Flags, Uint8Flags
from flatbuffers.packer import uoffset
from flatbuffers.table import Table
from tensorflow.lite.python import schema_py_generated as schema

from nas_tf.errors import ConfigError, DataError
from serving import lite_metadata, tflite
from serving.lite_runner import LiteModel, runtimes
from serving.parity import compare, keras_answers
from serving.shipment import Shipment
from tests.serving.shipped import CLASSES, SIZE, SPACES, TASKS, check_alike, pictures, shipment

ARCHS = ("arch0", "arch1", "arch2")
# The random depths of a DPC differ by less than a step of 8 bits.
SMALLER = [(space, "pose") for space in SPACES] + [
    ("auxcell", "depth"),
    ("template", "depth"),
]


def samples() -> list[np.ndarray]:
    return list(pictures(16, seed=9))


def converted(network: Shipment, kind: tflite.Kind) -> bytes:
    return tflite.convert(network, kind, samples())


@functools.cache
def of_task(space: str, task: str, kind: tflite.Kind) -> tuple[Shipment, bytes]:
    item = shipment(space, task, seed=1)
    return item, converted(item, kind)


@functools.cache
def of_genotype(name: str, kind: tflite.Kind) -> bytes:
    return converted(shipment(genotype=name), kind)


@functools.cache
def wanted_of(space: str, task: str) -> dict[str, np.ndarray]:
    """Returns the Keras model's answers to the pictures."""
    return keras_answers(shipment(space, task, seed=1))(pictures())


@pytest.mark.sampled(4)
@pytest.mark.quick(9)
@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("space", SPACES)
def test_it_answers_as_the_keras_model(space: str, task: str) -> None:
    _, content = of_task(space, task, "fp32")
    wanted = wanted_of(space, task)
    for runtime in runtimes().values():
        check_alike(LiteModel(content, runtime=runtime)(pictures()), wanted)


@pytest.mark.slow
@pytest.mark.sampled(3)
@pytest.mark.parametrize("kind", ["fp16", "int8"])
@pytest.mark.parametrize(("space", "task"), SMALLER)
def test_depths_and_joints_are_near_in_fewer_bits(
    space: str, task: str, kind: tflite.Kind
) -> None:
    (_, content), wanted = of_task(space, task, kind), wanted_of(space, task)
    for runtime in runtimes().values():
        check_near(LiteModel(content, runtime=runtime)(pictures()), wanted, task, kind)


def check_near(
    given: dict[str, np.ndarray], wanted: dict[str, np.ndarray], task: str, kind: tflite.Kind
) -> None:
    assert given.keys() == wanted.keys()
    name = {"depth": "depth", "pose": "heatmaps"}[task]
    off = np.abs(given[name] - wanted[name]) / np.ptp(wanted[name])
    assert off.max() < {"fp16": 2e-3, "int8": 0.08}[kind]
    if task == "pose":
        places = given["heatmaps"].reshape(len(given["heatmaps"]), -1, 3).argmax(1)
        peaks = np.stack([places % (SIZE[1] // 4), places // (SIZE[1] // 4)], -1) * 4 + 1.5
        assert np.abs(given["keypoints"][..., :2] - peaks).max() <= 1
        assert np.array_equal(given["keypoints"][..., 2], given["heatmaps"].max((1, 2)))


@pytest.mark.sampled(2)
@pytest.mark.quick(4)
@pytest.mark.parametrize("kind", tflite.KINDS)
@pytest.mark.parametrize("genotype", ARCHS)
def test_xnnpack_takes_all_but_the_last_steps_in_one_piece(
    genotype: str, kind: tflite.Kind
) -> None:
    model = LiteModel(of_genotype(genotype, kind))
    assert model.partitions == 1
    names = Counter(model.operations)
    assert not [name for name in names if name.startswith("Flex") or "BATCH" in name]
    first = ["QUANTIZE"] if kind == "int8" else []
    assert [name for name in model.operations if name == "QUANTIZE"] == first
    assert model.operations[-2:] == ["ARG_MAX", "CAST"]


@pytest.mark.slow
def test_the_kinds_are_near_each_other_and_smaller() -> None:
    item = shipment(genotype="arch0")
    contents = {kind: of_genotype("arch0", kind) for kind in tflite.KINDS}
    sizes = [len(contents[kind]) for kind in tflite.KINDS]
    assert sizes[0] > 1.6 * sizes[1] > 1.6 * sizes[2]
    examples = [(pictures(4, seed=seed), tf.zeros((4, *SIZE), tf.uint8)) for seed in range(3)]
    for runtime in runtimes().values():
        formats = {kind: LiteModel(item, runtime=runtime) for kind, item in contents.items()}
        found = compare(item, formats, examples)
        assert list(found) == ["keras", *tflite.KINDS]
        assert found["keras"].agreement == 1
        assert found["fp32"].agreement > 0.999
        assert found["fp16"].agreement > 0.98
        assert found["int8"].agreement > 0.8


def normalisation_of(metadata: bytes) -> tuple[list[float], list[float]]:
    """Means and deviations of the first unit that an input's pixels go through, by the schema's
    fields: ModelMetadata.subgraph_metadata, .input_tensor_metadata, .process_units, .options."""

    def field(table: Table, place: int) -> int:
        return table.Offset(4 + 2 * place)

    def below(table: Table, place: int) -> Table:
        return Table(table.Bytes, table.Indirect(table.Vector(field(table, place))))

    def floats(table: Table, place: int) -> list[float]:
        count, start = table.VectorLen(field(table, place)), table.Vector(field(table, place))
        return [table.Get(Float32Flags, start + 4 * n) for n in range(count)]

    root = Table(metadata, get(uoffset, metadata, 0))
    unit = below(below(below(root, 3), 2), 4)
    assert unit.Get(Uint8Flags, unit.Pos + field(unit, 0)) == 1, "NormalizationOptions"
    options = Table(metadata, unit.Indirect(unit.Pos + field(unit, 1)))
    return floats(options, 0), floats(options, 1)


def test_it_says_what_it_is(tmp_path: Path) -> None:
    (item, content), path = of_task("auxcell", "segmentation", "fp32"), tmp_path / "one.tflite"
    path.write_bytes(content)
    assert lite_metadata.read(path) == item.about() | {"kind": "fp32"}
    assert lite_metadata.attached_to(content) == lite_metadata.read(path)
    assert lite_metadata.attached_to(content[:-60]) == {}
    with zipfile.ZipFile(path) as files:
        assert files.read("labels.txt").decode().split() == list(CLASSES)
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(path.read_bytes(), 0))
    (entry,) = (entry for entry in model.metadata if entry.name == b"TFLITE_METADATA")
    metadata = bytes(model.buffers[entry.buffer].data)
    assert metadata[4:8] == b"M001"
    for text in (b"auxcell-segmentation", b"labels.txt", b"serving_default_image:0"):
        assert text in metadata
    assert normalisation_of(metadata) == ([0.0], [1.0])


@pytest.mark.parametrize("kind", ["fp32", "int8"])
def test_a_model_that_was_cut_off_anywhere_is_refused(tmp_path: Path, kind: tflite.Kind) -> None:
    """TFLite would end the process. The content before the files at its end is enough to run."""
    _, content = of_task("auxcell", "segmentation", kind)
    tables = content.index(b"PK\x03\x04")
    path = tmp_path / "one.tflite"
    spread = {*range(8, tables, tables // 12), *range(tables - 40, tables - 4, 6)}
    for length in sorted(spread):
        with pytest.raises(ValueError, match=r"^damaged: a part of it is missing or broken$"):
            lite_metadata.check_complete(content[:length])
        with pytest.raises(ConfigError, match=r"run here: damaged: a part"):
            LiteModel(content[:length])
        path.write_bytes(content[:length])
        with pytest.raises(ConfigError, match=r"one.tflite is damaged: a part .*export it again$"):
            lite_metadata.read(path)
    assert LiteModel(content[:tables]).size == SIZE
    for length in (tables, tables + 100, len(content) - 1):
        path.write_bytes(content[:length])
        with pytest.raises(ConfigError, match=r"one.tflite is damaged: its metadata.json cannot"):
            lite_metadata.read(path)


def test_the_same_shipment_gives_the_same_file() -> None:
    item, content = of_task("auxcell", "segmentation", "int8")
    assert converted(item, "int8") == content


def test_images_that_do_not_fit_are_refused() -> None:
    model = LiteModel(of_task("auxcell", "segmentation", "fp32")[1])
    with pytest.raises(DataError, match=r"^images are float32 of shape \(64, 96, 3\), expected"):
        model(pictures().astype(np.float32))
    with pytest.raises(DataError, match=r"expected uint8 of \(64, 96, 3\)$"):
        model(pictures(size=(96, 64)))


def test_too_few_or_wrong_samples_are_refused() -> None:
    with pytest.raises(
        ConfigError, match=r"^int8 takes its ranges from images and got 3, expected"
    ):
        tflite.convert(shipment(), "int8", samples()[:3])
    with pytest.raises(ConfigError, match=r"^a sample is of shape \(32, 32, 3\), expected \(64"):
        tflite.convert(shipment(), "int8", [np.zeros((32, 32, 3), np.uint8)] * 8)


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^not a TFLite model that can be run here"):
        LiteModel(b"nothing of the kind")
    path = tmp_path / "one.tflite"
    for content, line in (
        (b"nothing", "is not a TFLite model, "),
        (b"0000TFL3", "is damaged: a part"),
    ):
        path.write_bytes(content)
        with pytest.raises(ConfigError, match=f"one.tflite {line}"):
            lite_metadata.read(path)


@pytest.mark.parametrize("most", [0.0, 1e-9])
def test_a_map_that_is_all_but_zero_does_not_end_litert(
    most: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    calibrated: list[bytes] = []
    widened = tflite._widened
    monkeypatch.setattr(tflite, "_widened", lambda model: calibrated.append(model) or model)
    tflite.convert(shipment(), "int8", pictures(8))
    tables = schema.ModelT.InitFromObj(schema.Model.GetRootAs(calibrated[0], 0))
    (graph,) = tables.subgraphs
    convs = [
        operator
        for operator in graph.operators
        if tables.operatorCodes[operator.opcodeIndex].builtinCode in tflite._CONVOLUTIONS
    ]
    narrow = graph.tensors[convs[9].outputs[0]].quantization
    narrow.min, narrow.max = [0.0], [most]
    builder = flatbuffers.Builder(1024)
    builder.Finish(tables.Pack(builder), b"TFL3")
    monkeypatch.setattr(tflite, "_widened", lambda model: widened(bytes(builder.Output())))
    content = tflite.convert(shipment(), "int8", pictures(8))
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
    tensors = model.subgraphs[0].tensors
    for operator in model.subgraphs[0].operators:
        if model.operatorCodes[operator.opcodeIndex].builtinCode in tflite._CONVOLUTIONS:
            places = (*operator.inputs[:2], operator.outputs[0])
            read, kernel, written = (max(tensors[place].quantization.scale) for place in places)
            assert read * kernel / written < 256
    assert widened(calibrated[0]) == calibrated[0]
