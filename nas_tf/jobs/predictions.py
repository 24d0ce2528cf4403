"""Predictions of an exported or served network on pictures of any size, and their drawings."""

import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from nas_tf.errors import ConfigError, full_disk
from nas_tf.jobs import exports
from nas_tf.tasks import Answer
from serving import images, overlay, saved_model, whole_picture
from serving.client import Client

_SENT_AS_FILES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n")
"""The first bytes of the files that a server reads: JPEG and PNG."""

About = Mapping[str, Any]
Predict = Callable[[Path, np.ndarray], tuple[About, Answer]]
"""Maps a picture's path and pixels to the model's metadata and an answer of the same size."""


def by_file(model: Path) -> Predict:
    """Returns a function that predicts with an exported model."""
    about, run = exports.read(model)
    return lambda path, picture: (about, whole_picture.answer(run, about, picture))


def by_server(client: Client, like: Path | None = None) -> Predict:
    """Returns a function that predicts with a server, to which the file itself is sent.

    ``like`` is an exported version with the same classes and colours.
    """
    about = saved_model.about(like) if like else {}

    def predict(path: Path, picture: np.ndarray) -> tuple[About, Answer]:
        content = path.read_bytes()
        if not content.startswith(_SENT_AS_FILES):
            content = _png(picture)
        answers = client.predict_files([content])
        return about, {key: images.decode_map(parts[0]) for key, parts in answers.items()}

    return predict


def draw(picture: np.ndarray, about: About, answer: Answer, path: Path) -> None:
    """Writes an answer as an overlay over its picture."""
    full_size = {**about, "input": {"size": list(picture.shape[:2])}}
    _save(Image.fromarray(overlay.draw(picture, answer, full_size)), path)


def write_values(about: About, answer: Answer, path: Path) -> None:
    """Writes class indices, or depths in 1/256 m, as a PNG file."""
    _save(overlay.values(answer, about), path)


def _png(picture: np.ndarray) -> bytes:
    """Encodes a picture as PNG, for a server that cannot read its own format."""
    content = io.BytesIO()
    Image.fromarray(picture).save(content, "png", compress_level=1)
    return content.getvalue()


def _save(picture: Image.Image, path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        picture.save(path)
    except OSError as error:
        failed_path = error.filename or path
        raise full_disk(error, path) or ConfigError(
            f"{path} cannot be written: {error.strerror or error} ({failed_path})"
        ) from error
