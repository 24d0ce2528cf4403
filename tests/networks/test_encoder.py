"""The encoder against ``keras.applications``: same numbers from the same weights."""

import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
import tensorflow as tf

from nas_tf import networks
from nas_tf.data import scenes
from nas_tf.errors import ConfigError, EnvironmentFault, WeightsError
from nas_tf.networks import weights
from nas_tf.networks.encoders import DRAWN, ENCODERS
from nas_tf.networks.weights import read_encoder

SOURCE = Path(__file__).parents[2]
TAPS = ("block_2_add", "block_5_add", "block_12_add", "block_16_project_BN")


def reference(alpha: float, size: tuple[int, int] = (96, 96)) -> tf.keras.Model:
    tf.keras.utils.set_random_seed(1)
    model = tf.keras.applications.MobileNetV2(
        input_shape=(*size, 3), alpha=alpha, include_top=False, weights=None
    )
    for layer in model.layers:  # statistics that a mix-up of layers or epsilon would show
        if isinstance(layer, tf.keras.layers.BatchNormalization):
            shape = layer.gamma.shape
            rng = np.random.RandomState(len(layer.name))
            layer.set_weights([rng.uniform(0.5, 1.5, shape) for _ in range(4)])
    return model


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of alpha 0.35 as Keras saves them, which tests copy to change them."""
    path = tmp_path_factory.mktemp("weights") / "narrow.h5"
    reference(0.35).save_weights(path)
    return path


@pytest.mark.quick(3)
@pytest.mark.parametrize("alpha", [0.35, 1.0])
@pytest.mark.parametrize("size", [(96, 64), (97, 75)])
@pytest.mark.parametrize("suffix", [".weights.h5", ".h5"])
def test_taps_equal_those_of_keras(
    alpha: float, size: tuple[int, int], suffix: str, tmp_path: Path
) -> None:
    model = reference(alpha, size)
    model.save_weights(tmp_path / f"mobilenet{suffix}")
    taps = tf.keras.Model(model.input, [model.get_layer(name).output for name in TAPS])
    image = tf.random.stateless_uniform((2, *size, 3), (1, 2), -1.0, 1.0)
    expected = taps(image, training=False)
    for input_size in (size, None):
        encoder = networks.encoder(
            alpha=alpha, input_size=input_size, weights=tmp_path / f"mobilenet{suffix}"
        )
        given = encoder(image, training=False)
        assert list(given) == ["tap0", "tap1", "tap2", "tap3"]
        for tap, wanted in zip(given.values(), expected, strict=True):
            np.testing.assert_allclose(tap, wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("stride", "sizes"), [(16, [17, 9, 5, 5]), (8, [17, 9, 9, 9])])
def test_output_stride_keeps_the_size_and_the_receptive_field(
    stride: int, sizes: list[int]
) -> None:
    blueprint = networks.encoder_blueprint(input_size=(65, 65), output_stride=stride)
    assert [blueprint.output(f"tap{n}").size[0] for n in range(4)] == sizes
    fields = [
        networks.cost(
            networks.Blueprint(item.layers, {"logits": item.outputs["tap3"]}, (65, 65), False)
        ).receptive_field
        for item in (blueprint, networks.encoder_blueprint(input_size=(65, 65)))
    ]
    assert fields[0] == fields[1]


def test_dilated_encoder_agrees_with_the_strided_one_on_its_grid(narrow: Path) -> None:
    """At odd sizes ``same`` padding is symmetric, so the sampled pixels coincide."""
    image = tf.random.stateless_uniform((1, 129, 129, 3), (3, 4), -1.0, 1.0)
    strided = networks.encoder(alpha=0.35, weights=narrow)(image, training=False)["tap3"]
    dilated = networks.encoder(alpha=0.35, weights=narrow, output_stride=16)
    same_grid = dilated(image, training=False)["tap3"][:, ::2, ::2]
    np.testing.assert_allclose(strided, same_grid, rtol=1e-4, atol=1e-4)


def test_weights_of_another_width_are_refused(narrow: Path) -> None:
    with pytest.raises(WeightsError) as caught:
        networks.encoder(alpha=1.0, weights=narrow)
    assert str(caught.value) == (
        f"weights {narrow}: layer Conv1 has shapes [(3, 3, 3, 16)], expected [(3, 3, 3, 32)] of "
        "mobilenet_v2 of alpha 1.0"
    )


def test_weights_of_another_encoder_are_named(tmp_path: Path) -> None:
    model = reference(1.0)
    for suffix in (".weights.h5", ".h5"):
        path = tmp_path / f"small{suffix}"
        model.save_weights(path)
        with pytest.raises(WeightsError) as caught:
            networks.encoder(ENCODERS["resnet50"], strides=(4,), weights=path)
        line = "they are of mobilenet_v2 of alpha 1.0, expected those of resnet50"
        assert str(caught.value) == f"weights {path}: {line}"
    with h5py.File(path, "w"):
        pass
    with pytest.raises(WeightsError, match=r"layer .* has shapes none, expected .* of resnet50$"):
        networks.encoder(ENCODERS["resnet50"], strides=(4,), weights=path)


@pytest.mark.parametrize("after", [False, True], ids=["within", "after"])
def test_more_layers_are_refused_unless_they_come_last(
    after: bool, narrow: Path, tmp_path: Path
) -> None:
    """Heads come last; a layer before others means that the file is of a deeper encoder."""
    path = Path(shutil.copy(narrow, tmp_path / "deeper.h5"))
    with h5py.File(path, "r+") as file:
        names = list(file.attrs["layer_names"])
        names.insert(len(names) if after else names.index("block_16_project"), "more")
        file.attrs["layer_names"] = names
        group = file.create_group("more")
        group.attrs["weight_names"] = ["kernel"]
        group["kernel"] = np.zeros(3)
    if after:
        networks.encoder(alpha=0.35, weights=path)
        return
    with pytest.raises(WeightsError) as caught:
        networks.encoder(alpha=0.35, weights=path)
    assert str(caught.value) == (
        f"weights {path}: layer more comes before the last one, expected only layers of "
        "mobilenet_v2 of alpha 0.35"
    )


def test_files_that_are_no_weights_are_refused(tmp_path: Path) -> None:
    wanted = "expected weights of mobilenet_v2 of alpha 1.0 as Keras saves them"
    with pytest.raises(WeightsError, match=f"absent.h5: no such file, {wanted}$"):
        networks.encoder(weights=tmp_path / "absent.h5")
    (tmp_path / "text.h5").write_text("weights")
    with pytest.raises(WeightsError, match=f"text.h5: not an HDF5 file, {wanted}$"):
        networks.encoder(weights=tmp_path / "text.h5")
    with h5py.File(tmp_path / "empty.h5", "w"):
        pass
    with pytest.raises(WeightsError, match=r"layer Conv1 has shapes none, expected"):
        networks.encoder(weights=tmp_path / "empty.h5")


@pytest.mark.parametrize("value", [np.nan, -np.inf])
def test_weights_that_are_not_finite_are_refused(
    narrow: Path, tmp_path: Path, value: float
) -> None:
    path = Path(shutil.copy(narrow, tmp_path / "poisoned.h5"))
    blueprint = networks.encoder_blueprint(DRAWN)
    assert read_encoder(blueprint, path, DRAWN)
    with h5py.File(path, "r+") as file:
        file["block_3_expand_BN/block_3_expand_BN/moving_variance:0"][7] = value
    message = rf"weights {path}: layer block_3_expand_BN holds NaN or infinite values"
    with pytest.raises(WeightsError, match=message):
        read_encoder(blueprint, path, DRAWN)


def test_imagenet_weights_come_from_the_data_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = reference(0.35)
    (tmp_path / "weights").mkdir()
    model.save_weights(tmp_path / "weights" / "mobilenet_v2_0.35_imagenet_no_top.weights.h5")
    monkeypatch.setenv("NAS_TF_DATA", str(tmp_path))
    encoder = networks.encoder(alpha=0.35, weights="imagenet")
    for layer in encoder.layers:
        for given, expected in zip(
            layer.get_weights(),
            model.get_layer(layer.name).get_weights() if layer.weights else [],
            strict=True,
        ):
            np.testing.assert_array_equal(given, expected)


def test_absent_imagenet_weights_are_reported_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NAS_TF_DATA", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("nas_tf.networks.encoders.mobilenet_v2._RELEASE", "http://127.0.0.1:9/")
    with pytest.raises(EnvironmentFault) as caught:
        networks.encoder(alpha=0.5, weights="imagenet")
    text = str(caught.value)
    assert text.startswith("ImageNet weights are not on this machine and cannot be downloaded (")
    assert text.endswith(
        "): save http://127.0.0.1:9/mobilenet_v2_weights_tf_dim_ordering_tf_kernels_0.5_224_no_top"
        ".h5 as $NAS_TF_DATA/weights/mobilenet_v2_0.5_imagenet_no_top.weights.h5, or choose "
        "network.weights=drawn with network.encoder=mobilenet_v2 and network.alpha=0.35, trained "
        "on drawn scenes, or network.weights=null, which is random"
    )


def linear_accuracy(weights: str | None) -> float:
    """Returns the share of object pixels that a linear map of the third tap gets right."""
    tf.keras.utils.set_random_seed(1)
    model = networks.encoder(alpha=0.35, input_size=(128, 128), weights=weights)
    rendered = [scenes.render_scene((1, number)) for number in range(24)]
    images = np.stack([item["image"] for item in rendered]).astype(np.float32) / 127.5 - 1
    tap = model(images, training=False)["tap2"].numpy()
    labels = np.stack([item["label"][8::16, 8::16] for item in rendered])
    objects = (labels > 0) & (labels != scenes.IGNORE)
    train, test = objects.copy(), objects.copy()
    train[16:], test[:16] = False, False
    inputs = np.concatenate([tap, np.ones((*tap.shape[:3], 1))], -1)
    truth = np.eye(len(scenes.CLASSES))[labels[train]]
    gram = inputs[train].T @ inputs[train]
    penalty = 1e-2 * np.trace(gram) / len(gram) * np.eye(len(gram))
    found = inputs[test] @ np.linalg.solve(gram + penalty, inputs[train].T @ truth)
    return float(np.mean(found.argmax(-1) == labels[test]))


def test_drawn_weights_know_the_classes_of_drawn_scenes() -> None:
    drawn, random = linear_accuracy("drawn"), linear_accuracy(None)
    assert drawn > 0.3
    assert drawn > random + 0.12


@pytest.mark.parametrize("stride", [16, 32])
def test_drawn_weights_fit_the_encoder_of_every_space(stride: int) -> None:
    for strides in ((4, 8), None):
        networks.encoder(DRAWN, output_stride=stride, strides=strides, weights="drawn")


def test_drawn_weights_are_small_and_part_of_the_package() -> None:
    path = weights.drawn_file(DRAWN)
    assert path.stat().st_size < 3 << 20
    assert f'"nas_tf.networks": ["{path.name}"]' in (SOURCE / "setup.py").read_text()


def test_drawn_weights_are_of_one_width() -> None:
    with pytest.raises(ConfigError) as caught:
        networks.encoder(weights="drawn")
    assert str(caught.value) == (
        "weights is drawn, expected encoder mobilenet_v2 of alpha 0.35 with it, now it is "
        "mobilenet_v2 of alpha 1.0"
    )
