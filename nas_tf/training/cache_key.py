"""What decides the bytes of a feature cache, and the names of the models in it."""

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np
from tensorflow import keras

from nas_tf.errors import ConfigError

_SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheKey:
    """Everything that decides the bytes of a cache; its digest names the folder.

    Args:
        data: Data set, split and version, as the data room names them.
        images: How many images there are.
        views: How many augmented views of each image are stored.
        crop: Height and width of a view.
        seed: Seed of the views.
        dtype: How features and logits are stored.
        encoder: Fingerprint of the encoder, which ``prepare`` fills in.
        teacher: Fingerprint of the teacher, likewise; None without one.
    """

    data: str
    images: int
    views: int
    crop: tuple[int, int]
    seed: int
    dtype: Literal["float16", "float32"] = "float16"
    encoder: str = ""
    teacher: str | None = None

    def __post_init__(self) -> None:
        for what in ("images", "views"):
            if getattr(self, what) < 1:
                raise ConfigError(f"{what} is {getattr(self, what)}, expected 1 or more")
        if self.dtype not in ("float16", "float32"):
            raise ConfigError(f"dtype is {self.dtype!r}, expected 'float16' or 'float32'")

    @property
    def rows(self) -> int:
        """How many views are stored in all; view ``v`` of image ``i`` is row ``v·images + i``."""
        return self.images * self.views

    @property
    def digest(self) -> str:
        """Names the cache by its content."""
        return hashlib.sha256(self.text().encode()).hexdigest()[:24]

    def text(self) -> str:
        """The key as JSON, for the manifest."""
        return json.dumps({"schema": _SCHEMA, **asdict(self)}, sort_keys=True)

    def of_models(self, encoder: keras.Model, teacher: keras.Model | None) -> "CacheKey":
        """The key completed with the fingerprints of the models."""
        taught = fingerprint(teacher) if teacher is not None else None
        return replace(self, encoder=fingerprint(encoder), teacher=taught)


def fingerprint(model: keras.Model) -> str:
    """Names a model by its graph and weights, whatever Keras happened to call its layers."""
    names = {layer.name: f"layer{n}" for n, layer in enumerate(model.layers)}
    config = {key: value for key, value in model.get_config().items() if key != "name"}
    digest = hashlib.sha256(
        json.dumps(_renamed(config, names), sort_keys=True, default=str).encode()
    )
    for layer in model.layers:
        for array in layer.get_weights():
            digest.update(f"{array.shape}{array.dtype}".encode())
            digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:24]


def _renamed(value: Any, names: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _renamed(part, names) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_renamed(part, names) for part in value]
    return names.get(value, value) if isinstance(value, str) else value
