"""Model files that attack are refused, and Keras by itself does run what some of them hold."""

import io
import json
import os
import warnings
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from nas_tf import quiet
from nas_tf.errors import ConfigError, WeightsError
from nas_tf.networks.model_files import read_graph, read_model
from nas_tf.tasks import Segmentation

tf = quiet.load("tensorflow")


def network() -> Any:
    image = tf.keras.Input((None, None, 3), name="image")
    x = tf.keras.layers.Conv2D(4, 3, kernel_regularizer="l2", padding="same", name="first")(image)
    x = tf.keras.layers.ReLU(6.0)(tf.keras.layers.BatchNormalization()(x))
    x = tf.image.resize(x + 1.0, (8, 8))[:, 1:]
    return tf.keras.Model(image, tf.keras.layers.Activation("swish")(x))


def rewritten(path: Path, change: Any) -> Path:
    """A .keras file with a changed configuration."""
    network().save(path)
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(parts["config.json"])
    change(config)
    parts["config.json"] = json.dumps(config).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return path


def class_of(name: str, module: str | None = None, **more: Any) -> Any:
    """A change that makes another class of the second layer."""

    def change(config: dict[str, Any]) -> None:
        item = {"class_name": name, "module": module, "registered_name": None, **more}
        config["config"]["layers"][1] |= item

    return change


def activation(**function: Any) -> Any:
    def change(config: dict[str, Any]) -> None:
        layer = config["config"]["layers"][1]
        layer["config"]["activation"] = {"class_name": "function", **function}

    return change


def refused(path: Path) -> str:
    with pytest.raises(WeightsError) as caught:
        read_model(path)
    line = str(caught.value)
    assert line.startswith(f"{path} holds ")
    assert line.endswith(
        ", expected layers of Keras and of nas_tf alone: code in a model file is not run"
    )
    return line.removeprefix(f"{path} holds ").partition(", expected")[0]


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (class_of("Lambda", "keras.layers"), "a layer of the class Lambda"),
        (class_of("Lambda", registered_name="nas_tf>Resize"), "the class keras.Lambda"),
        (class_of("__lambda__"), "a layer of the class __lambda__"),
        (class_of("Popen", "subprocess"), "the class subprocess.Popen"),
        (class_of("Conv2D", "planted"), "the class planted.Conv2D"),
        (class_of("Conv2D", "keras", registered_name="os"), "the class keras.Conv2D"),
        (class_of("TextVectorization", "keras.layers"), "a layer of the class TextVectorization"),
        (class_of("TFSMLayer", "keras.layers"), "a layer of the class TFSMLayer"),
        (
            class_of("TFOpLambda", config={"function": "keras.utils.get_file"}),
            "a call of keras.utils.get_file",
        ),
        (class_of("TFOpLambda", config={"function": "io.write_file"}), "a call of io.write_file"),
        (class_of(["Conv2D"]), "a class without a name"),
        (activation(config="system", module="os"), "the function os.system"),
        (activation(config="eval", module="builtins"), "the function builtins.eval"),
        (activation(config="relu", module="planted"), "the module planted"),
        (activation(config="relu", registered_name="get_file"), "the function keras.relu"),
    ],
)
def test_a_keras_file_that_names_more_than_layers_is_refused(
    change: Any, line: str, tmp_path: Path
) -> None:
    assert refused(rewritten(tmp_path / "model.keras", change)) == line


def test_no_module_is_imported_for_a_keras_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keras's own reader runs the planted module: the file is as dangerous as it should be."""
    trace = tmp_path / "was here"
    (tmp_path / "planted.py").write_text(f"open({str(trace)!r}, 'w')\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    path = rewritten(
        tmp_path / "model.keras", lambda config: config.update(module="planted", class_name="Any")
    )
    assert refused(path) == "the class planted.Any"
    assert not trace.exists()
    with pytest.raises(TypeError):
        tf.keras.models.load_model(path)
    assert trace.exists()


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_no_code_of_a_lambda_layer_is_run(suffix: str, tmp_path: Path) -> None:
    """Again Keras's own reader does run it, of HDF5 files, safe mode or not."""
    trace = str(tmp_path / "was here")
    image = tf.keras.Input((4, 4, 3))
    layer = tf.keras.layers.Lambda(lambda x, trace=trace: (open(trace, "w").close(), x)[1])
    path = tmp_path / f"model{suffix}"
    tf.keras.Model(image, layer(image)).save(path)
    os.remove(trace)
    assert refused(path) == "a layer of the class Lambda"
    assert not os.path.exists(trace)
    if suffix == ".h5":
        tf.keras.models.load_model(path)
        assert os.path.exists(trace)
        with zipfile.ZipFile(path, "a") as archive:  # harmless to who takes it for a .keras file
            archive.writestr("config.json", "{}")
        assert refused(path) == "a layer of the class Lambda"


def test_weights_in_other_files_are_not_followed(tmp_path: Path) -> None:
    from nas_tf import networks

    network().save(tmp_path / "model.keras")
    network().save(tmp_path / "model.h5")
    with h5py.File(tmp_path / "model.h5", "a") as file:
        file["elsewhere"] = h5py.ExternalLink("secret.h5", "/")
    stored = io.BytesIO()
    with h5py.File(stored, "w") as file:
        file.create_group("layers").create_dataset(
            "kernel", (4,), "u1", external=[("/etc/hostname", 0, 4)]
        )
    with zipfile.ZipFile(tmp_path / "model.keras", "a") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the same name twice: the later one counts
        archive.writestr("model.weights.h5", stored.getvalue())
    for name, place in (("model.h5", "/elsewhere"), ("model.keras", "/layers/kernel")):
        with pytest.raises(WeightsError, match=f"refers to another file for {place}, expected"):
            read_model(tmp_path / name)
    with pytest.raises(WeightsError, match="refers to another file for /elsewhere"):
        networks.encoder(weights=tmp_path / "model.h5")


def test_teachers_and_trainings_are_read_in_the_same_way(tmp_path: Path) -> None:
    from nas_tf.training.distill import load_teacher
    from nas_tf.training.full_run import start_from

    path = rewritten(tmp_path / "model.keras", class_of("Lambda", "keras.layers"))
    for read in (lambda: load_teacher(path, Segmentation(4), (8, 8)), lambda: start_from(path)):
        with pytest.raises(WeightsError, match="holds a layer of the class Lambda"):
            read()


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_plain_networks_are_read(suffix: str, tmp_path: Path) -> None:
    from nas_tf import networks, spaces

    encoder = tf.keras.applications.MobileNetV2(
        input_shape=(32, 32, 3), include_top=False, weights=None, alpha=0.35
    )
    names = ("arch0", "wacv-arch0", "dpc-top1")
    small = networks.settings.Settings(width=8, alpha=0.35)
    networks_of_spaces = [
        networks.build(spaces.resolve(name), 5, input_size=(64, 64), settings=small)
        for name in names
    ]
    for number, model in enumerate([network(), encoder, *networks_of_spaces]):
        path = tmp_path / f"{number}{suffix}"
        model.save(path)
        size = 32 if model is encoder else 64
        images = np.random.default_rng(1).uniform(-1, 1, (1, size, size, 3)).astype(np.float32)
        for item, same in zip(
            tf.nest.flatten(model(images)), tf.nest.flatten(read_model(path)(images)), strict=True
        ):
            np.testing.assert_allclose(item, same, atol=1e-5)


def saved_graph(folder: Path, compute: Any) -> Path:
    module = tf.Module()
    spec = tf.TensorSpec((None, 4, 4, 3), name="images")
    module.serve = tf.function(compute, autograph=False).get_concrete_function(spec)
    tf.saved_model.save(module, str(folder), module.serve)
    return folder


def test_a_saved_model_that_writes_files_is_refused(tmp_path: Path) -> None:
    def writes(images: Any) -> Any:
        tf.io.write_file(str(tmp_path / "written"), "x")
        return images

    def reads(images: Any) -> Any:
        return images + tf.cast(tf.strings.length(tf.io.read_file("/etc/hostname")), tf.float32)

    def calls(images: Any) -> Any:
        return tf.numpy_function(lambda item: item, [images], tf.float32)

    def prints(images: Any) -> Any:
        tf.print("x", output_stream=f"file://{tmp_path / 'written'}")
        return images

    cases = {"WriteFile": writes, "ReadFile": reads, "PyFunc": calls, "PrintV2": prints}
    for name, compute in cases.items():
        folder = saved_graph(tmp_path / name, compute)
        with pytest.raises(WeightsError, match=f"holds the operation {name}, expected a network"):
            read_graph(folder)
    plain = read_graph(saved_graph(tmp_path / "plain", lambda images: images * 2))
    answer = plain.signatures["serving_default"](tf.ones((1, 4, 4, 3)))
    assert np.all(answer["output_0"] == 2)


def test_a_tflite_model_that_writes_files_is_refused(tmp_path: Path) -> None:
    from serving import measure
    from serving.lite_runner import LiteModel

    def writes(image: Any) -> Any:
        tf.io.write_file(str(tmp_path / "written"), tf.strings.as_string(tf.reduce_sum(image)))
        return {"mask": image * 2}

    spec = tf.TensorSpec((1, 4, 4, 3), name="image")
    module = tf.Module()
    module.serve = tf.function(writes, autograph=False, input_signature=[spec])
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [module.serve.get_concrete_function()], module
    )
    converter.target_spec.supported_ops = list(
        map(tf.lite.OpsSet, ("TFLITE_BUILTINS", "SELECT_TF_OPS"))
    )
    content = converter.convert()
    line = r"it holds Flex\w+, expected only operations of TFLite itself"
    with pytest.raises(ConfigError, match=line):
        LiteModel(content)
    with pytest.raises(ConfigError, match=f"peer.tflite is not a TFLite model.*{line}"):
        list(
            measure.time_in_turns({Path("peer.tflite"): content}, {"TensorFlow": tf.lite}, [1], 1)
        )
    plain = tf.lite.Interpreter(model_content=content)
    plain.allocate_tensors()
    plain.get_signature_runner()(image=np.zeros((1, 4, 4, 3), np.float32))
    assert (tmp_path / "written").exists()  # as it is run where it is not refused


def test_a_saved_model_of_keras_teaches_by_its_graph(tmp_path: Path) -> None:
    """Lambda layers in it are operations by then; their Python is not revived."""
    from nas_tf.training.distill import load_teacher

    image = tf.keras.Input((None, None, 3))
    x = tf.keras.layers.Dropout(0.5)(tf.keras.layers.Conv2D(5, 8, 8)(image))
    model = tf.keras.Model(image, tf.keras.layers.Lambda(lambda item: item * 2)(x))
    model.save(tmp_path / "teacher", save_format="tf")
    taught = load_teacher(tmp_path / "teacher", Segmentation(5), (16, 24))
    images = np.ones((2, 16, 24, 3), np.float32)
    np.testing.assert_allclose(taught(images), model(images), atol=1e-6)
