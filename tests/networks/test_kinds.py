"""Every kind of layer is the same function, with the same gradient, wherever it is computed."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from nas_tf import quiet
from nas_tf.networks import keras_model
from nas_tf.networks.arrays import layouts
from nas_tf.networks.blueprint import Blueprint
from nas_tf.networks.cost import cost, layer_madds, layer_params
from nas_tf.networks.functional import Functional, Precision
from nas_tf.networks.fused import Op, ops
from nas_tf.networks.keras_model import realise
from nas_tf.networks.kinds import KINDS
from nas_tf.networks.model_files import read_graph, read_model
from nas_tf.networks.state import (
    arrays_of_model,
    fill_model,
    from_arrays,
    to_arrays,
)
from serving import graph, lite_models
from tests.networks.kind_cases import CASES, SIZE, blueprint_of_all, check, distinct_arrays

PARTS = frozenset({"decoder", "architecture"})


@pytest.fixture(scope="module")
def blueprint() -> Blueprint:
    return blueprint_of_all()


@pytest.fixture(scope="module")
def arrays(blueprint: Blueprint) -> dict:
    return distinct_arrays(blueprint)


@pytest.fixture(scope="module")
def images() -> tf.Tensor:
    return tf.random.stateless_uniform((2, *SIZE, 3), (1, 2), -1, 1)


@pytest.fixture(scope="module")
def model(blueprint: Blueprint, arrays: dict) -> tf.keras.Model:
    made = realise(blueprint, name="kinds")
    fill_model(made, arrays)
    for layer in made.layers:
        if isinstance(layer, tf.keras.layers.Dropout):
            layer.rate = 0.0
    return made


@pytest.fixture(scope="module")
def expected(model: tf.keras.Model, images: tf.Tensor) -> dict:
    return {name: y.numpy() for name, y in model(images, training=False).items()}


def computed(blueprint: Blueprint, arrays: dict, images: tf.Tensor, **options: object) -> object:
    network = Functional(blueprint, options.pop("precision", Precision()))
    state = from_arrays(network.parts, arrays)
    return network(images, state.trainable, state.statistics, **options)


def test_every_kind_has_a_case(blueprint: Blueprint) -> None:
    assert {case.partition("-")[0] for case in CASES} == set(KINDS)
    assert {layer.kind for layer in blueprint.layers} == set(KINDS)


def test_every_kind_is_computed_everywhere() -> None:
    assert {kind for kind in KINDS if hasattr(Functional, f"_{kind}")} == set(KINDS) - {"input"}
    assert set(keras_model._KERAS_LAYERS) == set(KINDS) - {"input", "resize"}
    shipped = {kind.op or name for name, kind in KINDS.items() if not kind.is_free}
    assert set(graph._EMITTED) == shipped - {"input", "zero", "table"}
    assert set(graph.FOR_CONVERSION) <= set(graph._EMITTED)


@pytest.mark.parametrize("case", CASES)
def test_it_costs_what_is_counted_by_hand(blueprint: Blueprint, case: str) -> None:
    own = [layer for layer in blueprint.layers if layer.name.startswith(f"{case}.")]
    sources = [blueprint.source(layer) for layer in own]
    assert sum(map(layer_params, own, sources)) == CASES[case][1]
    assert sum(map(layer_madds, own, sources)) == CASES[case][2]


def test_all_cost_what_keras_counts(blueprint: Blueprint, model: tf.keras.Model) -> None:
    weights = [int(tf.size(weight)) for weight in model.trainable_weights]
    assert cost(blueprint).params == sum(weights)


def test_shapes_are_those_of_the_blueprint(blueprint: Blueprint, expected: dict) -> None:
    for name, y in expected.items():
        layer = blueprint.output(name)
        assert y.shape[1:] == (*layer.size, layer.channels), name


@pytest.mark.parametrize("training", [False, True])
def test_the_function_is_the_keras_model_and_so_is_its_gradient(
    blueprint: Blueprint, arrays: dict, images: tf.Tensor, training: bool
) -> None:
    model = realise(blueprint, name="again")  # training moves its statistics
    fill_model(model, arrays)
    next(item for item in model.layers if isinstance(item, tf.keras.layers.Dropout)).rate = 0.0
    network = Functional(blueprint)
    state = from_arrays(network.parts, arrays)
    vectors = {part: tf.constant(vector) for part, vector in state.trainable.items()}
    with tf.GradientTape(persistent=True) as tape:
        tape.watch([images, *vectors.values()])
        wanted = model(images, training=training)
        parts = PARTS if training else frozenset()
        found = network(images, vectors, state.statistics, training=parts).outputs
        losses = [
            tf.add_n([tf.reduce_sum(tf.sin(y)) for y in outputs.values()])
            for outputs in (found, wanted)
        ]
    check(found, wanted)
    by_part = tape.gradient(losses[0], vectors)
    own = {}
    for part, layout in network.parts.items():
        own |= layout.trainable.arrays(by_part[part].numpy())
    gradients = tape.gradient(losses[1], model.trainable_weights, unconnected_gradients="zero")
    keys = [key for key in arrays_of_model(model) if key[1] not in ("mean", "variance")]
    check(own, dict(zip(keys, gradients, strict=True)), near=2e-5)
    both = [tape.gradient(loss, images) for loss in losses]
    check({"images": both[0]}, {"images": both[1]}, near=2e-5)


def test_arrays_go_into_a_model_and_come_back(
    blueprint: Blueprint, arrays: dict, model: tf.keras.Model
) -> None:
    check(arrays_of_model(model), arrays, near=0)
    parts = layouts(blueprint)
    check(to_arrays(parts, from_arrays(parts, arrays)), arrays, near=0)


def test_bfloat16_is_near(
    blueprint: Blueprint, arrays: dict, images: tf.Tensor, expected: dict
) -> None:
    found = computed(blueprint, arrays, images, precision=Precision(tf.bfloat16)).outputs
    assert {y.dtype for y in found.values()} == {tf.float32}
    check(found, expected, near=0.05)


def test_networks_of_any_size_compute_the_same(
    arrays: dict, images: tf.Tensor, expected: dict
) -> None:
    blueprint = blueprint_of_all(None)
    check(computed(blueprint, arrays, images).outputs, expected)
    model = realise(blueprint, name="any_size")
    fill_model(model, arrays)
    check(model(images, training=False), expected)


@pytest.mark.parametrize("for_conversion", [True, False])
def test_the_shipped_network_is_the_keras_model(
    blueprint: Blueprint, arrays: dict, images: tf.Tensor, expected: dict, for_conversion: bool
) -> None:
    check(graph.network(blueprint, arrays, for_conversion=for_conversion)(images), expected)


def test_a_saved_model_is_read_back(
    model: tf.keras.Model, images: tf.Tensor, expected: dict, tmp_path: Path
) -> None:
    model.save(tmp_path / "kinds.keras")
    check(read_model(tmp_path / "kinds.keras")(images), expected)


def first(outputs: dict) -> dict:
    return {name: y[:1] for name, y in outputs.items()}


def run_tflite(content: bytes, images: tf.Tensor, expected: dict) -> dict:
    """Returns the outputs of a model for the first image."""
    interpreter = tf.lite.Interpreter(model_content=content)
    names = {detail["op_name"] for detail in interpreter._get_ops_details()}
    assert not [name for name in names if name.startswith(("Flex", "CUSTOM"))]
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], images[:1])
    interpreter.invoke()
    details = interpreter.get_output_details()
    details.sort(key=lambda detail: int(detail["name"].partition(":")[2] or 0))
    found = [interpreter.get_tensor(detail["index"]) for detail in details]
    return dict(zip(sorted(expected), found, strict=True))


def test_tflite_computes_the_same(
    blueprint: Blueprint, arrays: dict, images: tf.Tensor, expected: dict
) -> None:
    found = run_tflite(lite_models.of_network(blueprint, arrays), images, expected)
    check(found, first(expected))


@pytest.mark.slow
def test_int8_is_near(
    blueprint: Blueprint, arrays: dict, images: tf.Tensor, expected: dict
) -> None:
    """Positions of a deformable convolution suffer most."""
    spec = tf.TensorSpec((1, *SIZE, 3), tf.float32)
    function = tf.function(graph.network(blueprint, arrays), autograph=False)
    concrete = function.get_concrete_function(spec)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete])
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.representative_dataset = lambda: ([image[None]] for image in images)
    with quiet.converting():
        found = run_tflite(converter.convert(), images, expected)
    for name, y in first(expected).items():
        error = np.linalg.norm(found[name] - y) / np.linalg.norm(y)
        assert error < (0.3 if name == "deformable" else 0.08), name


def test_a_saved_graph_is_read_back(
    blueprint: Blueprint, arrays: dict, images: tf.Tensor, expected: dict, tmp_path: Path
) -> None:
    function = tf.function(graph.network(blueprint, arrays, for_conversion=False), autograph=False)
    concrete = function.get_concrete_function(tf.TensorSpec((None, *SIZE, 3), tf.float32))
    tf.saved_model.save(tf.Module(), str(tmp_path), signatures={"serve": concrete})
    check(dict(read_graph(tmp_path).signatures["serve"](images)), expected)


@pytest.mark.skipif(
    not all(map(importlib.util.find_spec, ("tf2onnx", "onnxruntime"))), reason="no ONNX"
)
def test_onnx_computes_the_same(
    blueprint: Blueprint, arrays: dict, images: tf.Tensor, expected: dict
) -> None:
    import onnxruntime
    import tf2onnx

    spec = [tf.TensorSpec((1, *SIZE, 3), tf.float32, name="image")]
    function = tf.function(graph.network(blueprint, arrays), input_signature=spec, autograph=False)
    content, _ = tf2onnx.convert.from_function(function, input_signature=spec, opset=17)
    session = onnxruntime.InferenceSession(content.SerializeToString())
    found = session.run(None, {"image": images[:1].numpy()})
    names = [output.name for output in session.get_outputs()]
    check(dict(zip(names, found, strict=True)), first(expected))


def test_operations_are_read_from_their_text_and_timed(blueprint: Blueprint) -> None:
    for op in ops(blueprint):
        assert Op.parse(str(op)) == op
        assert op.work > 0
    for kind, op in {op.kind: op for op in ops(blueprint)}.items():
        interpreter = tf.lite.Interpreter(model_content=lite_models.of_op(op))
        (result,) = interpreter.get_output_details()
        assert tuple(result["shape"][1:]) == op.output, kind
