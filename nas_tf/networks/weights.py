"""Finds, reads and checks files of encoder weights."""

import socket
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from tensorflow import keras

from nas_tf import folders
from nas_tf.errors import ConfigError, EnvironmentFault, WeightsError
from nas_tf.networks.blueprint import Blueprint
from nas_tf.networks.kinds import KINDS
from nas_tf.networks.model_files import refuse_references

DRAWN_ALPHA = 0.35
"""The width multiplier of the encoder that comes with this package."""
_DRAWN = Path(__file__).with_name(f"drawn_mobilenet_v2_{DRAWN_ALPHA}.h5")
_RELEASE = "https://storage.googleapis.com/tensorflow/keras-applications/mobilenet_v2/"
_TIMEOUT = 20.0
"""Seconds after which a server that does not answer counts as unreachable."""


def encoder_file(weights: str | Path, alpha: float) -> Path:
    """Returns the file of ``imagenet`` or ``drawn``, or the path that is given.

    ``imagenet`` was trained by Keras's authors on photographs, ``drawn`` by
    ``benchmarks/train_drawn_encoder.py`` on the drawn scenes of this package, and for these.
    """
    if weights == "imagenet":
        return imagenet_file(alpha)
    if weights == "drawn":
        return drawn_file(alpha)
    return Path(weights)


def drawn_file(alpha: float) -> Path:
    """Returns the weights that come with this package, of an encoder trained on drawn scenes."""
    if alpha != DRAWN_ALPHA:
        raise ConfigError(f"weights is drawn, which is for alpha {DRAWN_ALPHA}, now it is {alpha}")
    return _DRAWN


def local_imagenet_file(alpha: float) -> Path | None:
    """Returns the ImageNet weights on this machine, None if there are none.

    They are in ``NAS_TF_DATA/weights``, or in the folder into which Keras downloads them.
    """
    downloaded = Path.home() / ".keras" / "models" / _released_name(alpha)
    root = folders.data()
    candidates = [root / "weights" / _local_name(alpha), downloaded] if root else [downloaded]
    return next((path for path in candidates if path.is_file()), None)


def imagenet_file(alpha: float) -> Path:
    """Returns the ImageNet weights on this machine, else downloads them as Keras does."""
    if found := local_imagenet_file(alpha):
        return found
    released = _released_name(alpha)
    try:
        with _connection_timeout():
            return Path(keras.utils.get_file(released, _RELEASE + released, cache_subdir="models"))
    except Exception as error:
        raise EnvironmentFault(
            f"ImageNet weights are not on this machine and cannot be downloaded ({error}): save "
            f"{_RELEASE}{released} as $NAS_TF_DATA/weights/{_local_name(alpha)}, or choose "
            f"network.weights=drawn with network.alpha={DRAWN_ALPHA}, trained on drawn scenes, "
            "or network.weights=null, which is random"
        ) from error


@contextmanager
def _connection_timeout() -> Iterator[None]:
    """Sets the timeout of the connections that are opened inside."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_TIMEOUT)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def load_encoder(model: keras.Model, blueprint: Blueprint, path: str | Path) -> None:
    """Sets the encoder's weights of a Keras model from a file, after checking every shape."""
    stored = read_encoder(blueprint, Path(path))
    for name, values in stored.items():
        model.get_layer(name).set_weights(values)


def read_encoder(blueprint: Blueprint, path: Path) -> Mapping[str, list[np.ndarray]]:
    """Reads the arrays of each encoder layer from a file in either of Keras's HDF5 layouts.

    Raises ``WeightsError`` if a shape does not fit or a value is not finite.
    """
    layers = [layer for layer in blueprint.live().layers if layer.part == "encoder"]
    weighted = [layer for layer in layers if KINDS[layer.kind].keras_class]
    try:
        with h5py.File(path) as file:
            refuse_references(file, path)
            keys = dict(zip([w.name for w in weighted], _group_names(weighted, file), strict=True))
            found = {name: _arrays(file, key) for name, key in keys.items()}
    except OSError as error:
        reason = "no such file" if not path.exists() else "not an HDF5 file"
        raise WeightsError(
            f"weights {path}: {reason}, expected MobileNetV2 weights as Keras saves them"
        ) from error
    for layer in weighted:
        source = blueprint.by_name[layer.inputs[0]]
        expected = [slot.shape for slot in KINDS[layer.kind].slots(layer, source)]
        shapes = [array.shape for array in found[layer.name]]
        if shapes != expected:
            raise WeightsError(
                f"weights {path}: layer {layer.name} has shapes {shapes or 'none'}, "
                f"expected {expected}"
            )
        if not all(np.isfinite(array).all() for array in found[layer.name]):
            raise WeightsError(
                f"weights {path}: layer {layer.name} holds NaN or infinite values, expected "
                "finite ones: take another file"
            )
    return found


def _group_names(weighted: list[Any], file: h5py.File) -> Iterator[str]:
    """Yields each layer's group: its name, or in ``.weights.h5`` files its class and number."""
    by_order = "layers" in file
    root = "model_weights/" if "model_weights" in file else ""
    counts: Counter[str] = Counter()
    for layer in weighted:
        if not by_order:
            yield root + layer.name
            continue
        kind = KINDS[layer.kind].keras_class
        yield f"layers/{kind}_{counts[kind]}/vars" if counts[kind] else f"layers/{kind}/vars"
        counts[kind] += 1


def _arrays(file: h5py.File, key: str) -> list[np.ndarray]:
    if key not in file:
        return []
    group = file[key]
    names = group.attrs.get("weight_names")
    if names is None:
        names = sorted(group, key=lambda name: (len(name), name))
    return [np.asarray(group[name], np.float32) for name in names]


def _local_name(alpha: float) -> str:
    return f"mobilenet_v2_{alpha}_imagenet_no_top.weights.h5"


def _released_name(alpha: float) -> str:
    return f"mobilenet_v2_weights_tf_dim_ordering_tf_kernels_{alpha}_224_no_top.h5"
