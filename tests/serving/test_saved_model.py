"""Exported versions, read back and compared with the Keras model they came from."""

import functools
import io
import signal
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from tensorflow.python.saved_model.loader_impl import parse_saved_model
from tensorflow_serving.apis import prediction_log_pb2

from nas_tf.errors import ConfigError, WeightsError
from nas_tf.networks.keras_model import realise
from nas_tf.networks.state import fill_model
from serving import images, saved_model
from serving.parity import keras_answers
from serving.shipment import Shipment
from serving.signatures import DEFAULT, FILES, LOGITS
from tests.serving.shipped import SIZE, SPACES, TASKS, is_distinctive, pictures, shipment


def logits_of(network: Shipment, pixels: np.ndarray) -> np.ndarray:
    model = realise(network.shipped, name="reference")
    fill_model(model, network.arrays)
    return model(images.normalised(pixels), training=False).numpy()


def file_of(pixels: np.ndarray, kind: str = "png") -> bytes:
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, kind)
    return content.getvalue()


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Shipment, Path]:
    item = shipment()
    return item, saved_model.write(item, tmp_path_factory.mktemp("exported"))


@functools.lru_cache(2)
def loaded_from(folder: Path) -> object:
    return tf.saved_model.load(str(folder))


def signature(folder: Path, name: str) -> object:
    loaded = loaded_from(folder)
    found = loaded.signatures[name]
    found.keeps = loaded  # a signature alone does not keep its model
    return found


@pytest.mark.slow
@pytest.mark.sampled(4)
@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("space", SPACES)
def test_it_answers_as_the_keras_model(space: str, task: str, tmp_path: Path) -> None:
    item = shipment(space, task, seed=1)
    folder, pixels = saved_model.write(item, tmp_path), pictures()
    assert folder == tmp_path / "1"
    logits = signature(folder, LOGITS)(images=tf.constant(pixels))["logits"].numpy()
    expected = logits_of(item, pixels)
    # Rounding is as large as what the last bias takes away.
    heights = [expected, *(item.arrays[key] for key in item.arrays if key[1] == "bias")]
    most = max(1.0, *(np.abs(values).max() for values in heights))
    assert np.abs(logits - expected).max() < 1e-5 * most
    given, wanted = saved_model.answers(folder)(pixels), keras_answers(item)(pixels)
    assert given.keys() == wanted.keys()
    assert task != "depth" or is_distinctive(wanted["depth"])
    for name, values in given.items():
        assert values.dtype == wanted[name].dtype
        if name == "mask":
            top = np.sort(tf.image.resize(expected, SIZE).numpy(), -1)
            settled = top[..., -1] - top[..., -2] > 1e-4
            assert settled.mean() > 0.9
            np.testing.assert_array_equal(values[settled], wanted[name][settled])
        elif name == "keypoints":
            assert (np.abs(values - wanted[name]) < 1e-3).mean() > 0.8
        else:
            off = 2e-3 if name == "depth" else 1e-4
            np.testing.assert_allclose(values, wanted[name], rtol=1e-4, atol=off)


def test_files_of_any_size_are_answered_at_their_own(exported: tuple[Shipment, Path]) -> None:
    folder, pixels = exported[1], pictures()
    other = pictures(1, size=(160, 40))[0]
    files = [file_of(pixels[0]), file_of(other, "jpeg"), file_of(pixels[1])]
    given = signature(folder, FILES)(image_bytes=tf.constant(files))
    assert given.keys() == {"mask_png_bytes"}
    masks = [tf.io.decode_png(item).numpy()[..., 0] for item in given["mask_png_bytes"]]
    assert [mask.shape for mask in masks] == [SIZE, (160, 40), SIZE]
    expected = saved_model.answers(folder)(pixels[:2])["mask"]
    np.testing.assert_array_equal(masks[0], expected[0])
    np.testing.assert_array_equal(masks[2], expected[1])


def test_depths_come_as_kitti_writes_them(tmp_path: Path) -> None:
    folder, pixels = saved_model.write(shipment(task="depth"), tmp_path), pictures(1)
    given = signature(folder, FILES)(image_bytes=tf.constant([file_of(pixels[0])]))
    steps = tf.io.decode_png(given["depth_png_bytes"][0], dtype=tf.uint16).numpy()[..., 0]
    metres = saved_model.answers(folder)(pixels)["depth"][0]
    assert is_distinctive(metres)
    np.testing.assert_allclose(steps / 256, metres, atol=0.5 / 256 + 1e-3)


def test_joints_are_in_the_pixels_of_the_file(tmp_path: Path) -> None:
    folder, pixels = saved_model.write(shipment(task="pose"), tmp_path), pictures(1)
    larger = pixels[0].repeat(3, 0).repeat(2, 1)
    ask = signature(folder, FILES)
    own, found = (
        ask(image_bytes=tf.constant([file_of(item)]))["keypoints"].numpy()[0]
        for item in (pixels[0], larger)
    )
    moved = (own[:, :2] + 0.5) * (2, 3) - 0.5
    assert np.abs(found[:, :2] - moved).max() < 4


def test_probabilities_are_those_of_the_logits(exported: tuple[Shipment, Path]) -> None:
    pixels = tf.constant(pictures())
    logits = signature(exported[1], LOGITS)(images=pixels)["logits"]
    found = signature(exported[1], "probabilities")(images=pixels)["probabilities"]
    np.testing.assert_allclose(found, tf.nn.softmax(logits), atol=1e-6)


def test_weights_are_constants_in_one_copy(exported: tuple[Shipment, Path]) -> None:
    item, folder = exported
    assert sum(path.stat().st_size for path in (folder / "variables").iterdir()) < 10_000
    (meta_graph,) = parse_saved_model(str(folder)).meta_graphs
    functions = meta_graph.graph_def.library.function
    nodes = [
        *meta_graph.graph_def.node,
        *(node for function in functions for node in function.node_def),
    ]
    constants = [node.attr["value"].tensor for node in nodes if node.op == "Const"]
    weights = sum(tf.make_ndarray(value).nbytes for value in constants if value.dtype == 1)
    assert 0.9 < weights / (4 * item.about()["parameters"]) < 1.1


@pytest.mark.parametrize(
    ("file", "line"),
    [
        (b"", "neither a JPEG nor a PNG"),
        (b"no picture", "neither a JPEG nor a PNG"),
        (b"\x89PNG\r\n\x1a\n", "neither a JPEG nor a PNG"),
        (file_of(pictures(1)[0])[:60], "Invalid PNG"),
        (file_of(pictures(1)[0], "jpeg")[:200], "JPEG"),
    ],
)
def test_what_is_no_picture_is_refused(
    exported: tuple[Shipment, Path], file: bytes, line: str
) -> None:
    with pytest.raises(tf.errors.InvalidArgumentError, match=line):
        signature(exported[1], FILES)(image_bytes=tf.constant([file]))


def test_a_huge_picture_is_refused_by_its_header(exported: tuple[Shipment, Path]) -> None:
    """81 megapixels in half a kilobyte: decoding would take 240 MB."""
    small = file_of(pictures(1)[0])
    sides = (9000).to_bytes(4, "big") * 2
    with pytest.raises(tf.errors.InvalidArgumentError, match="more pixels than are decoded"):
        signature(exported[1], FILES)(image_bytes=tf.constant([small[:16] + sides + small[24:]]))


def test_a_huge_picture_behind_a_small_size_is_refused(exported: tuple[Shipment, Path]) -> None:
    """A meaningless chunk before the header states 8x8 where a header would; decoders skip it."""
    huge = file_of(np.zeros((4200, 4200), np.uint8))
    chunk = b"nonE" + (8).to_bytes(4, "big") * 2
    false = (8).to_bytes(4, "big") + chunk + zlib.crc32(chunk).to_bytes(4, "big")
    file = huge[:8] + false + huge[8:]
    assert tf.io.decode_png(file).shape == (4200, 4200, 1)
    with pytest.raises(tf.errors.InvalidArgumentError, match="neither a JPEG nor a PNG"):
        signature(exported[1], FILES)(image_bytes=tf.constant([file]))


def test_one_pixel_is_a_picture(exported: tuple[Shipment, Path]) -> None:
    file = file_of(np.zeros((1, 1, 3), np.uint8))
    given = signature(exported[1], FILES)(image_bytes=tf.constant([file]))
    assert tf.io.decode_png(given["mask_png_bytes"][0]).shape == (1, 1, 1)


def test_it_says_what_it_is(exported: tuple[Shipment, Path]) -> None:
    item, folder = exported
    metadata = saved_model.about(folder)
    assert metadata == item.about()
    assert metadata["input"] == {
        "size": [64, 96],
        "channels": "RGB",
        "dtype": "uint8",
        "resize": {"exact": [64, 96]},
        "windows": True,
        "overlap": 0.25,
        "padding": 127,
    }
    assert metadata["classes"][0] == "road"


def test_the_warm_up_asks_what_the_model_answers(exported: tuple[Shipment, Path]) -> None:
    folder = exported[1]
    records = tf.data.TFRecordDataset(str(folder / saved_model.WARM_UP))
    signatures = []
    for record in records.as_numpy_iterator():
        request = prediction_log_pb2.PredictionLog.FromString(record).predict_log.request
        name = request.model_spec.signature_name
        given = {key: tf.constant(tf.make_ndarray(item)) for key, item in request.inputs.items()}
        assert signature(folder, name)(**given)
        signatures.append(name)
    assert signatures == [DEFAULT, FILES]


def test_versions_go_up_and_are_not_written_over(tmp_path: Path) -> None:
    item = shipment()
    assert saved_model.write(item, tmp_path).name == "1"
    assert saved_model.write(item, tmp_path, version=7).name == "7"
    before = (tmp_path / "7" / "saved_model.pb").read_bytes()
    with pytest.raises(ConfigError) as error:
        saved_model.write(item, tmp_path, version=7)
    assert str(error.value) == f"{tmp_path / '7'} exists, expected another version such as 8"
    assert (tmp_path / "7" / "saved_model.pb").read_bytes() == before
    assert saved_model.write(item, tmp_path).name == "8"
    with pytest.raises(ConfigError, match=r"^version is 0, expected 1 or more$"):
        saved_model.write(item, tmp_path, version=0)
    assert {path.name for path in tmp_path.iterdir()} == {"1", "7", "8"}


@pytest.mark.slow
def test_killed_while_it_writes_it_leaves_no_version(tmp_path: Path) -> None:
    """The process kills itself when it makes the warm-up's folder, after the graph is written."""
    program = (
        "import os, signal, sys; from pathlib import Path; from serving import saved_model\n"
        "from tests.serving.shipped import shipment\n"
        "def look(event, given):\n"
        "    if event == 'os.mkdir' and os.fspath(given[0]).endswith('assets.extra'):\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "sys.addaudithook(look)\n"
        "saved_model.write(shipment(), Path(sys.argv[1]))"
    )
    child = subprocess.run([sys.executable, "-c", program, str(tmp_path)])
    assert child.returncode == -signal.SIGKILL
    (left,) = tmp_path.iterdir()
    assert (left / "1" / "saved_model.pb").stat().st_size > 10_000
    assert not left.name.isdigit()
    assert saved_model.write(shipment(), tmp_path) == tmp_path / "1"
    assert [item.name for item in tmp_path.iterdir()] == ["1"]


def test_weights_of_another_network_are_refused() -> None:
    item = shipment()
    (layer, role), value = next(iter(item.arrays.items()))
    for arrays in (
        {key: array for key, array in item.arrays.items() if key != (layer, role)},
        {**item.arrays, (layer, role): value[:1]},
    ):
        with pytest.raises(WeightsError, match=f"layer {layer} needs a {role} of shape"):
            Shipment("other", item.task, item.blueprint, arrays)
