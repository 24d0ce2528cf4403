"""Pictures in, overlays out."""

import io
import zlib
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageOps

from nas_tf import pictures
from nas_tf.data.files import read_image
from nas_tf.errors import ConfigError, DataError
from serving import images, overlay

GREY = np.full((20, 30, 3), 100, np.uint8)
ABOUT = {"palette": [[255, 0, 0], [0, 0, 255]], "input": {"size": [10, 15]}}


def file_of(pixels: np.ndarray, kind: str = "png") -> bytes:
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, kind)
    return content.getvalue()


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 3), (5, 7, 4), (1, 1, 3)])
def test_any_channels_become_rgb(tmp_path: Path, shape: tuple[int, ...]) -> None:
    path = tmp_path / "one.png"
    path.write_bytes(file_of(np.full(shape, 9, np.uint8)))
    assert pictures.read(path).shape == (*shape[:2], 3)


def test_sixteen_bits_of_grey_are_read_as_the_endpoint_reads_them() -> None:
    file = file_of(np.linspace(0, 65535, 600).astype(np.uint16).reshape(20, 30))
    read = pictures.decoded(file, "it")
    assert (read.shape, read.dtype) == ((20, 30, 3), np.uint8)
    np.testing.assert_array_equal(read, tf.io.decode_png(file, channels=3))


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"", "is not a picture, expected a JPEG, PNG, BMP, TIFF or WebP file"),
        (b"GIF89a and so on", "is a GIF file, expected a JPEG, PNG"),
        (file_of(GREY)[:70], "is damaged"),
        (file_of(GREY, "jpeg")[:400], "is damaged"),
    ],
)
def test_what_is_no_picture_is_reported(tmp_path: Path, content: bytes, line: str) -> None:
    path = tmp_path / "one.png"
    path.write_bytes(content)
    with pytest.raises(DataError, match=line):
        pictures.read(path)
    with pytest.raises(DataError, match="cannot be read: No such file"):
        pictures.read(tmp_path / "none.png")


def test_a_huge_picture_is_refused_by_its_header() -> None:
    file, sides = file_of(GREY), (9000).to_bytes(4, "big") * 2
    chunk = file[12:16] + sides + file[24:29]
    huge = file[:12] + chunk + zlib.crc32(chunk).to_bytes(4, "big") + file[33:]
    with pytest.raises(DataError, match=r"^it has 9000x9000 pixels, expected at most 67,108,864"):
        pictures.decoded(huge, "it")


def test_the_limit_is_a_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAS_TF_MAX_PIXELS", "599")
    with pytest.raises(DataError, match=r"^it has 30x20 pixels, expected at most 599: .*three by"):
        pictures.decoded(file_of(GREY), "it")
    with pytest.raises(tf.errors.InvalidArgumentError, match="more pixels than are decoded here"):
        images.upright(tf.constant(file_of(GREY)))
    monkeypatch.setenv("NAS_TF_MAX_PIXELS", "many")
    with pytest.raises(ConfigError, match="NAS_TF_MAX_PIXELS is 'many', expected a number"):
        pictures.max_pixels()


def content_of(picture: Image.Image, kind: str, way: int = 1) -> bytes:
    exif, content = Image.Exif(), io.BytesIO()
    exif[0x0112] = way
    more = {"exif": exif} if way != 1 else {}
    picture.save(content, kind, **more)
    return content.getvalue()


@pytest.fixture(scope="module")
def in_a_graph():
    return tf.function(images.upright, input_signature=[tf.TensorSpec((), tf.string)])


def modes() -> dict[str, Image.Image]:
    """Pictures of every mode that PNG has, with no symmetry."""
    rng = np.random.default_rng(2)
    rgb = Image.fromarray(rng.integers(0, 256, (11, 17, 3)).astype(np.uint8))
    wide = rng.integers(0, 1 << 16, (11, 17)).astype(np.uint16)
    alpha = Image.fromarray(rng.integers(0, 256, (11, 17, 4)).astype(np.uint8))
    return {
        "RGB": rgb,
        "L": rgb.convert("L"),
        "LA": rgb.convert("LA"),
        "RGBA": alpha,
        "P": rgb.quantize(16),
        "1": rgb.convert("1"),
        "I;16": Image.fromarray(wide),
    }


@pytest.mark.parametrize("mode", modes())
def test_every_reader_sees_the_same_pixels(in_a_graph, tmp_path: Path, mode: str) -> None:
    picture = modes()[mode]
    for way in range(1, 9):
        content = content_of(picture, "png", way)
        read = pictures.decoded(content, "it")
        np.testing.assert_array_equal(in_a_graph(tf.constant(content)), read)
        path = tmp_path / f"{way}.png"
        path.write_bytes(content)
        np.testing.assert_array_equal(read_image(path), read)
        assert read.shape == ((11, 17, 3) if way < 5 else (17, 11, 3))
        expected = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
        if mode != "I;16":
            np.testing.assert_array_equal(read, expected)


@pytest.mark.parametrize("way", range(1, 9))
@pytest.mark.parametrize("kind", ["jpeg", "tiff", "webp"])
def test_photographs_are_turned_upright(in_a_graph, way: int, kind: str) -> None:
    picture = Image.fromarray(np.linspace(0, 255, 40 * 24 * 3).reshape(40, 24, 3).astype(np.uint8))
    content = content_of(picture, kind, way)
    read = pictures.decoded(content, "it")
    expected = ImageOps.exif_transpose(Image.open(io.BytesIO(content))).convert("RGB")
    np.testing.assert_array_equal(read, expected)
    if kind == "jpeg":
        np.testing.assert_array_equal(in_a_graph(tf.constant(content)), read)


def test_big_endian_and_damaged_exif(in_a_graph) -> None:
    plain = content_of(Image.fromarray(GREY), "jpeg")
    entry = b"\x01\x12\0\x03\0\0\0\x01\0\x06\0\0"
    tiff = b"MM\0*\0\0\0\x08\0\x01" + entry + b"\0\0\0\0"
    for exif, shape in (
        (tiff, (30, 20, 3)),
        (tiff[:9] + b"\xff" + tiff[10:], (30, 20, 3)),  # more entries than there are
        (tiff[:4] + b"\xff" * 4 + tiff[8:], (20, 30, 3)),  # a directory far outside
        (tiff[:18] + b"\0\x09" + tiff[20:], (20, 30, 3)),  # no such orientation
        (tiff[:-6], (20, 30, 3)),  # an entry that is cut off, before other bytes of the file
        (b"", (20, 30, 3)),
    ):
        segment = b"Exif\0\0" + exif
        length = (len(segment) + 2).to_bytes(2, "big")
        content = plain[:2] + b"\xff\xe1" + length + segment + plain[2:]
        assert pictures.decoded(content, "it").shape == shape
        assert in_a_graph(tf.constant(content)).shape == shape


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (content_of(Image.fromarray(GREY), "webp"), "a WebP file"),
        (content_of(Image.fromarray(GREY), "tiff"), "a TIFF file"),
        (content_of(Image.fromarray(GREY), "bmp"), "a BMP file"),
        (b"hello", "neither a JPEG nor a PNG file"),
    ],
)
def test_the_graph_names_what_it_does_not_read(in_a_graph, content: bytes, kind: str) -> None:
    with pytest.raises(tf.errors.InvalidArgumentError, match=f"is {kind}, expected a JPEG or"):
        in_a_graph(tf.constant(content))


def test_what_is_not_a_picture_of_bytes_is_named() -> None:
    floats = content_of(Image.fromarray(np.ones((4, 4), np.float32)), "tiff")
    deep = content_of(Image.fromarray(np.full((4, 4), 1 << 20, np.int32)), "tiff")
    content = io.BytesIO()
    page = Image.fromarray(GREY)
    page.save(content, "tiff", save_all=True, append_images=[page])
    for given, line in (
        (floats, "it holds floating-point values, expected"),
        (deep, "it holds values beyond 16 bits, expected"),
        (content.getvalue(), "it has 2 pages or frames, expected one"),
        (b"\0\0\0\x18ftypheic0000", "it is a HEIC file, expected a JPEG"),
    ):
        with pytest.raises(DataError, match=line):
            pictures.decoded(given, "it")


def test_labels_are_drawn_in_the_palette_at_the_size_of_the_image() -> None:
    mask = np.zeros((10, 15), np.uint8)
    mask[:, 8:] = 1
    drawn = overlay.draw(GREY, {"mask": mask}, ABOUT)
    assert drawn.shape == GREY.shape
    assert drawn[10, 2].tolist() == [185, 45, 45]
    assert drawn[10, 28].tolist() == [45, 45, 185]
    without = overlay.draw(GREY, {"mask_png_bytes": mask}, {"input": ABOUT["input"]})
    assert (without[10, 2] != without[10, 28]).any()


def test_depths_are_drawn_near_to_far() -> None:
    depth = np.linspace(1, 10, 15, dtype=np.float32)[None].repeat(10, 0)
    drawn = overlay.draw(GREY, {"depth": depth}, ABOUT).astype(int)
    assert drawn[10, 1].sum() > drawn[10, 28].sum() + 100


def test_joints_are_drawn_where_they_are_and_noise_is_not() -> None:
    joints = np.array([[3.0, 4.0, 0.9], [12.0, 4.0, 0.05], [np.nan, np.nan, np.nan]])
    drawn = overlay.draw(GREY, {"keypoints": joints, "heatmaps": None}, ABOUT)
    changed = np.argwhere((drawn != GREY).any(-1))
    assert np.abs(changed.mean(0) - (8.5, 6.5)).max() < 1


def test_answers_of_an_unknown_task_are_refused_by_its_name() -> None:
    answer, about = {"normals": np.zeros((10, 15, 3), np.float32)}, {**ABOUT, "task": "slope"}
    line = r"^the model returns normals of task slope, which cannot be drawn, expected a model"
    with pytest.raises(ConfigError, match=line):
        overlay.draw(GREY, answer, about)
    with pytest.raises(ConfigError, match=line):
        overlay.values(answer, about)
    with pytest.raises(
        ConfigError, match=r"^the model returns normals, which cannot be drawn, ex"
    ):
        overlay.draw(GREY, answer, ABOUT)


def test_joints_have_no_picture_of_values() -> None:
    with pytest.raises(
        ConfigError, match=r"^the model returns keypoints, expected a value per pi"
    ):
        overlay.values({"keypoints": np.zeros((3, 3))}, ABOUT)


def test_values_of_files_are_those_of_the_answers() -> None:
    mask = np.array([[0, 1, 1], [1, 0, 0]], np.uint8)
    depth = np.array([[0.5, 2.25, 8.0]], np.float32)
    for name, values, stored in (("mask", mask, mask), ("depth", depth, depth * 256)):
        direct = overlay.values({name: values}, ABOUT)
        file = overlay.values({f"{name}_png_bytes": stored}, ABOUT)
        np.testing.assert_array_equal(direct, stored)
        np.testing.assert_array_equal(file, direct)
    assert overlay.values({"mask": mask}, ABOUT).getpalette()[:6] == [255, 0, 0, 0, 0, 255]
