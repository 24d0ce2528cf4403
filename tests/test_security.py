"""SECURITY.md is so: what is not in the code, what is refused in files, where ports listen."""

import ast
import io
import json
import os
import re
import subprocess
import sys
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from ipaddress import ip_address
from itertools import pairwise
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import psutil
import pytest

from nas_tf import quiet
from nas_tf.errors import DataError, WeightsError
from tests.e2e import processes

tf = quiet.load("tensorflow")

ROOT = Path(__file__).parents[1]
PACKAGES = ("nas_tf", "tuner_oracles", "serving")
FILES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}
CALLS = {
    *("eval", "exec", "compile", "__import__", "os.system", "os.popen", "tempfile.mktemp"),
    *("yaml.load", "yaml.load_all", "yaml.full_load", "yaml.unsafe_load"),
    *("keras.models.load_model", "tf.keras.models.load_model", "tf.saved_model.load"),
    *("pandas.read_pickle", "tarfile.open", "shutil.unpack_archive"),
}
READER = ROOT / "nas_tf" / "networks" / "model_files.py"


def unsafe(source: str) -> Iterator[str]:
    """What a source does that no source of ours may do."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (one.name for one in node.names if one.name.split(".")[0] in MODULES)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in MODULES:
            yield node.module or ""
        elif isinstance(node, (ast.Attribute, ast.Name)):
            name = ast.unparse(node)
            if re.fullmatch(r"yaml\.(C?(Full|Unsafe))?Loader", name):
                yield name
        elif isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            given = {one.arg: ast.unparse(one.value) for one in node.keywords}
            if name in CALLS:
                yield name
            if given.get("shell", "False") != "False":
                yield f"{name}(shell=...)"
            if name == "np.load" and given.get("allow_pickle") != "False":
                yield "np.load without allow_pickle=False"
            if given.get("safe_mode", "True") != "True":
                yield f"{name}(safe_mode=...)"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_code_is_made_of_data(path: Path) -> None:
    found = set(unsafe(path.read_text(encoding="utf-8")))
    if path == READER:
        assert found == {"keras.models.load_model", "tf.saved_model.load"}
    else:
        assert found == set()


@pytest.mark.parametrize(
    "line",
    [
        *("import pickle", "from joblib import load", "eval(text)", "exec(text)"),
        *("yaml.load(text)", "x = yaml.UnsafeLoader", "subprocess.run(line, shell=True)"),
        *("np.load(path)", "np.load(path, allow_pickle=True)", "os.system(line)"),
        *("tf.saved_model.load(folder)", "load(path, safe_mode=False)"),
    ],
)
def test_the_rule_finds(line: str) -> None:
    assert list(unsafe(f"def f():\n    {line}"))


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
        one = {"class_name": name, "module": module, "registered_name": None, **more}
        config["config"]["layers"][1] |= one

    return change


def activation(**function: Any) -> Any:
    def change(config: dict[str, Any]) -> None:
        layer = config["config"]["layers"][1]
        layer["config"]["activation"] = {"class_name": "function", **function}

    return change


def refused(path: Path) -> str:
    from nas_tf.networks.model_files import read_model

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
    from nas_tf.networks.model_files import read_model

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
    from nas_tf.tasks import Segmentation
    from nas_tf.training.distill import load_teacher
    from nas_tf.training.transfer import start_from

    path = rewritten(tmp_path / "model.keras", class_of("Lambda", "keras.layers"))
    for read in (lambda: load_teacher(path, Segmentation(4), (8, 8)), lambda: start_from(path)):
        with pytest.raises(WeightsError, match="holds a layer of the class Lambda"):
            read()


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_plain_networks_are_read(suffix: str, tmp_path: Path) -> None:
    from nas_tf import networks, spaces
    from nas_tf.networks.model_files import read_model

    encoder = tf.keras.applications.MobileNetV2(
        input_shape=(32, 32, 3), include_top=False, weights=None, alpha=0.35
    )
    names = ("arch0", "wacv-arch0", "dpc-top1")
    ours = [networks.build(spaces.resolve(name), 5, input_size=(64, 64)) for name in names]
    for number, model in enumerate([network(), encoder, *ours]):
        path = tmp_path / f"{number}{suffix}"
        model.save(path)
        size = 32 if model is encoder else 64
        images = np.random.default_rng(1).uniform(-1, 1, (1, size, size, 3)).astype(np.float32)
        for one, same in zip(
            tf.nest.flatten(model(images)), tf.nest.flatten(read_model(path)(images)), strict=True
        ):
            np.testing.assert_allclose(one, same, atol=1e-5)


def saved_graph(folder: Path, compute: Any) -> Path:
    module = tf.Module()
    spec = tf.TensorSpec((None, 4, 4, 3), name="images")
    module.serve = tf.function(compute, autograph=False).get_concrete_function(spec)
    tf.saved_model.save(module, str(folder), module.serve)
    return folder


def test_a_saved_model_that_writes_files_is_refused(tmp_path: Path) -> None:
    from nas_tf.networks.model_files import read_graph

    def writes(images: Any) -> Any:
        tf.io.write_file(str(tmp_path / "written"), "x")
        return images

    def reads(images: Any) -> Any:
        return images + tf.cast(tf.strings.length(tf.io.read_file("/etc/hostname")), tf.float32)

    def calls(images: Any) -> Any:
        return tf.numpy_function(lambda one: one, [images], tf.float32)

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


def test_a_saved_model_of_keras_teaches_by_its_graph(tmp_path: Path) -> None:
    """Lambda layers in it are operations by then; their Python is not revived."""
    from nas_tf.tasks import Segmentation
    from nas_tf.training.distill import load_teacher

    image = tf.keras.Input((None, None, 3))
    x = tf.keras.layers.Dropout(0.5)(tf.keras.layers.Conv2D(5, 8, 8)(image))
    model = tf.keras.Model(image, tf.keras.layers.Lambda(lambda one: one * 2)(x))
    model.save(tmp_path / "teacher", save_format="tf")
    taught = load_teacher(tmp_path / "teacher", Segmentation(5), (16, 24))
    images = np.ones((2, 16, 24, 3), np.float32)
    np.testing.assert_allclose(taught(images), model(images), atol=1e-6)


def test_weights_files_of_objects_are_refused(tmp_path: Path) -> None:
    from nas_tf.runs import layout
    from nas_tf.search import weights

    (tmp_path / layout.WEIGHTS).mkdir()
    np.savez(weights.path_of(tmp_path, "0"), **{"a|kernel": np.array([{}], dtype=object)})
    with pytest.raises(ValueError, match="allow_pickle=False"):
        weights.read(tmp_path, "0")


def test_a_trial_is_of_the_name_of_its_file(tmp_path: Path) -> None:
    """Its name says where its weights lie: one that led elsewhere would be followed."""
    from nas_tf.runs import record

    kept = record.TrialRecord(
        trial="../../elsewhere", space="dpc", genotype="[]", status="completed", reward=1, score=1
    )
    (tmp_path / "trials").mkdir()
    path = tmp_path / "trials" / "0.json"
    path.write_bytes(record.msgspec.json.encode(kept))
    with pytest.raises(DataError, match=r"is of trial '\.\./\.\./elsewhere', expected 0"):
        record.read(path)


def test_a_list_of_images_stays_in_its_folder(tmp_path: Path) -> None:
    from nas_tf.data.registry import builder_class

    (tmp_path / "own" / "images").mkdir(parents=True)
    (tmp_path / "own" / "train.txt").write_text("../../secret.png\n", encoding="utf-8")
    settings = tmp_path / "own" / "dataset.yaml"
    for listing, line in (
        ("train.txt", "names ../../secret, which is not in"),
        ("../train.txt", r"names \.\./train.txt, which is not in"),
    ):
        settings.write_text(f"classes: [one]\nsplits: {{train: {listing}}}\n", encoding="utf-8")
        builder = builder_class(f"folder:{tmp_path / 'own'}")
        with pytest.raises(DataError, match=line):
            builder.items(builder.source, "train")


def test_a_huge_image_of_a_data_folder_is_refused_by_its_header(tmp_path: Path) -> None:
    from nas_tf.data.files import MOST_PIXELS, read_image

    for width in (9000, 90000):
        header = b"IHDR" + width.to_bytes(4, "big") + (8000).to_bytes(4, "big") + b"\x08\2\0\0\0"
        check = zlib.crc32(header).to_bytes(4, "big")
        path = tmp_path / f"{width}.png"
        path.write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0\r" + header + check + b"\0\0\0\0IDAT\0\0\0\0")
        with pytest.raises(DataError, match=f"has too many pixels, at most {MOST_PIXELS:,}"):
            read_image(path)


def test_the_chief_listens_at_loopback_alone(tmp_path: Path) -> None:
    """As ``python -m tuner_oracles`` starts it; ``nas-tf search --workers`` uses the same."""
    cluster = subprocess.Popen(
        [
            *(sys.executable, "-m", "tuner_oracles", "--workers", "1"),
            *(str(processes.SCRIPT), str(tmp_path), "500", "0.05"),
        ],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        processes.wait_for(lambda: processes.results(tmp_path), 120)
        first = psutil.Process(cluster.pid)
        heard = [
            ip_address(one.laddr.ip)
            for process in (first, *first.children(recursive=True))
            for one in process.net_connections("inet")
            if one.status == psutil.CONN_LISTEN
        ]
    finally:
        cluster.terminate()
        cluster.wait(60)
    assert len(heard) == 1
    assert (getattr(heard[0], "ipv4_mapped", None) or heard[0]).is_loopback


def test_ports_of_servers_are_published_at_loopback() -> None:
    from serving import deployment

    command = deployment.docker_command(Path("exports/one"), "one")
    published = [one for before, one in pairwise(command) if before == "-p"]
    compose = (ROOT / "serving" / "deploy" / "compose.yaml").read_text(encoding="utf-8")
    published += re.findall(r'"([\d.:]*\d+:\d+)"', compose)
    assert len(published) >= 3
    assert all(one.startswith("127.0.0.1:") for one in published)


def test_the_pages_say_that_the_port_is_open_to_who_reaches_it() -> None:
    for page in ("docs/how-to/cluster.md", "SECURITY.md"):
        assert "neither authenticated nor encrypted" in (ROOT / page).read_text(encoding="utf-8")
