"""Fine-tuning for 8 bits and for smaller files, on networks that learn their own answers."""

import gzip

import numpy as np
import pytest
import tensorflow as tf

from nas_tf import quiet
from nas_tf.errors import EnvironmentFault, TrainingError
from serving import compress, graph, images, lite_runner, tflite
from serving.compress import FineTuning
from serving.fused_model import FusedModel
from serving.shipment import Shipment
from tests.sampling import IS_WHOLE
from tests.serving.shipped import CLASSES, SIZE, SPACES, detector, pictures, shipment


def logits_of(network: Shipment, pixels: np.ndarray) -> np.ndarray:
    function = graph.network(network.blueprint, network.arrays)
    return function(images.normalised(pixels))["logits"].numpy()


def lesson(network: Shipment, count: int = 16) -> tf.data.Dataset:
    """Pictures with the network's own predictions as labels."""
    pixels = pictures(count)
    labels = tf.argmax(tf.image.resize(logits_of(network, pixels), SIZE), -1, output_type=tf.int32)
    seen = tf.data.Dataset.from_tensor_slices((images.normalised(pixels), labels))
    return seen.repeat().batch(4)


@pytest.mark.sampled(4)
@pytest.mark.quick(4)
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("space", SPACES)
def test_the_fused_model_is_the_network_and_its_weights_go_back(space: str, seed: int) -> None:
    first = shipment(space, seed=seed)
    fused = FusedModel(first)
    pixels = pictures()
    expected = logits_of(first, pixels)
    np.testing.assert_allclose(
        fused.keras(images.normalised(pixels)), expected, rtol=1e-4, atol=1e-5
    )
    weights = {layer.name: layer.get_weights() for layer in fused.keras.layers if layer.weights}
    halved = {name: [0.5 * value for value in values] for name, values in weights.items()}
    other = FusedModel(first)
    arrays = fused.arrays(halved)
    assert arrays.keys() == first.arrays.keys()
    other.fill(arrays)
    for layer in other.keras.layers:
        if layer.weights:
            for value, wanted in zip(layer.get_weights(), halved[layer.name], strict=True):
                np.testing.assert_allclose(value, wanted, rtol=1e-5, atol=1e-7)


def int8_logits_of(network: Shipment, pixels: np.ndarray) -> np.ndarray:
    """Returns the logits of TFLite's int8, before anything is decoded from them."""
    function = graph.network(network.blueprint, network.arrays)
    run = tf.function(lambda image: function(images.normalised(image))["logits"], autograph=False)
    concrete = run.get_concrete_function(tf.TensorSpec((1, *SIZE, 3), tf.float32))
    converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete])
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.representative_dataset = lambda: ([pixel[None].astype("f4")] for pixel in pixels)
    with quiet.converting():
        interpreter = tf.lite.Interpreter(model_content=converter.convert())
        interpreter.allocate_tensors()
    (given,), (out,) = interpreter.get_input_details(), interpreter.get_output_details()
    found = []
    for image in pixels:
        interpreter.set_tensor(given["index"], image[None].astype("f4"))
        interpreter.invoke()
        found.append(interpreter.get_tensor(out["index"])[0])
    return np.stack(found)


@pytest.mark.slow
@pytest.mark.parametrize("space", SPACES)
def test_it_is_rounded_in_training_as_much_as_tflite_rounds_it(space: str) -> None:
    """As much and not alike: halves in the image are rounded up here and down there."""
    from serving import fake_quantised

    item, pixels = shipment(space, seed=1), pictures(16)
    seen = images.normalised(pixels)
    rounded = fake_quantised.model(FusedModel(item), [seen])(seen, training=True).numpy()
    exact, lite = logits_of(item, pixels), int8_logits_of(item, pixels)

    def off(a: np.ndarray, b: np.ndarray) -> float:
        return float(np.sqrt(((a - b) ** 2).mean()))

    assert 0.7 < off(rounded, exact) / off(lite, exact) < 1.4
    if space == "dpc":  # the shallowest: what follows of those halves is small
        assert off(rounded, lite) < 0.5 * off(exact, lite)


def mask_of(logits: np.ndarray) -> np.ndarray:
    return tf.argmax(tf.image.resize(logits, SIZE), -1).numpy()


@pytest.mark.slow
def test_what_is_learnt_under_rounding_is_there_in_int8() -> None:
    item, losses = shipment(seed=1), []
    stream = lesson(item).map(lambda seen, labels: (seen, (labels + 1) % len(CLASSES)))
    tuning = FineTuning(stream, steps=30, rate=1e-3, on_step=lambda _, loss: losses.append(loss))
    after = compress.quantised(item, tuning)
    assert len(losses) == 30
    assert losses[-1] < losses[0]
    pixels = pictures(16)
    labels = (mask_of(logits_of(item, pixels)) + 1) % len(CLASSES)
    agreed = []
    for network in (item, after):
        lite = lite_runner.LiteModel(tflite.convert(network, "int8", list(pixels)))
        agreed.append((lite(pixels)["mask"] == labels).mean())
    assert agreed[0] < 0.1
    assert agreed[1] > 0.5
    assert after.facts["compressed"] == [{"kind": "quantised", "steps": 30, "rate": 1e-3}]


@pytest.mark.slow
def test_pruning_leaves_zeros_that_pack() -> None:
    item = shipment("dpc")
    after = compress.pruned(item, FineTuning(lesson(item), steps=12), sparsity=0.6)
    assert compress.zeros(item) == 0
    assert compress.zeros(after) == pytest.approx(0.6, abs=0.01)
    depthwise = [layer.name for layer in after.shipped.layers if layer.kind == "depthwise"]
    assert all((after.arrays[name, "kernel"] != 0).all() for name in depthwise)
    packed = [len(gzip.compress(tflite.convert(network, "fp32"))) for network in (item, after)]
    assert packed[1] < 0.65 * packed[0]


@pytest.mark.slow
def test_clustering_leaves_few_values_that_pack() -> None:
    item = shipment("dpc")
    after = compress.clustered(item, FineTuning(lesson(item), steps=6), clusters=8)
    assert compress.distinct(item) > 1000
    assert compress.distinct(after) == 8
    packed = [len(gzip.compress(tflite.convert(network, "fp32"))) for network in (item, after)]
    assert packed[1] < 0.4 * packed[0]


@pytest.mark.slow
def test_a_detector_learns_by_the_loss_of_all_its_outputs() -> None:
    item, losses = detector(), []
    box = np.array([[[8, 8, 56, 56, 1]]], np.float32).repeat(8, 0)
    seen = images.normalised(pictures(8)), item.task.encode(box, SIZE)
    tuning = FineTuning(
        tf.data.Dataset.from_tensor_slices(seen).repeat().batch(4),
        steps=3,
        rate=1e-3,
        on_step=lambda _, loss: losses.append(loss),
    )
    ways = [compress.quantised(item, tuning)]
    if IS_WHOLE:
        ways.append(compress.clustered(item, tuning, clusters=8))
    for after in ways:
        changed = {layer for layer, role in item.arrays if role == "kernel"} - {
            layer
            for (layer, role), value in after.arrays.items()
            if role == "kernel" and np.array_equal(value, item.arrays[layer, role])
        }
        predictors = {f"head.p3.{name}.predictor" for name in ("classes", "boxes", "centerness")}
        assert changed >= predictors, after.facts["compressed"]
    assert len(losses) == 3 * len(ways)
    assert all(losses[n + 2] < losses[n] for n in range(0, len(losses), 3))
    assert not IS_WHOLE or compress.distinct(after) == 8


@pytest.mark.slow
def test_a_rate_too_high_is_reported() -> None:
    item = shipment("dpc")
    with pytest.raises(TrainingError, match=r"expected a learning rate below 1e\+38"):
        compress.clustered(item, FineTuning(lesson(item), steps=9, rate=1e38), clusters=8)


def test_another_keras_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TF_USE_LEGACY_KERAS", "1")
    item = shipment()
    with pytest.raises(EnvironmentFault, match="TF_USE_LEGACY_KERAS is set"):
        compress.pruned(item, FineTuning(lesson(item)), sparsity=0.5)
