"""The network as a function of vectors is the Keras model, in both directions."""

import random

import numpy as np
import pytest
import tensorflow as tf

from nas_tf import networks, spaces
from nas_tf.genotype import Genotype
from nas_tf.networks.arrays import Layout, Slot, initial, layouts
from nas_tf.networks.draft import Draft
from nas_tf.networks.encoders import MobileNetV2
from nas_tf.networks.functional import Functional, Precision
from nas_tf.networks.keras_model import _initializer
from nas_tf.networks.state import (
    arrays_of_model,
    fill_model,
    from_arrays,
    initial_arrays,
    to_arrays,
)
from nas_tf.tasks import Restoration

SIZE, CLASSES = (65, 97), 3
ALL = frozenset({"encoder", "decoder"})
RANDOM = [(space, seed) for space in ("auxcell", "template") for seed in range(2)]


def genotypes() -> list[Genotype]:
    published = [item.genotype for item in spaces.PUBLISHED.values()]
    return published + [spaces.get(s).sample(random.Random(seed)) for s, seed in RANDOM]


def small(genotype: Genotype) -> networks.Settings:
    """Few channels; 32 groups normalise the towers of a detector."""
    width = 32 if genotype.space == "fcos" else 8
    options = {"alpha": 0.35} if spaces.get(genotype.space).taps else {}
    return networks.settings.published(genotype.space, width=width, **options)


def blueprint_of(genotype: Genotype) -> networks.Blueprint:
    settings = small(genotype)
    return networks.blueprint_of(genotype, CLASSES, input_size=SIZE, settings=settings)


def pair(genotype: Genotype) -> tuple[networks.Blueprint, tf.keras.Model, dict]:
    """A blueprint, its Keras model, and weights that both then have."""
    blueprint, arrays = weighted(genotype)
    settings = small(genotype)
    model = networks.build(genotype, CLASSES, input_size=SIZE, settings=settings)
    fill_model(model, arrays)
    return blueprint, model, arrays


def weighted(genotype: Genotype) -> tuple[networks.Blueprint, dict]:
    """A blueprint and weights for it."""
    blueprint = blueprint_of(genotype)
    arrays = initial_arrays(blueprint, seed=3)
    rng = np.random.default_rng(4)
    for (_, role), value in arrays.items():
        if role in ("mean", "beta"):
            value += rng.normal(0, 0.1, value.shape)
    return blueprint, arrays


def computed(blueprint: networks.Blueprint, arrays: dict, images: tf.Tensor, **options: object):
    precision = options.pop("precision", Precision())
    network = Functional(blueprint, precision)
    state = from_arrays(network.parts, arrays)
    return network(images, state.trainable, state.statistics, **options)


@pytest.fixture(scope="module")
def images() -> tf.Tensor:
    return tf.random.stateless_uniform((2, *SIZE, 3), (1, 2), -1, 1)


def as_dict(outputs: object) -> dict:
    return outputs if isinstance(outputs, dict) else {"logits": outputs}


@pytest.mark.sampled(3)
@pytest.mark.quick(9)
@pytest.mark.parametrize(
    "genotype", genotypes(), ids=lambda item: f"{item.space}-{item.digest[:4]}"
)
def test_equals_the_keras_model(genotype: Genotype, images: tf.Tensor) -> None:
    blueprint, model, arrays = pair(genotype)
    for layer in model.layers:
        if isinstance(layer, tf.keras.layers.Dropout):
            layer.rate = 0.0
    for training in (False, True):  # in this order: training moves the model's statistics
        expected = as_dict(model(images, training=training))
        parts = ALL & layouts(blueprint).keys() if training else frozenset()
        found = computed(blueprint, arrays, images, training=frozenset(parts))
        heads = {name: head["logits"] for name, head in found.auxiliaries.items()}
        given = {**found.outputs, **heads}
        assert given.keys() == expected.keys()
        for name, logits in expected.items():
            scale = float(tf.reduce_max(tf.abs(logits)))
            np.testing.assert_allclose(given[name], logits, atol=2e-3 * scale)


def test_batch_statistics_are_those_keras_averages(images: tf.Tensor) -> None:
    blueprint, model, arrays = pair(spaces.resolve("arch2"))
    measured = computed(blueprint, arrays, images, training=ALL).measured
    before = arrays_of_model(model)
    model(images, training=True)
    after = arrays_of_model(model)
    parts = layouts(blueprint)
    found = {
        key: value
        for part, vector in measured.items()
        for key, value in parts[part].statistics.arrays(vector.numpy()).items()
    }
    assert found.keys() == {key for key in before if key[1] in ("mean", "variance")}
    for key, value in found.items():
        momentum = model.get_layer(key[0]).momentum
        moved = momentum * before[key] + (1 - momentum) * value
        np.testing.assert_allclose(moved, after[key], rtol=1e-3, atol=1e-4)


def test_dense_separable_convolutions_are_the_same_function(images: tf.Tensor) -> None:
    blueprint, arrays = weighted(spaces.resolve("arch0"))
    plain = computed(blueprint, arrays, images).outputs
    dense = computed(blueprint, arrays, images, precision=Precision(dense=True)).outputs
    np.testing.assert_allclose(plain["logits"], dense["logits"], atol=1e-4)


@pytest.mark.parametrize("after", [{"kernel": 3}, {"stride": 2}], ids=["3x3", "stride 2"])
def test_only_pointwise_convolutions_are_made_dense(after: dict, images: tf.Tensor) -> None:
    draft = Draft(SIZE)
    x = draft.depthwise(draft.image(), "depthwise", kernel=3)
    draft.output(draft.conv(x, "conv", 4, **after), "logits")
    blueprint = draft.finish()
    arrays = initial_arrays(blueprint, seed=1)
    plain = computed(blueprint, arrays, images).outputs["logits"]
    dense = computed(blueprint, arrays, images, precision=Precision(dense=True))
    np.testing.assert_allclose(dense.outputs["logits"], plain, atol=1e-5)


@pytest.mark.parametrize(
    "precision",
    [Precision(tf.bfloat16, dense=True), Precision(tf.bfloat16, depthwise_from=5)],
    ids=["dense", "mixed"],
)
def test_bfloat16_is_near(images: tf.Tensor, precision: Precision) -> None:
    blueprint, arrays = weighted(spaces.resolve("arch0"))
    plain = computed(blueprint, arrays, images).outputs
    near = computed(blueprint, arrays, images, precision=precision).outputs
    error = tf.norm(near["logits"] - plain["logits"]) / tf.norm(plain["logits"])
    assert 0 < float(error) < 0.03


def test_weights_go_into_a_model_and_come_back() -> None:
    blueprint, model, arrays = pair(spaces.resolve("wacv-arch0"))
    back = arrays_of_model(model)
    assert back.keys() == arrays.keys()
    for key, value in arrays.items():
        np.testing.assert_array_equal(back[key], value)
    parts = layouts(blueprint)
    again = to_arrays(parts, from_arrays(parts, arrays))
    for key, value in arrays.items():
        np.testing.assert_array_equal(again[key], value)


def test_parameters_are_those_that_are_counted() -> None:
    for genotype in genotypes():
        blueprint = blueprint_of(genotype).deployed()
        held = sum(layout.trainable.size for layout in layouts(blueprint).values())
        assert held == networks.cost(blueprint).params


def test_the_decoder_alone_has_the_vectors_of_the_complete_network() -> None:
    blueprint = blueprint_of(spaces.resolve("arch1"))
    taps = MobileNetV2().tap_layers()
    assert layouts(blueprint.decoder(taps))["decoder"] == layouts(blueprint)["decoder"]
    assert list(layouts(blueprint.decoder(taps))) == ["decoder"]


def test_dropout_follows_its_seed(images: tf.Tensor) -> None:
    blueprint, arrays = weighted(spaces.resolve("dpc-top1"))

    def run(seed: list[int]) -> np.ndarray:
        outputs = computed(blueprint, arrays, images, training=ALL, seed=tf.constant(seed)).outputs
        return outputs["logits"].numpy()

    np.testing.assert_array_equal(run([1, 2]), run([1, 2]))
    assert np.abs(run([1, 2]) - run([1, 3])).max() > 0


@pytest.mark.parametrize(
    ("shape", "init"),
    [
        ((3, 3, 16, 32), "glorot_uniform"),
        ((5, 5, 64, 1), "glorot_uniform"),
        ((3, 3, 400, 1), "truncated_normal:0.33"),
        ((3, 3, 400, 1), "uniform:0.25"),
    ],
)
def test_starting_values_are_spread_as_keras_spreads_them(shape: tuple, init: str) -> None:
    values = initial(Slot("x", "kernel", shape, init), np.random.default_rng(1))
    expected = _initializer(init)(shape).numpy()
    assert values.shape == shape
    np.testing.assert_allclose(values.std(), expected.std(), rtol=0.08)
    np.testing.assert_allclose(np.abs(values).max(), np.abs(expected).max(), rtol=0.02)


@pytest.mark.parametrize("name", ["hinas-sep3x3", "hinas-conv3x3"])
def test_networks_of_restoration_start_as_the_released_code_does(name: str) -> None:
    """PyTorch draws from between plus and minus one by the root of what an output reads."""
    settings, head = networks.settings.published("restoration", width=8), Restoration().head
    blueprint = networks.blueprint_of(
        spaces.resolve(name), head, input_size=(32, 32), settings=settings
    )
    arrays = initial_arrays(blueprint, seed=1)
    layers = [layer for layer in blueprint.layers if layer.kind in ("conv", "depthwise")]
    assert {layer.kind for layer in layers} == {"conv", "depthwise"}
    for layer in layers:
        values = arrays[layer.name, "kernel"]
        read = blueprint.by_name[layer.inputs[0]].channels if layer.kind == "conv" else 1
        limit = (np.prod(layer.options["kernel"]) * read) ** -0.5
        assert np.abs(values).max() <= limit
        np.testing.assert_allclose(values.std(), limit / 3**0.5, rtol=0.2)


def test_a_layout_takes_apart_what_it_put_together() -> None:
    slots = [
        Slot("a", "kernel", (3, 3, 2, 4), "glorot_uniform"),
        Slot("b", "gamma", (4,), "ones"),
        Slot("c", "kernel", (3, 3, 2, 4), "glorot_uniform"),
        Slot("c", "bias", (4,), "zeros"),
        Slot("d", "kernel", (4,), "ones"),
    ]
    layout = Layout.of(slots)
    assert [[slot.layer for slot in group] for group in layout.groups] == [
        ["a", "c"],
        ["b", "c"],
        ["d"],
    ]
    vector = np.arange(layout.size, dtype=np.float32)
    np.testing.assert_array_equal(layout.vector(layout.arrays(vector)), vector)
