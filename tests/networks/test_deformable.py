"""Deformable convolution against torchvision's in float64: goldens of values and gradients."""

import functools
import json
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from nas_tf import quiet
from nas_tf.errors import ConfigError
from nas_tf.networks import deformable
from nas_tf.networks.deformable import deformable_conv, offsets_and_mask

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "detection" / "deform.npz")
RECORDS = json.loads(GOLDEN["index"].tobytes())
OPERATIONS = [record for record in RECORDS if record["kind"] != "module"]
LAYERS = [record for record in RECORDS if record["kind"] == "module"]

records = functools.partial(pytest.mark.parametrize, "record", ids=lambda record: record["id"])


@pytest.fixture
def several_pieces(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Lets pieces be of a few bytes, where small maps are otherwise computed in one."""
    monkeypatch.setattr(deformable, "SMALLEST_PIECE", 1)
    deformable._traced.cache_clear()
    yield
    deformable._traced.cache_clear()


def golden(record: dict, name: str) -> np.ndarray:
    """An array of a case: channels last, kernels by rows, columns, channels and filters."""
    array = GOLDEN[f"{record['id']}/{name}"].astype(np.float32)
    if name.endswith("weight"):
        return array.transpose(2, 3, 1, 0)
    return np.moveaxis(array, 1, -1) if array.ndim == 4 else array


def options(record: dict) -> dict[str, int]:
    return {
        "groups": record["groups"],
        "rate": record["dilation"],
        "padding": record["padding"],
    }


def assert_near(found: tf.Tensor, expected: np.ndarray, tolerance: float) -> None:
    assert found.shape == expected.shape
    scale = max(1, np.abs(expected).max())
    np.testing.assert_allclose(found.numpy() / scale, expected / scale, atol=tolerance, rtol=0)


def assert_golden(
    record: dict,
    function: Callable[..., tf.Tensor],
    names: Sequence[str] = ("x", "offset", "mask", "weight"),
) -> None:
    """Compares a function with a case: its values without bias, and the gradients given."""
    read = [tf.constant(golden(record, name)) for name in names]
    with tf.GradientTape() as tape:
        tape.watch(read)
        y = function(*read)
        total = tf.reduce_sum(y * golden(record, "cotangent"))
    assert_near(y + golden(record, "bias"), golden(record, "output"), 1e-4)
    for name, gradient in zip(names, tape.gradient(total, read), strict=True):
        if name != "offset" or record["has_grad_offset"]:
            assert_near(gradient, golden(record, f"grad_{name}"), 1e-3)


def random_arguments(
    batch: int = 2, size: tuple[int, int] = (7, 9), groups: int = 2, *, channels: int = 8
) -> list[tf.Tensor]:
    rng = np.random.default_rng(5)
    shape = (batch, *size)
    arrays = (
        rng.normal(size=(*shape, channels)),
        rng.normal(size=(*shape, 18 * groups)),
        rng.uniform(size=(*shape, 9 * groups)),
        rng.normal(size=(3, 3, channels, 6)),
    )
    return [tf.constant(array, tf.float32) for array in arrays]


def graph(**keywords: object) -> tf.types.experimental.GenericFunction:
    """Values and gradients as the learner has them, by ``tf.gradients``."""

    def run(*read: tf.Tensor) -> list[tf.Tensor]:
        y = deformable_conv(*read, **keywords)
        return [y, *tf.gradients(tf.reduce_sum(y * tf.cos(y)), read)]

    return tf.function(run, autograph=False)


@records(OPERATIONS)
def test_values_and_gradients(record: dict) -> None:
    assert_golden(record, lambda *read: deformable_conv(*read, **options(record)))


@records([record for record in OPERATIONS if record["kind"] == "border"])
def test_values_and_gradients_in_pieces(record: dict, several_pieces: None) -> None:
    assert_golden(record, lambda *read: deformable_conv(*read, **options(record)))


@records(OPERATIONS)
def test_the_form_for_conversion_computes_the_same(record: dict) -> None:
    def portable(*read: tf.Tensor) -> tf.Tensor:
        return deformable_conv(*read, **options(record), for_conversion=True)

    assert_golden(record, portable)


@records(LAYERS)
def test_a_layer_splits_the_offset_convolution(record: dict) -> None:
    groups = record["groups"]

    def layer(x: tf.Tensor, offset_weight: tf.Tensor, bias: tf.Tensor, weight: tf.Tensor):
        raw = tf.nn.conv2d(x, offset_weight, 1, "SAME") + bias
        return deformable_conv(x, *offsets_and_mask(raw, groups), weight, groups=groups)

    assert_golden(record, layer, ("x", "offset_weight", "offset_bias", "weight"))


def test_sizes_may_be_dynamic(several_pieces: None) -> None:
    dynamic = tf.function(
        graph(groups=2).python_function,
        input_signature=[
            *(tf.TensorSpec((None, None, None, channels)) for channels in (8, 36, 18)),
            tf.TensorSpec((3, 3, 8, 6)),
        ],
        autograph=False,
    )
    for batch, size in ((2, (7, 9)), (1, (2, 1))):
        read = random_arguments(batch, size)
        for found, expected in zip(dynamic(*read), graph(groups=2)(*read), strict=True):
            assert_near(found, expected.numpy(), 1e-5)


def test_other_types_are_computed_in_float32() -> None:
    read = [tf.cast(array, tf.bfloat16) for array in random_arguments()]
    for for_conversion in (False, True):
        keywords = {"groups": 2, "for_conversion": for_conversion}
        rounded, *gradients = graph(**keywords)(*read)
        exact = deformable_conv(*(tf.cast(array, tf.float32) for array in read), **keywords)
        assert rounded.dtype == tf.bfloat16
        assert [gradient.dtype for gradient in gradients] == [tf.bfloat16] * 4
        assert np.array_equal(rounded, tf.cast(exact, tf.bfloat16))


def test_two_runs_have_the_same_bits() -> None:
    read = random_arguments(4, (24, 24), channels=64)
    first, second = graph(groups=2), graph(groups=2)
    runs = [[array.numpy().tobytes() for array in run(*read)] for run in (first, second, first)]
    assert runs[0] == runs[1] == runs[2]


def test_offsets_beyond_integers_read_zeros_and_unknown_ones_are_not_hidden() -> None:
    x, offsets, mask, kernel = random_arguments()
    for shift in (1e30, -1e30):
        y, by_x, by_offsets, *_ = graph(groups=2)(x, tf.fill(offsets.shape, shift), mask, kernel)
        assert not np.any(y)
        assert not np.any(by_x)
        assert not np.any(by_offsets)
    for for_conversion in (False, True):
        y = deformable_conv(
            x, offsets * np.nan, mask, kernel, groups=2, for_conversion=for_conversion
        )
        assert np.all(np.isnan(y))


def test_groups_that_do_not_divide_the_channels_are_one_line() -> None:
    with pytest.raises(ConfigError, match=r"^8 channels do not divide into 3 deformable groups$"):
        deformable_conv(*random_arguments(groups=3), groups=3)


def test_layers_of_the_same_shapes_share_one_function() -> None:
    read = random_arguments()
    function = tf.function(
        lambda *read: [deformable_conv(*read, groups=2) for _ in range(3)], autograph=False
    )
    calls = [
        operation
        for operation in function.get_concrete_function(*read).graph.get_operations()
        if "PartitionedCall" in operation.type
    ]
    assert len(calls) == 3
    assert len({operation.get_attr("f").name for operation in calls}) == 1


@pytest.fixture(scope="module")
def exported() -> tf.Module:
    x, offsets, mask, kernel = (array.numpy() for array in random_arguments(1))

    @tf.function(autograph=False, input_signature=[tf.TensorSpec(a.shape) for a in (x, offsets)])
    def run(x: tf.Tensor, offsets: tf.Tensor) -> tf.Tensor:
        return deformable_conv(x, offsets, mask, kernel, groups=2, for_conversion=True)

    module = tf.Module()
    module.run = run
    return module


def test_tflite_computes_the_same(exported: tf.Module) -> None:
    read = random_arguments(1)[:2]
    function = exported.run.get_concrete_function()
    with quiet.converting():
        converter = tf.lite.TFLiteConverter.from_concrete_functions([function], exported)
        interpreter = tf.lite.Interpreter(model_content=converter.convert())
    interpreter.allocate_tensors()
    by_shape = {tuple(array.shape): array for array in read}
    for place in interpreter.get_input_details():
        interpreter.set_tensor(place["index"], by_shape[tuple(place["shape"])])
    interpreter.invoke()
    y = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    np.testing.assert_allclose(y, exported.run(*read), atol=1e-4)


def test_onnx_computes_the_same(exported: tf.Module) -> None:
    tf2onnx = quiet.load("tf2onnx")
    quiet.load("tf2onnx.convert")
    x, offsets = random_arguments(1)[:2]
    with quiet.converting(), warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        model, _ = tf2onnx.convert.from_function(
            exported.run, input_signature=exported.run.input_signature, opset=17
        )
    session = quiet.load("onnxruntime").InferenceSession(model.SerializeToString())
    (y,) = session.run(None, {"x": x.numpy(), "offsets": offsets.numpy()})
    np.testing.assert_allclose(y, exported.run(x, offsets), atol=1e-4)


@pytest.mark.slow
def test_memory_is_less_than_that_of_nine_samples_a_position() -> None:
    script = Path(__file__).parents[2] / "benchmarks" / "deformable.py"
    done = subprocess.run(
        [sys.executable, str(script), "--measure", "ours"],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert json.loads(done.stdout.splitlines()[-1])["peak"] <= 1.3, done.stderr
