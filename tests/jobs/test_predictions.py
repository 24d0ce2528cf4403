"""Predictions by a server, to which files are sent that it can read."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nas_tf.jobs import predictions

PIXELS = np.random.default_rng(1).integers(0, 256, (9, 12, 3)).astype(np.uint8)


class Server:
    """Stands in for a client, and keeps what it is asked."""

    def predict_files(self, files: Sequence[bytes]) -> dict[str, list[bytes]]:
        (self.sent,) = files
        content = io.BytesIO()
        Image.fromarray(PIXELS[..., 0]).save(content, "png")
        return {"classes": [content.getvalue()]}


@pytest.mark.parametrize(
    ("name", "kind", "is_sent"),
    [
        ("a.jpg", "jpeg", True),
        ("a.PNG", "png", True),
        ("a.jpg", "webp", False),
        ("a.png", "bmp", False),
        ("a.tif", "png", True),
    ],
)
def test_a_file_is_sent_if_its_content_is_read(
    tmp_path: Path, name: str, kind: str, is_sent: bool
) -> None:
    path, server = tmp_path / name, Server()
    Image.fromarray(PIXELS).save(path, kind)
    predictions.by_server(server)(path, PIXELS)  # type: ignore[arg-type]
    assert (server.sent == path.read_bytes()) is is_sent
    if not is_sent:
        np.testing.assert_array_equal(Image.open(io.BytesIO(server.sent)), PIXELS)
