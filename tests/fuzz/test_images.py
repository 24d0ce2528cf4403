"""Files that are sent as pictures are decoded, or refused in a line."""

import io
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import strategies as st
from PIL import Image

from nas_tf import pictures as files
from nas_tf.errors import NasTfError
from serving import saved_model
from serving.client import Client, RetryPolicy
from serving.signatures import FILES
from tests.fuzz.fuzzed import hold, mangled, often, refused_at_most
from tests.serving.endpoint import MODEL, Endpoint, served
from tests.serving.shipped import pictures, shipment


def file_of(pixels: np.ndarray, kind: str, **more: Any) -> bytes:
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, kind, **more)
    return content.getvalue()


def huge(width: int, height: int) -> bytes:
    """Returns a PNG whose first chunk states this size, with a correct checksum."""
    content = file_of(PIXELS, "png")
    chunk = b"IHDR" + width.to_bytes(4, "big") + height.to_bytes(4, "big") + content[24:29]
    return content[:12] + chunk + zlib.crc32(chunk).to_bytes(4, "big") + content[33:]


def turned(way: int) -> Image.Exif:
    """Returns EXIF data with an orientation."""
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = way, "maker"
    return exif


PIXELS = pictures(1, size=(16, 24))[0]
SIDES = st.sampled_from([0, 1, 24, 4096, 4097, 65535, 2**31 - 1, 2**31, 2**32 - 1])
GOOD = (
    file_of(PIXELS, "png"),
    file_of(PIXELS, "jpeg"),
    file_of(PIXELS, "jpeg", progressive=True),
    file_of(PIXELS[..., 0], "png"),
    file_of(PIXELS[..., 0], "jpeg"),
    file_of(PIXELS[..., 0].astype(np.uint16), "png"),
    file_of(PIXELS, "gif"),
    file_of(PIXELS, "bmp"),
    file_of(PIXELS, "tiff"),
    file_of(PIXELS, "webp"),
    *(file_of(PIXELS, kind, exif=turned(way)) for kind in ("jpeg", "png") for way in (3, 6)),
)
CONTENTS = (
    st.sampled_from(GOOD).flatmap(mangled)
    | st.sampled_from(GOOD)
    | st.builds(huge, SIDES, SIDES)
    | st.binary(max_size=200)
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    served_folder = tmp_path_factory.mktemp("served")
    saved_model.write(shipment(), served_folder)
    return served_folder


@often
def test_a_file_is_a_picture_or_refused(times: int) -> None:
    def holds(content: bytes) -> None:
        with refused_at_most(naming="it "):
            pixels = files.decoded(content, "it")
            assert pixels.dtype == np.uint8
            assert pixels.ndim == 3
            assert pixels.shape[2] == 3
            assert pixels.shape[0] * pixels.shape[1] <= files.MAX_PIXELS

    hold(times, 300, holds, content=CONTENTS)


@often
def test_the_signature_of_files_answers_or_refuses(times: int, folder: Path) -> None:
    model = tf.saved_model.load(str(folder / "1"))
    predict = model.signatures[FILES]

    def holds(content: bytes) -> None:
        try:
            masks = predict(image_bytes=tf.constant([content]))["mask_png_bytes"].numpy()
        except tf.errors.InvalidArgumentError:
            return
        assert tf.io.decode_png(masks[0]).shape[2] == 1

    hold(times, 60, holds, content=CONTENTS)


@pytest.fixture
def endpoint(folder: Path) -> Any:
    item: Endpoint = served(folder)
    yield item
    item.kill()


@pytest.mark.slow
@pytest.mark.parametrize("wire", ["grpc", "rest"])
def test_the_client_answers_or_refuses(endpoint: Endpoint, wire: str) -> None:
    with Client(getattr(endpoint, wire), MODEL, retry=RetryPolicy(deadline=20)) as client:

        def holds(content: bytes) -> None:
            with refused_at_most():
                assert len(client.predict_files([content])["mask_png_bytes"]) == 1

        def taken(images: Any) -> None:
            with refused_at_most():
                client.predict(images)

        hold(1, 200, holds, content=CONTENTS)
        shapes = st.lists(st.integers(0, 3), max_size=5).map(tuple)
        dtypes = st.sampled_from([np.uint8, np.float32, np.int64, object, "U3", bool])
        hold(1, 100, taken, images=st.builds(np.zeros, shapes, dtypes))


def test_all_refusals_are_ours() -> None:
    for width, height in ((0, 5), (2**31, 1), (4097, 4096), (2**32 - 1, 2**32 - 1)):
        with pytest.raises(NasTfError):
            files.decoded(huge(width, height), "it")
