"""Keras models against their blueprints, and against an evaluation by hand."""

import functools
import importlib
import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from nas_tf import networks, spaces
from nas_tf.genotype import Genotype
from nas_tf.networks import Settings
from nas_tf.networks.draft import Draft
from nas_tf.networks.encoders import MobileNetV2
from nas_tf.networks.keras_model import realise
from nas_tf.spaces.auxcell import OPS, AuxCellDesign
from tests.sampling import times

SMALL = {"auxcell": Settings(width=8, sep_repeats=2, alpha=0.35)}
SMALL["template"] = Settings(width=8, sep_repeats=2, alpha=0.35, auxiliary="none")
SMALL |= dict.fromkeys(("dpc", "restoration", "baseline"), SMALL["template"])
SMALL["fcos"] = Settings(width=32, alpha=0.35, auxiliary="none")


def genotypes() -> list[Genotype]:
    rng = random.Random(7)
    found = [entry.genotype for entry in spaces.PUBLISHED.values()]
    return found + [spaces.get(name).sample(rng) for name in spaces.SPACES for _ in range(2)]


@functools.cache
def built(name: str, size: tuple[int, int] | None = None) -> tf.keras.Model:
    """Returns a published network with random weights, shared by tests that do not change it."""
    tf.keras.utils.set_random_seed(3)
    genotype = spaces.resolve(name)
    return networks.build(genotype, 4, input_size=size, settings=SMALL[genotype.space])


@pytest.fixture(scope="module", autouse=True)
def release_networks() -> Iterator[None]:
    """Releases the shared networks after the last test of this file."""
    yield
    built.cache_clear()


def outputs(model: tf.keras.Model, image: tf.Tensor) -> list[np.ndarray]:
    result = model(image, training=False)
    return [out.numpy() for out in (result.values() if isinstance(result, dict) else [result])]


@pytest.mark.sampled(3)
@pytest.mark.quick(9)
@pytest.mark.parametrize("genotype", genotypes(), ids=str)
def test_model_and_blueprint_agree(genotype: Genotype) -> None:
    settings = SMALL[genotype.space]
    model = networks.build(genotype, 3, input_size=(97, 65), settings=settings)
    blueprint = networks.blueprint_of(genotype, 3, input_size=(97, 65), settings=settings).live()
    counted = networks.cost(blueprint)
    trainable = sum(int(np.prod(w.shape)) for w in model.trainable_weights)
    assert trainable == counted.params + counted.params_aux
    for layer in model.layers:
        blueprint_layer = blueprint.by_name[layer.name]
        shape = layer.get_output_shape_at(0)  # a shared layer has several, its own first
        shape = shape[0] if isinstance(shape, list) else shape
        assert shape == (None, *blueprint_layer.size, blueprint_layer.channels), layer.name
    kinds = {type(layer).__name__ for layer in model.layers}
    assert not kinds & {"Lambda", "Functional", "Resizing", "Rescaling", "Multiply"}
    assert not [name for name in kinds if name.endswith("OpLambda")]
    sums = [layer for layer in model.layers if "Add" in type(layer).__name__]
    assert all(len(layer.get_input_at(0)) == 2 for layer in sums)


@pytest.mark.slow
@pytest.mark.sampled(3)
@pytest.mark.parametrize("name", ["aspp", "arch0", "wacv-arch0", "arch2", "wacv-arch1"])
@pytest.mark.parametrize("size", [(64, 96), (75, 97)])
def test_fixed_and_dynamic_models_agree(name: str, size: tuple[int, int]) -> None:
    genotype = spaces.resolve(name)
    dynamic = built(name)
    fixed = networks.build(genotype, 4, input_size=size, settings=SMALL[genotype.space])
    assert networks.copy_weights(dynamic, fixed) == []
    image = tf.random.stateless_uniform((2, *size, 3), (5, 6), -1.0, 1.0)
    for first, other in zip(outputs(dynamic, image), outputs(fixed, image), strict=True):
        np.testing.assert_allclose(first, other, rtol=1e-4, atol=1e-5)


def test_a_genotype_may_be_named_or_written_as_brackets(monkeypatch: pytest.MonkeyPatch) -> None:
    module = importlib.import_module("nas_tf.networks.models")
    monkeypatch.setattr(module, "realise", lambda blueprint, name: name)
    genotype = spaces.resolve("arch0")
    for given in ("arch0", genotype.parts):
        assert networks.build(given, 11) == f"auxcell_{genotype.digest}"
        assert networks.build_decoder(given, 11) == f"auxcell_{genotype.digest}_decoder"


@pytest.mark.slow
def test_weights_move_to_a_model_without_auxiliaries() -> None:
    arch0 = spaces.resolve("arch0")
    training = built("arch0")
    deployed = networks.build(
        arch0, 4, input_size=(64, 64), settings=Settings(width=8, alpha=0.35, auxiliary="none")
    )
    assert networks.copy_weights(training, deployed) == []
    assert [n for n in networks.copy_weights(deployed, training) if not n.startswith("aux")] == []
    image = tf.random.stateless_uniform((1, 64, 64, 3), (5, 6), -1.0, 1.0)
    logits = training(image, training=False)["logits"]
    np.testing.assert_allclose(logits, deployed(image, training=False), rtol=1e-4, atol=1e-5)


@pytest.mark.sampled(2)
@pytest.mark.parametrize(
    "name",
    ["aspp", *(pytest.param(name, marks=pytest.mark.slow) for name in ("arch0", "wacv-arch1"))],
)
@pytest.mark.parametrize("input_size", [(65, 97), pytest.param(None, marks=pytest.mark.slow)])
def test_a_saved_model_loads_by_itself(
    name: str, input_size: tuple[int, int] | None, tmp_path: Path
) -> None:
    model = built(name, input_size)
    model.save(tmp_path / "model.keras")
    again = tf.keras.models.load_model(tmp_path / "model.keras")
    image = tf.random.stateless_uniform((1, 65, 97, 3), (5, 6), -1.0, 1.0)
    for first, other in zip(outputs(model, image), outputs(again, image), strict=True):
        np.testing.assert_array_equal(first, other)


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_gives_single_precision_outputs(policy: str) -> None:
    tf.keras.mixed_precision.set_global_policy(policy)
    try:
        for name in ("arch1", "wacv-arch1", "aspp"):
            genotype = spaces.resolve(name)
            model = networks.build(genotype, 3, settings=SMALL[genotype.space])
            image = tf.random.stateless_uniform((1, 65, 65, 3), (5, 6), -1.0, 1.0)
            for out in outputs(model, image):
                assert out.dtype == np.float32
                assert np.isfinite(out).all()
    finally:
        tf.keras.mixed_precision.set_global_policy("float32")


def test_strided_dilation_equals_dilation_then_every_second_pixel() -> None:
    """TensorFlow cannot do both at once; the detour must not change the numbers."""
    size = (33, 47)
    draft = Draft(size)
    x = draft.depthwise(draft.image(), "op", kernel=5, stride=2, rate=(6, 6))
    draft.output(x, "logits")
    model = realise(draft.finish(), name="strided")
    image = tf.random.stateless_normal((1, *size, 3), (1, 2))
    kernel = model.get_layer("op").depthwise_kernel
    dilated = tf.nn.depthwise_conv2d(image, kernel, [1, 1, 1, 1], "SAME", dilations=[6, 6])
    np.testing.assert_allclose(model(image), dilated[:, ::2, ::2], rtol=1e-5, atol=1e-5)


def test_dpc_operators_by_hand() -> None:
    """Unequal rates against a kernel with explicit zeros; the pooled branch is a constant."""
    genotype = spaces.DPCSpace(branches=2).parse([[0, "sep3x3_3x6"], [0, "pool_1x1"]])
    settings = Settings(width=4, alpha=0.35, auxiliary="none")
    model = networks.build(genotype, 2, input_size=(129, 129), settings=settings)
    parts = ("block_16_project_BN", "branch1.sep3x3_3x6.depthwise", "branch2.pool_1x1.resize")
    features, depthwise, pooled = tf.keras.Model(
        model.input, [model.get_layer(name).output for name in parts]
    )(tf.random.stateless_normal((1, 129, 129, 3), (1, 2)))
    kernel = model.get_layer(parts[1]).depthwise_kernel.numpy()
    stuffed = np.zeros((7, 13, *kernel.shape[2:]), np.float32)
    stuffed[::3, ::6] = kernel
    expected = tf.nn.depthwise_conv2d(features, stuffed, [1, 1, 1, 1], "SAME")
    np.testing.assert_allclose(depthwise, expected, rtol=1e-4, atol=1e-5)
    assert pooled.shape == (1, 9, 9, 4)
    np.testing.assert_array_equal(pooled, pooled[:, :1, :1] * np.ones((1, 9, 9, 1)))


class ByHand:
    """An auxiliary-cell network evaluated from its brackets with the layers of a model."""

    def __init__(self, model: tf.keras.Model, design: AuxCellDesign) -> None:
        self.design = design
        self.layers = {layer.name: layer for layer in model.layers}

    def layer(self, name: str, x: tf.Tensor) -> tf.Tensor:
        """Layers that nothing but ``zero`` reads are not built; their value does not matter."""
        return self.layers[name](x) if name in self.layers else x

    def conv(self, name: str, x: tf.Tensor) -> tf.Tensor:
        return tf.nn.relu(self.layer(f"{name}.bn", self.layer(f"{name}.conv", x)))

    def op(self, number: int, place: str, x: tf.Tensor) -> tf.Tensor:
        op = OPS[number]
        name = f"{place}.{op}"
        if op == "skip":
            return x
        if op == "zero":
            return tf.zeros_like(x)
        if op == "gap":
            mean = tf.reduce_mean(x, [1, 2], keepdims=True)
            return tf.broadcast_to(self.conv(name, mean), x.shape)
        if op.startswith("conv"):
            return self.conv(name, x)
        for unit in (1, 2):
            x = self.layer(f"{name}.unit{unit}.depthwise", x)
            x = self.layer(f"{name}.unit{unit}.pointwise", x)
            x = tf.nn.relu(self.layer(f"{name}.unit{unit}.bn", x))
        return x

    def cell(self, place: str, x: tf.Tensor) -> tf.Tensor:
        values = [x, self.op(self.design.first_op, f"{place}.op1", x)]
        read = set()
        for b, (i, j, first, second) in enumerate(self.design.branches, 1):
            left = self.op(first, f"{place}.branch{b}.left", values[i])
            right = self.op(second, f"{place}.branch{b}.right", values[j])
            read |= {i, j}
            values += [left, right, left + right]
        return tf.add_n([values[n] for n in (1, 4, 7, 10) if n not in read])

    def logits(self, taps: list[tf.Tensor]) -> tf.Tensor:
        pool = [
            self.conv(f"tap{n}.adapter", tap) if self.reads(n) else None
            for n, tap in enumerate(taps)
        ]
        for k, (i, j) in enumerate(self.design.blocks, 1):
            sides = [
                self.conv(f"block{k}.{side}.join", self.cell(f"block{k}.{side}", pool[n]))
                for side, n in (("left", i), ("right", j))
            ]
            size = max(tuple(side.shape[1:3]) for side in sides)
            pool.append(tf.add_n([tf.image.resize(side, size) for side in sides]))
        loose = [pool[4 + k] for k in range(3) if not self.reads(4 + k)]
        size = max(tuple(x.shape[1:3]) for x in loose)
        joined = tf.nn.relu(tf.concat([tf.image.resize(x, size) for x in loose], -1))
        return self.layer("output.classifier", self.conv("output.pre", joined))

    def reads(self, layer: int) -> bool:
        return any(layer in block for block in self.design.blocks)


@pytest.mark.quick(6)
@pytest.mark.parametrize("seed", range(6))
def test_auxcell_networks_compute_what_their_brackets_say(seed: int) -> None:
    space = spaces.get("auxcell")
    genotype = space.sample(random.Random(seed)) if seed else spaces.resolve("arch0")
    settings = Settings(width=8, alpha=0.35, auxiliary="none")
    tf.keras.utils.set_random_seed(seed)
    model = networks.build(genotype, 3, input_size=(65, 97), settings=settings)
    rng = np.random.default_rng(seed)
    for layer in model.layers:
        if isinstance(layer, tf.keras.layers.BatchNormalization):
            layer.set_weights([rng.uniform(0.5, 1.5, w.shape) for w in layer.get_weights()])
    image = tf.random.stateless_uniform((2, 65, 97, 3), (5, 6), -1.0, 1.0)
    names = ("block_2_add", "block_5_add", "block_12_add", "block_16_project_BN")
    present = {layer.name for layer in model.layers}
    deepest = [name for name in names if name in present]
    taps = tf.keras.Model(model.input, [model.get_layer(name).output for name in deepest])(image)
    taps = [*(taps if isinstance(taps, list) else [taps]), None, None, None]
    expected = ByHand(model, AuxCellDesign.of(genotype)).logits(taps[:4])
    np.testing.assert_allclose(model(image, training=False), expected, rtol=2e-3, atol=1e-3)


@pytest.mark.slow
@pytest.mark.sampled(7)
@pytest.mark.parametrize("space", spaces.SPACES)
@pytest.mark.parametrize("tenth", range(10))
def test_random_genotypes_run_and_have_finite_gradients(space: str, tenth: int) -> None:
    """300 genotypes a space, few in the sample, at an odd size, with auxiliaries."""
    rng = random.Random(f"{space}{tenth}")
    image = tf.random.stateless_uniform((2, 65, 49, 3), (1, tenth), -1.0, 1.0)
    for _ in range(times(30, 3)):
        tf.keras.backend.clear_session()
        genotype = spaces.get(space).sample(rng)
        settings = Settings(width=8, sep_repeats=1, alpha=0.35)
        if space == "fcos":  # 32 groups normalise its towers
            settings = SMALL[space]
        model = networks.build(genotype, 3, input_size=(65, 49), settings=settings)
        with tf.GradientTape() as tape:
            result = model(image, training=True)
            found = list(result.values()) if isinstance(result, dict) else [result]
            loss = tf.add_n([tf.reduce_mean(tf.square(out)) for out in found])
        for variable, gradient in zip(
            model.trainable_weights, tape.gradient(loss, model.trainable_weights), strict=True
        ):
            assert gradient is not None, (str(genotype), variable.name)
            assert np.isfinite(gradient).all(), (str(genotype), variable.name)


@pytest.mark.sampled(3)
@pytest.mark.quick(9)
@pytest.mark.parametrize("name", ["dpc-top1", "arch0", "wacv-arch0", "arch1"])
@pytest.mark.parametrize("input_size", [(65, 97), None])
def test_a_decoder_on_its_taps_is_the_rest_of_the_network(
    name: str, input_size: tuple[int, int] | None
) -> None:
    genotype = spaces.resolve(name)
    settings = SMALL[genotype.space]
    network = built(name, input_size)
    decoder = networks.build_decoder(genotype, 4, input_size=input_size, settings=settings)
    assert networks.copy_weights(network, decoder) == []
    image = tf.random.stateless_uniform((2, 65, 97, 3), (5, 6), -1.0, 1.0)
    layers = {layer.name for layer in network.layers}
    tap_layers = MobileNetV2().tap_layers()
    taps = [network.get_layer(layer).output for layer in tap_layers if layer in layers]
    values = tf.keras.Model(network.input, taps)(image, training=False)
    names = [f"tap{n}" for n, layer in enumerate(tap_layers) if layer in layers]
    given = dict(zip(names, values if len(names) > 1 else [values], strict=True))
    read = {name: given[name] for name in decoder.input_names}
    inputs = read if len(read) > 1 else next(iter(read.values()))
    for first, other in zip(outputs(network, image), outputs(decoder, inputs), strict=True):
        np.testing.assert_allclose(first, other, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_a_decoder_takes_only_the_taps_that_are_read() -> None:
    decoder = networks.build_decoder(spaces.resolve("arch0"), 4, settings=SMALL["auxcell"])
    assert decoder.input_names == ["tap0", "tap2", "tap3"]
