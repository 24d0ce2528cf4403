"""A picture has the same answer from every runtime, at the picture's own size."""

import io
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from nas_tf.config.schema import Evaluation
from nas_tf.input_geometry import InputGeometry, Resize
from nas_tf.networks.arrays import layouts
from nas_tf.networks.state import from_arrays
from nas_tf.pictures import decoded
from nas_tf.training.scoring import Scorer
from serving import images, saved_model, tflite, whole_picture
from serving.lite_runner import LiteModel
from serving.shipment import Shipment
from serving.signatures import FILES
from tests.serving.shipped import SIZE, pictures, shipment, with_classes_alike

SHAPES = {"landscape": (80, 136), "portrait": (136, 80), "square": (96, 96)}


def network(task: str = "segmentation") -> Shipment:
    item = replace(shipment(task=task), resize=Resize(longer=96))
    return with_classes_alike(item) if task == "segmentation" else item


@pytest.fixture(scope="module")
def runtimes(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, object]:
    item = network()
    folder = saved_model.write(item, tmp_path_factory.mktemp("whole"))
    loaded = tf.saved_model.load(str(folder))
    return {
        "files": lambda file: loaded.signatures[FILES](image_bytes=tf.constant([file])),
        "saved_model": (saved_model.about(folder), saved_model.answers(folder)),
        "tflite": (item.about(), LiteModel(tflite.convert(item, "fp32"))),
        "scorer": _scorer(item),
    }


def _scorer(network: Shipment):
    parts = layouts(network.shipped)
    scorer = Scorer(lambda _: network.blueprint, network.task, parts, SIZE, Evaluation(batch=2))
    state = from_arrays(parts, network.arrays)

    class Pictures:
        """A single picture in place of a split, whose prediction is stored."""

        def __init__(self, picture: np.ndarray) -> None:
            self.picture = picture

        def predictions(self, answer, batch):
            maps = answer(network.geometry.cut(self.picture).numpy())
            self.mask = network.geometry.joined(maps["mask"], self.picture.shape[:2]).numpy()
            yield from ()

    def mask(picture: np.ndarray) -> np.ndarray:
        seen = Pictures(picture)
        scorer.score(state, seen)
        return seen.mask

    return mask


def written(pixels: np.ndarray, kind: str, orientation: int) -> bytes:
    picture = Image.fromarray(pixels)
    exif = picture.getexif()
    exif[0x0112] = orientation
    content = io.BytesIO()
    more = {"quality": 95} if kind == "jpeg" else {}
    picture.save(content, kind, exif=exif, **more)
    return content.getvalue()


def agree(runtimes: Mapping[str, object], file: bytes) -> None:
    picture = decoded(file, "it")
    (png,) = runtimes["files"](file)["mask_png_bytes"].numpy()
    masks = {"image_bytes": images.decode_map(png), "scorer": runtimes["scorer"](picture)}
    for name in ("saved_model", "tflite"):
        about, ask = runtimes[name]
        masks[name] = whole_picture.answer(ask, about, picture)["mask"]
    reference = masks.pop("saved_model")
    assert reference.shape == picture.shape[:2]
    assert len(np.unique(reference)) > 1
    for name, mask in masks.items():
        assert mask.shape == reference.shape, name
        assert (mask == reference).mean() >= 0.995, name


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientations(runtimes: Mapping[str, object], shape: str, orientation: int) -> None:
    pixels = pictures(1, size=SHAPES[shape], seed=orientation)[0]
    for kind in ("jpeg", "png"):
        agree(runtimes, written(pixels, kind, orientation))


@pytest.mark.parametrize("shape", SHAPES)
def test_sixteen_bits(runtimes: Mapping[str, object], shape: str) -> None:
    grey = pictures(1, size=SHAPES[shape], seed=9)[0][..., 0].astype(np.uint16) * 257
    content = io.BytesIO()
    Image.fromarray(grey).save(content, "png")
    agree(runtimes, content.getvalue())


def test_larger_pictures_are_answered_window_by_window(tmp_path: Path) -> None:
    item = replace(shipment(), resize=Resize())
    ask = saved_model.answers(saved_model.write(item, tmp_path))
    picture = pictures(1, size=(160, 96))[0]
    mask = whole_picture.answer(ask, item.about(), picture)["mask"]
    windows = InputGeometry(SIZE, Resize()).cut(picture).numpy()
    assert len(windows) == 3
    # The first window owns the rows up to the middle of what it shares with the second.
    np.testing.assert_array_equal(mask[:56], ask(windows)["mask"][0][:56])
    np.testing.assert_array_equal(mask[56:104], ask(windows)["mask"][1][8:56])
    np.testing.assert_array_equal(mask[104:], ask(windows)["mask"][2][8:])


@pytest.mark.slow
def test_depths_and_joints_come_back_at_the_own_size(tmp_path: Path) -> None:
    picture = pictures(1, size=(128, 192))[0]
    depth = network("depth")
    ask = saved_model.answers(saved_model.write(depth, tmp_path / "depth"))
    assert whole_picture.answer(ask, depth.about(), picture)["depth"].shape == (128, 192)
    pose = network("pose")
    folder = saved_model.write(pose, tmp_path / "pose")
    given = whole_picture.answer(saved_model.answers(folder), pose.about(), picture)["keypoints"]
    content = io.BytesIO()
    Image.fromarray(picture).save(content, "png")
    by_file = tf.saved_model.load(str(folder)).signatures[FILES]
    found = by_file(image_bytes=tf.constant([content.getvalue()]))["keypoints"][0]
    np.testing.assert_allclose(found, given, atol=1e-3)


def test_windows_of_an_unknown_task_are_returned_as_they_are() -> None:
    geometry = InputGeometry(SIZE, Resize())
    picture = pictures(1, size=(160, 96))[0]
    about = {"task": "brightness", "input": geometry.to_dict()}
    found = whole_picture.answer(lambda windows: {"mean": windows.mean((1, 2, 3))}, about, picture)
    windows = geometry.cut(picture).numpy()
    np.testing.assert_array_equal(found["mean"], windows.mean((1, 2, 3)))
    assert found["mean"].shape == (3,)


def test_maps_of_vectors_are_joined_like_those_of_values() -> None:
    geometry = InputGeometry(SIZE, Resize(longer_at_most=200))
    picture = pictures(1, size=(240, 320))[0]
    windows = geometry.cut(picture).numpy()
    joined = geometry.joined(windows, picture.shape[:2])
    channels = [geometry.joined(windows[..., n], picture.shape[:2]) for n in range(3)]
    np.testing.assert_array_equal(joined, np.stack(channels, -1))
