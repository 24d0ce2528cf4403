"""Exported networks that restore pictures: at any size, whole or in tiles, in every format."""

import functools
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx as onnx_format
import pytest
import tensorflow as tf
from PIL import Image

from benchmarks.deploy import random_arrays
from nas_tf import networks, spaces
from nas_tf.input_geometry import Resize
from nas_tf.networks.arrays import layouts
from nas_tf.networks.functional import Functional
from nas_tf.networks.state import from_arrays
from nas_tf.tasks import Restoration
from serving import deployment, images, load_test, onnx, saved_model, tflite, whole_picture
from serving.client import Client
from serving.lite_runner import LiteModel
from serving.shipment import AT_ONCE, Shipment
from serving.signatures import DEFAULT, FILES, LOGITS, Served
from tests.serving.endpoint import served
from tests.serving.shipped import pictures

TILE = (48, 64)
CHANNELS = (1, 3)
SIZES = {"odd": (101, 75), "small": (17, 30), "tile": TILE, "narrow": (90, 5), "long": (49, 203)}


@functools.cache
def network(channels: int = 3, genotype: str = "hinas-conv3x3") -> Shipment:
    """A network that changes pictures by tens of grey levels, by all that is in its field."""
    task = Restoration(channels)
    blueprint = networks.blueprint_of(
        spaces.resolve(genotype),
        task.head,
        input_size=TILE,
        settings=networks.settings.published("restoration", width=2, aspp=False),
    )
    factors = {("output.conv", "kernel"): 0.02}
    arrays = {
        key: values * np.float32(factors.get(key, 3.0 if key[1] == "gamma" else 1.0))
        for key, values in random_arrays(blueprint).items()
    }
    return Shipment("denoiser", task, blueprint, arrays, {"origin": {"kind": "test"}}, Resize())


@functools.cache
def saved(channels: int, folder: Path) -> Path:
    return saved_model.write(network(channels), folder / str(channels))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("restored")


@functools.cache
def tiles(channels: int, kind: tflite.Kind) -> LiteModel:
    samples = list(pictures(16, size=TILE, seed=9))
    return LiteModel(tflite.convert(network(channels), kind, samples))


def photograph(size: tuple[int, int]) -> np.ndarray:
    """A picture whose coarse pixels begin anywhere."""
    return pictures(1, size=(208, 208))[0][3:, 5:][: size[0], : size[1]]


@functools.cache
def _functional(channels: int, genotype: str) -> tuple[Functional, Any]:
    """The function by which networks are trained and scored."""
    item = network(channels, genotype)
    parts = layouts(item.shipped)
    return Functional(item.shipped, parts=parts), from_arrays(parts, item.arrays)


def scored(channels: int, pixels: np.ndarray, genotype: str = "hinas-conv3x3") -> np.ndarray:
    """What a score restores of a complete picture, in 0–255, before it becomes bytes."""
    function, state = _functional(channels, genotype)
    found = function(images.normalised(pixels[None]), state.trainable, state.statistics)
    return 255 * np.clip(found.outputs["logits"].numpy()[0], 0, 1)


def file_of(pixels: np.ndarray) -> bytes:
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "png")
    return content.getvalue()


def check_bytes(given: np.ndarray, wanted: np.ndarray) -> None:
    """Checks for equal bytes, but where the value before rounding lies between two."""
    assert (given.shape, given.dtype) == (wanted.shape, np.uint8)
    assert np.abs(given - wanted).max() < 0.501


@pytest.mark.parametrize("channels", CHANNELS)
def test_a_saved_model_restores_pictures_of_any_size(place: Path, channels: int) -> None:
    folder = saved(channels, place)
    about, ask = saved_model.about(folder), saved_model.answers(folder)
    assert about["input"]["any_size"]
    assert about["input"]["size"] == [AT_ONCE, AT_ONCE]
    for size in SIZES.values():
        pixels = photograph(size)
        wanted = scored(channels, pixels)
        assert np.abs(wanted - pixels.mean(-1, keepdims=True)).mean() > 5
        check_bytes(ask(pixels[None])["restored"][0], wanted)
        check_bytes(whole_picture.answer(ask, about, pixels)["restored"], wanted)
    both = ask(np.stack([pixels, pixels[::-1]]))["restored"]
    check_bytes(both[1], scored(channels, pixels[::-1]))


@pytest.mark.parametrize("channels", CHANNELS)
def test_files_come_back_at_their_own_size(place: Path, channels: int) -> None:
    files = tf.saved_model.load(str(saved(channels, place))).signatures[FILES]
    shown = [photograph(size) for size in SIZES.values()]
    given = files(image_bytes=tf.constant([file_of(pixels) for pixels in shown]))
    assert given.keys() == {"restored_png_bytes"}
    for pixels, png in zip(shown, given["restored_png_bytes"].numpy(), strict=True):
        found = network(channels).task.from_png(images.decode_map(png))
        check_bytes(found, scored(channels, pixels))


def test_large_pictures_are_restored_in_parts_that_agree(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serving.shipment.AT_ONCE", 64)
    folder = saved_model.write(network(), place / "parts")
    loaded, about = tf.saved_model.load(str(folder)), saved_model.about(folder)
    pixels = photograph((150, 90))
    (png,) = loaded.signatures[FILES](image_bytes=[file_of(pixels)])["restored_png_bytes"].numpy()
    check_bytes(images.decode_map(png), scored(3, pixels))
    asked = []

    def ask(windows: np.ndarray) -> Mapping[str, np.ndarray]:
        asked.append(windows.shape)
        return saved_model.answers(folder)(windows)

    check_bytes(whole_picture.answer(ask, about, pixels)["restored"], scored(3, pixels))
    assert asked == [(1, 64, 64, 3)] * 6


def test_floats_are_neither_rounded_nor_clipped(place: Path) -> None:
    """As a score restores them: noise leaves the range of bytes."""
    floats = tf.saved_model.load(str(saved(3, place))).signatures["floats"]
    noise = np.random.default_rng(1).normal(0, 50, (*SIZES["odd"], 3))
    worse = (photograph(SIZES["odd"]) + noise).astype(np.float32)
    assert worse.min() < -20
    found = floats(images=tf.constant(worse[None]))["restored"].numpy()[0]
    np.testing.assert_allclose(found, scored(3, worse), atol=1e-3)
    assert (found != np.round(found)).mean() > 0.5


@pytest.mark.parametrize("channels", CHANNELS)
@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_tiles_give_what_the_whole_picture_gives(channels: int, size: tuple[int, int]) -> None:
    """Also where no tile divides it, and where it is smaller than a tile."""
    pixels = photograph(size)
    geometry = network(channels).geometry
    assert min(geometry.size) >= geometry.least_side
    found = whole_picture.answer(tiles(channels, "fp32"), network(channels).about(), pixels)
    check_bytes(found["restored"], scored(channels, pixels))


def test_the_margin_is_the_smallest_that_suffices() -> None:
    pixels, about = photograph(SIZES["odd"]), network().about()
    wanted, margin = scored(3, pixels), about["input"]["margin"]
    for less, least, most in ((0, 0, 0.501), (1, 0.6, 255)):
        about["input"] |= {"margin": margin - less, "size": [4 * margin, 4 * margin]}
        found = whole_picture.answer(tiles(3, "fp32"), about, pixels)["restored"]
        assert least < np.abs(found - wanted).max() < most


@pytest.mark.parametrize(("kind", "most"), [("fp16", 0.5), ("int8", 5)])
def test_fewer_bits_cost_few_grey_levels(kind: tflite.Kind, most: float) -> None:
    for size in (SIZES["odd"], SIZES["small"]):
        pixels = photograph(size)
        found = whole_picture.answer(tiles(3, kind), network().about(), pixels)["restored"]
        assert np.abs(found - scored(3, pixels)).mean() < most


@pytest.mark.parametrize("channels", CHANNELS)
def test_an_onnx_model_takes_any_height_and_width(channels: int) -> None:
    content = onnx.convert(network(channels))
    model = onnx_format.load_from_string(content)
    onnx_format.checker.check_model(model, full_check=True)
    for each, last in ((*model.graph.input, 3), (*model.graph.output, channels)):
        sides = each.type.tensor_type.shape.dim
        assert [side.dim_param or side.dim_value for side in sides] == [1, "height", "width", last]
    kinds = {node.op_type for node in model.graph.node}
    assert not kinds & {"Shape", "Resize", "Loop", "If", "SpaceToDepth"}
    answers = onnx.OnnxModel(content, network(channels))
    for size in (SIZES["odd"], SIZES["small"]):
        pixels = photograph(size)
        check_bytes(answers(pixels[None])["restored"][0], scored(channels, pixels))


@pytest.mark.parametrize("genotype", ["hinas-dil5x5", "hinas-sep3x3"])
def test_an_onnx_model_of_any_operation_takes_any_size(genotype: str) -> None:
    shipment = network(1, genotype)
    answers, pixels = onnx.OnnxModel(onnx.convert(shipment), shipment), photograph(SIZES["odd"])
    check_bytes(answers(pixels[None])["restored"][0], scored(1, pixels, genotype))


def test_engines_are_built_for_a_range_of_sizes(tmp_path: Path) -> None:
    script = deployment.write_jetson(tmp_path / "denoiser.onnx", network().shapes).read_text()
    assert (
        'shapes="--minShapes=image:1x32x32x3 --optShapes=image:1x48x64x3 '
        '--maxShapes=image:1x1024x1024x3"'
    ) in script


def test_deformable_networks_keep_a_fixed_size() -> None:
    space = spaces.get({"name": "restoration", "preset": "slides", "layers": 1, "nodes": 1})
    genotype = space.genotype_of([[(3, 0), (4, 1)]], [1])
    task = Restoration(1)
    blueprint = networks.blueprint_of(
        genotype,
        task.head,
        input_size=(32, 32),
        settings=networks.settings.published("restoration", width=2, aspp=False),
    )
    item = Shipment("slides", task, blueprint, random_arrays(blueprint), {}, Resize())
    assert not item.any_size
    assert item.open_geometry == item.geometry
    assert item.geometry.margin > 0
    signatures = Served(item).signatures()
    assert signatures.keys() == {DEFAULT, LOGITS, FILES}
    pixels = photograph((70, 41))
    (png,) = signatures[FILES](tf.constant([file_of(pixels)]))["restored_png_bytes"].numpy()
    assert images.decode_map(png).shape == (70, 41)


@pytest.mark.slow
def test_an_endpoint_restores_a_picture_of_odd_size(place: Path) -> None:
    pixels = photograph(SIZES["odd"])
    wanted = scored(3, pixels)
    folder = saved(3, place)
    endpoint = served(folder.parent)
    try:
        for address in (endpoint.grpc, endpoint.rest):
            with Client(address, endpoint.model) as client:
                assert client.signatures[DEFAULT].inputs["images"].shape == (None, None, None, 3)
                about = saved_model.about(folder)
                found = whole_picture.answer(client.predict, about, pixels)["restored"]
                check_bytes(np.asarray(found, np.uint8), wanted)
                (png,) = client.predict_files([file_of(pixels)])["restored_png_bytes"]
                check_bytes(images.decode_map(png), wanted)
                floats = client.predict(pixels[None].astype(np.float32), signature="floats")
                np.testing.assert_allclose(floats["restored"][0], wanted, atol=1e-3)
                for signature in (DEFAULT, FILES, "floats"):
                    load_test.noise_request(client, signature, 1)()
    finally:
        endpoint.kill()
