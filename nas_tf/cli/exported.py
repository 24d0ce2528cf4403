"""Exported models as a person names them: a TFLite file or a version of a SavedModel."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from nas_tf.errors import ConfigError
from serving import lite_metadata, lite_runner, saved_model


def read(model: Path) -> tuple[Mapping[str, Any], Callable[..., Mapping[str, Any]]]:
    """What a model says of itself, and what answers batches of images by it."""
    if model.is_dir():
        return saved_model.about(model), saved_model.answers(model)
    if not model.exists():
        raise ConfigError(f"{model} does not exist, expected what nas-tf export wrote")
    return lite_metadata.read(model), lite_runner.LiteModel(model.read_bytes(), threads=2)
