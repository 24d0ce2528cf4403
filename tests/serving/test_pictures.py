"""Pictures in, overlays out."""

import io
import zlib
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from nas_tf.errors import DataError
from serving import overlay, picture_file

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
    assert picture_file.read(path).shape == (*shape[:2], 3)


def test_sixteen_bits_of_grey_are_read_as_the_endpoint_reads_them() -> None:
    file = file_of(np.linspace(0, 65535, 600).astype(np.uint16).reshape(20, 30))
    read = picture_file.decoded(file, "it")
    assert (read.shape, read.dtype) == ((20, 30, 3), np.uint8)
    np.testing.assert_array_equal(read, tf.io.decode_png(file, channels=3))


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"", "is no picture, expected a JPEG or PNG file"),
        (b"GIF89a and so on", "is no picture, expected a JPEG or PNG file"),
        (file_of(GREY)[:70], "is damaged"),
        (file_of(GREY, "jpeg")[:400], "is damaged"),
    ],
)
def test_what_is_no_picture_is_told(tmp_path: Path, content: bytes, line: str) -> None:
    path = tmp_path / "one.png"
    path.write_bytes(content)
    with pytest.raises(DataError, match=line):
        picture_file.read(path)
    with pytest.raises(DataError, match="cannot be read: No such file"):
        picture_file.read(tmp_path / "none.png")


def test_a_huge_picture_is_refused_by_its_header() -> None:
    whole, sides = file_of(GREY), (7100).to_bytes(4, "big") * 2
    chunk = whole[12:16] + sides + whole[24:29]
    huge = whole[:12] + chunk + zlib.crc32(chunk).to_bytes(4, "big") + whole[33:]
    with pytest.raises(DataError, match=r"^it has 7100x7100 pixels, expected at most 16,777,216"):
        picture_file.decoded(huge, "it")


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
