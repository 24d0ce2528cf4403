"""Every encoder against ``keras.applications``: the same counts, sizes, arrays and features."""

import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

from nas_tf import networks
from nas_tf.errors import ConfigError, WeightsError
from nas_tf.networks.arrays import layouts
from nas_tf.networks.cost import cost, layer_params
from nas_tf.networks.draft import Draft
from nas_tf.networks.encoders import ENCODERS, Encoder, ResNet
from nas_tf.networks.functional import Functional
from nas_tf.networks.keras_model import realise
from nas_tf.networks.state import Arrays, fill_model, from_arrays, initial_arrays

APPLICATIONS = {
    "mobilenet_v2": keras.applications.MobileNetV2,
    "resnet50": keras.applications.ResNet50,
    "resnet101": keras.applications.ResNet101,
    "xception": keras.applications.Xception,
}
TAPS = {
    "mobilenet_v2": ("block_2_add", "block_5_add", "block_12_add", "block_16_project_BN"),
    "resnet50": tuple(f"conv{n}_block{k}_out" for n, k in enumerate((3, 4, 6, 3), 2)),
    "xception": (
        *("block3_sepconv2_bn", "block4_sepconv2_bn", "block13_sepconv2_bn"),
        "block14_sepconv2_act",
    ),
}
COUNTS = {
    "mobilenet_v2": (2_223_872, 2_257_984),
    "resnet50": (23_534_592, 23_587_712),
    "resnet101": (42_552_832, 42_658_176),
    "xception": (20_806_952, 20_861_480),
}
EVERY = pytest.mark.parametrize("name", TAPS)


def blueprint_of(
    encoder: Encoder, size: tuple[int, int] = (97, 97), **options: Any
) -> networks.Blueprint:
    return networks.encoder_blueprint(encoder, input_size=size, **options)


def keras_input(name: str, images: tf.Tensor) -> np.ndarray:
    """Returns images in [-1, 1] as the application's own preprocessing gives them."""
    if not name.startswith("resnet"):
        return images.numpy()
    return keras.applications.resnet.preprocess_input((images.numpy() + 1) * 127.5)


@functools.cache
def reference(name: str) -> keras.Model:
    """Returns an application with random weights, whose features are of order 1.

    ResNet's blocks add little to their input, as in a trained network: otherwise the smallest
    change of an image grows by 5000.
    """
    keras.utils.set_random_seed(1)
    model = APPLICATIONS[name](input_shape=(None, None, 3), include_top=False, weights=None)
    rng = np.random.default_rng(2)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0  # statistics are then those of the next batch
            gamma, beta, *statistics = layer.get_weights()
            gamma, beta = rng.uniform(0.5, 1.5, gamma.shape), rng.uniform(-0.5, 0.5, beta.shape)
            gamma *= 0.3 if layer.name.endswith("_3_bn") else 1.0
            layer.set_weights([gamma, beta, *statistics])
        elif getattr(layer, "use_bias", False):
            kernel, bias = layer.get_weights()
            layer.set_weights([kernel, rng.uniform(-1, 1, bias.shape)])
    model(keras_input(name, pixels((97, 97), 4)), training=True)
    return model


@pytest.fixture(scope="module", autouse=True)
def release_models() -> Iterator[None]:
    """Releases the shared models after the last test of this file."""
    yield
    reference.cache_clear()


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], Path]:
    """Returns a function that saves an application's weights in one of Keras's layouts."""
    folder = tmp_path_factory.mktemp("weights")

    def save(name: str, suffix: str = ".h5") -> Path:
        path = folder / f"{name}{suffix}"
        if not path.exists():
            reference(name).save_weights(path)
        return path

    return save


def pixels(size: tuple[int, int], count: int = 1) -> tf.Tensor:
    return tf.random.stateless_uniform((count, *size, 3), (1, 2), -1.0, 1.0)


def features(blueprint: networks.Blueprint, arrays: Arrays, images: tf.Tensor) -> list[np.ndarray]:
    network = Functional(blueprint)
    state = from_arrays(network.parts, arrays)
    outputs = network(images, state.trainable, state.statistics).outputs
    return [y.numpy() for y in outputs.values()]


def check_features(found: list[np.ndarray], wanted: list[np.ndarray]) -> None:
    """Checks that features differ by less than 1e-4 of their standard deviation."""
    assert [y.shape for y in found] == [np.shape(y) for y in wanted]
    for y, other in zip(found, wanted, strict=True):
        spread = np.std(other)
        assert 0.1 < spread < 100
        assert np.abs(y - other).max() < 1e-4 * spread


@pytest.mark.parametrize("name", APPLICATIONS)
def test_it_has_the_parameters_of_the_application(name: str) -> None:
    trainable, total = COUNTS[name]
    blueprint = blueprint_of(ENCODERS[name])
    assert cost(blueprint).params_encoder == trainable - unread(name)[0]
    vectors = layouts(blueprint)["encoder"]
    assert vectors.trainable.size + vectors.statistics.size == total - unread(name)[1]
    if name in TAPS:
        model = reference(name)
        weights = [int(tf.size(weight)) for weight in model.trainable_weights]
        assert (sum(weights), model.count_params()) == COUNTS[name]


def unread(name: str) -> tuple[int, int]:
    """Returns the parameters of MobileNetV2's last convolution, which no tap reads."""
    kernel = 320 * 1280
    return (kernel + 2 * 1280, kernel + 4 * 1280) if name == "mobilenet_v2" else (0, 0)


def test_resnet_without_biases_has_the_parameters_of_the_papers() -> None:
    """The detectors freeze stem, first stage and all normalisations."""
    for stride_in in ("1x1", "3x3"):
        blueprint = blueprint_of(ResNet(stride_in=stride_in, bias=False), (224, 224))
        counts = cost(blueprint)
        assert counts.params_encoder == 25_557_032 - 2_049_000  # torchvision's, less its head
        if stride_in == "3x3":
            assert counts.madds == 4_089_184_256 - 2_048_000
        trained = [
            layer
            for layer in blueprint.layers
            if layer.kind == "conv" and layer.name.startswith(("conv3", "conv4", "conv5"))
        ]
        assert sum(layer_params(layer, blueprint.source(layer)) for layer in trained) == 23_232_512


def test_mobilenet_has_the_parameters_of_the_papers() -> None:
    """The detectors freeze stem and first block."""
    blueprint = blueprint_of(ENCODERS["mobilenet_v2"])
    trained = [layer for layer in blueprint.layers if layer.name.startswith("block_")]
    assert sum(layer_params(layer, blueprint.source(layer)) for layer in trained) == 1_809_888


@pytest.mark.quick(2)
@EVERY
@pytest.mark.parametrize("size", [(225, 225), (224, 224), (97, 97)])
def test_features_are_those_of_the_application(
    name: str, size: tuple[int, int], stored: Callable
) -> None:
    model, images = reference(name), pixels(size)
    if name == "mobilenet_v2":  # pads odd sizes in another way if it does not know them
        model = keras.applications.MobileNetV2((*size, 3), include_top=False, weights=None)
        model.set_weights(reference(name).get_weights())
    taps = keras.Model(model.input, [model.get_layer(tap).output for tap in TAPS[name]])
    wanted = taps(keras_input(name, images), training=False)
    blueprint = blueprint_of(ENCODERS[name], size)
    arrays = initial_arrays(blueprint, seed=0, weights=stored(name), encoder=ENCODERS[name])
    check_features(features(blueprint, arrays, images), [y.numpy() for y in wanted])
    assert [blueprint.output(f"tap{n}").size for n in range(4)] == [y.shape[1:3] for y in wanted]


@EVERY
def test_both_layouts_of_a_file_are_read(name: str, stored: Callable) -> None:
    blueprint, encoder = blueprint_of(ENCODERS[name]), ENCODERS[name]
    by_name, by_order = (
        initial_arrays(blueprint, seed=0, weights=stored(name, suffix), encoder=encoder)
        for suffix in (".h5", ".weights.h5")
    )
    assert by_name.keys() == by_order.keys()
    for key, value in by_name.items():
        np.testing.assert_array_equal(value, by_order[key], err_msg=str(key))


@pytest.mark.slow
@EVERY
def test_the_keras_model_is_the_function(name: str, stored: Callable) -> None:
    blueprint, encoder, images = blueprint_of(ENCODERS[name]), ENCODERS[name], pixels((97, 97))
    arrays = initial_arrays(blueprint, seed=0, weights=stored(name), encoder=encoder)
    model = realise(blueprint, name=name)
    fill_model(model, arrays)
    wanted = [y.numpy() for y in model(images, training=False).values()]
    check_features(features(blueprint, arrays, images), wanted)


def test_resnet_without_biases_has_the_features_of_a_file_with_them(stored: Callable) -> None:
    images, found = pixels((97, 97)), []
    for encoder in (ResNet(), ResNet(bias=False)):
        blueprint = blueprint_of(encoder)
        arrays = initial_arrays(blueprint, seed=0, weights=stored("resnet50"), encoder=encoder)
        found.append(features(blueprint, arrays, images))
    check_features(*found)


@pytest.mark.quick(2)
@pytest.mark.parametrize(
    ("encoder", "stride"),
    [
        *(
            (ResNet(stride_in=stride_in), stride)
            for stride_in in ("1x1", "3x3")
            for stride in (8, 16)
        ),
        (ENCODERS["xception"], 16),
    ],
    ids=str,
)
def test_dilated_features_agree_with_the_strided_ones_on_their_grid(
    encoder: Encoder, stride: int, stored: Callable
) -> None:
    """At such sizes ``same`` padding is symmetric, so the same pixels are read."""
    size = (135, 135) if encoder.name == "xception" else (129, 129)
    images, found = pixels(size), []
    for output_stride in (32, stride):
        blueprint = blueprint_of(encoder, size, output_stride=output_stride)
        weights = stored(encoder.name)
        arrays = initial_arrays(blueprint, seed=0, weights=weights, encoder=encoder)
        found.append(features(blueprint, arrays, images))
    steps = [max(1, nominal // stride) for nominal in encoder.strides]
    on_grid = [y[:, ::step, ::step] for y, step in zip(found[1], steps, strict=True)]
    check_features(on_grid, found[0])


@EVERY
def test_only_the_layers_that_are_asked_for_are_added(name: str) -> None:
    encoder = ENCODERS[name]
    assert encoder.tap_layers() == TAPS[name]
    (fine,) = encoder.add(Draft((64, 64)), (4,))
    assert (fine.name, fine.stride) == (TAPS[name][0], 4)
    draft = Draft((64, 64))
    coarse, middle = encoder.add(draft, (16, 8))
    assert (coarse.name, middle.name) == (TAPS[name][2], TAPS[name][1])
    assert TAPS[name][3] not in draft.finish().by_name


def test_weights_of_another_encoder_are_refused(stored: Callable) -> None:
    path, encoder = stored("xception"), ENCODERS["resnet50"]
    with pytest.raises(WeightsError) as caught:
        initial_arrays(blueprint_of(encoder), seed=0, weights=path, encoder=encoder)
    assert str(caught.value) == f"weights {path}: they are of xception, expected those of resnet50"


@pytest.mark.parametrize(
    ("name", "member"),
    [
        ("resnet50", "conv4_block2_1_bn/conv4_block2_1_bn/beta:0"),
        ("xception", "block9_sepconv2/block9_sepconv2/pointwise_kernel:0"),
    ],
)
def test_weights_that_are_not_finite_are_refused(
    name: str, member: str, stored: Callable, tmp_path: Path
) -> None:
    path, encoder = tmp_path / "poisoned.h5", ENCODERS[name]
    path.write_bytes(stored(name).read_bytes())
    with h5py.File(path, "r+") as file:
        file[member][(0,) * file[member].ndim] = np.nan
    wanted = member.partition("/")[0] + (".pointwise" if name == "xception" else "")
    message = rf"^weights {path}: layer {wanted} holds NaN or infinite values"
    with pytest.raises(WeightsError, match=message):
        initial_arrays(blueprint_of(encoder), seed=0, weights=path, encoder=encoder)


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"depth": 34}, "depth is 34, expected one of (50, 101)"),
        ({"stride_in": "2x2"}, "stride_in is '2x2', expected one of ('1x1', '3x3')"),
    ],
)
def test_a_resnet_that_is_not_there_is_refused(options: dict[str, Any], line: str) -> None:
    with pytest.raises(ConfigError) as caught:
        ResNet(**options)
    assert str(caught.value) == line


def test_a_stride_in_the_3x3_has_no_released_weights() -> None:
    assert ResNet(stride_in="3x3").released() is None
    for name, encoder in ENCODERS.items():
        assert name == encoder.name
        assert encoder.released().url.startswith("https://storage.googleapis.com/tensorflow/")
