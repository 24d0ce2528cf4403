"""Finds, reads and checks files of encoder weights."""

import re
import socket
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np
from tensorflow import keras

from nas_tf import files
from nas_tf.errors import ConfigError, EnvironmentFault, WeightsError
from nas_tf.networks.blueprint import Blueprint, Layer
from nas_tf.networks.encoders import DRAWN, ENCODERS, Encoder, Released
from nas_tf.networks.from_genotype import encoder_blueprint
from nas_tf.networks.kinds import KINDS
from nas_tf.networks.model_files import refuse_references

_DRAWN = Path(__file__).with_name(f"drawn_{DRAWN.name}_{DRAWN.alpha}.h5")
_TIMEOUT = 20.0
"""Seconds after which a server that does not answer counts as unreachable."""
_SEPARABLE = "separable_conv2d"
_HALVES = {"depthwise": slice(1), "pointwise": slice(1, None)}


def encoder_file(weights: str | Path, encoder: Encoder) -> Path:
    """Returns the file of ``imagenet`` or ``drawn``, or the path that is given.

    ``imagenet`` was trained by Keras's authors on photographs, ``drawn`` by
    ``benchmarks/train_drawn_encoder.py`` on the drawn scenes of this package, and for these.
    """
    if weights == "imagenet":
        return imagenet_file(encoder)
    if weights == "drawn":
        return drawn_file(encoder)
    return Path(weights)


def drawn_file(encoder: Encoder) -> Path:
    """Returns the weights that come with this package, of an encoder trained on drawn scenes."""
    if encoder != DRAWN:
        raise ConfigError(
            f"weights is drawn, expected encoder {DRAWN} with it, now it is {encoder}"
        )
    return _DRAWN


def local_imagenet_file(encoder: Encoder) -> Path | None:
    """Returns the ImageNet weights on this machine, None if there are none.

    They are in ``NAS_TF_DATA/weights``, or in the folder into which Keras downloads them.
    """
    released, root = _released(encoder), files.data()
    downloaded = Path.home() / ".keras" / "models" / released.file
    candidates = [root / "weights" / released.local, downloaded] if root else [downloaded]
    return next((path for path in candidates if path.is_file()), None)


def imagenet_file(encoder: Encoder) -> Path:
    """Returns the ImageNet weights on this machine, else downloads them as Keras does."""
    if found := local_imagenet_file(encoder):
        return found
    released = _released(encoder)
    try:
        with _connection_timeout():
            return Path(keras.utils.get_file(released.file, released.url, cache_subdir="models"))
    except Exception as error:
        raise EnvironmentFault(
            f"ImageNet weights are not on this machine and cannot be downloaded ({error}): save "
            f"{released.url} as $NAS_TF_DATA/weights/{released.local}, or choose "
            f"network.weights=drawn with network.encoder={DRAWN.name} and "
            f"network.alpha={DRAWN.alpha}, trained on drawn scenes, or network.weights=null, "
            "which is random"
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


def load_encoder(
    model: keras.Model, blueprint: Blueprint, path: str | Path, encoder: Encoder
) -> None:
    """Sets the encoder's weights of a Keras model from a file, after checking every shape."""
    stored = read_encoder(blueprint, Path(path), encoder)
    for name, values in stored.items():
        model.get_layer(name).set_weights(values)


def read_encoder(
    blueprint: Blueprint, path: Path, encoder: Encoder
) -> Mapping[str, list[np.ndarray]]:
    """Reads the arrays of each encoder layer from a file in either of Keras's HDF5 layouts.

    Raises ``WeightsError`` if a shape does not fit, a value is not finite, or the file has a layer
    between those of the encoder that the encoder lacks. Heads after them are ignored.
    """
    try:
        with h5py.File(path) as file:
            refuse_references(file, path)
            found = _read(file, blueprint, encoder)
            fault = _misfit(blueprint, found) or _surplus(file, encoder)
            owner = _owner(file, encoder) if fault else None
    except OSError as error:
        reason = "no such file" if not path.exists() else "not an HDF5 file"
        raise WeightsError(
            f"weights {path}: {reason}, expected weights of {encoder} as Keras saves them"
        ) from error
    if fault:
        if owner is not None:
            fault = f"they are of {owner}, expected those"
        raise WeightsError(f"weights {path}: {fault} of {encoder}")
    for name, arrays in found.items():
        if not all(np.isfinite(array).all() for array in arrays):
            raise WeightsError(
                f"weights {path}: layer {name} holds NaN or infinite values, expected finite "
                "ones: take another file"
            )
    return found


def _weighted(blueprint: Blueprint) -> list[Layer]:
    """Returns the layers of the encoder that have arrays in Keras."""
    layers = [layer for layer in blueprint.live().layers if layer.part == "encoder"]
    return [layer for layer in layers if KINDS[layer.kind].keras_class]


def _read(
    file: h5py.File, blueprint: Blueprint, encoder: Encoder
) -> Mapping[str, list[np.ndarray]]:
    """Reads the arrays of each layer, which may be none, as the encoder converts them."""
    weighted = _weighted(blueprint)
    found = zip(weighted, _groups(weighted, file), strict=True)
    return encoder.loaded({layer.name: _arrays(file, key)[own] for layer, (key, own) in found})


def _misfit(blueprint: Blueprint, found: Mapping[str, list[np.ndarray]]) -> str | None:
    """Returns a sentence on the first layer whose arrays have other shapes, None if all fit."""
    for layer in _weighted(blueprint):
        source = blueprint.by_name[layer.inputs[0]]
        expected = [slot.shape for slot in KINDS[layer.kind].slots(layer, source)]
        shapes = [array.shape for array in found[layer.name]]
        if shapes != expected:
            return f"layer {layer.name} has shapes {shapes or 'none'}, expected {expected}"
    return None


def _surplus(file: h5py.File, encoder: Encoder) -> str | None:
    """Returns a sentence on a layer with arrays before the encoder's last that is not one of it.

    None is found where the file does not list its layers in order.
    """
    group = file.get("model_weights", file)
    names = group.attrs.get("layer_names", ())
    listed = [name.decode() if isinstance(name, bytes) else name for name in names]
    weighted = _weighted(encoder_blueprint(encoder))
    own = {key.removeprefix("model_weights/") for key, _ in _groups(weighted, file)}
    last = max((n for n, name in enumerate(listed) if name in own), default=0)
    for name in listed[:last]:
        if name not in own and name in group and len(group[name].attrs.get("weight_names", ())):
            return f"layer {name} comes before the last one, expected only layers"
    return None


def _owner(file: h5py.File, encoder: Encoder) -> Encoder | None:
    """Returns the other encoder that a file's arrays fit, None if none is known."""
    for other in ENCODERS.values():
        blueprint = encoder_blueprint(other)
        if other.name != encoder.name and not _misfit(blueprint, _read(file, blueprint, other)):
            return other
    return None


def _groups(weighted: list[Layer], file: h5py.File) -> Iterator[tuple[str, slice]]:
    """Yields each layer's group and the part of its arrays that the layer has.

    The group has the layer's name, or its class and number: in ``.weights.h5`` files always, in
    others if the model does not name the layer. Layers ``x.depthwise`` and ``x.pointwise`` may
    be the separable convolution ``x`` of Keras.
    """
    root = "model_weights/" if "model_weights" in file else ""
    counts: Counter[str] = Counter()
    for layer in weighted:
        name, kind, own = layer.name, KINDS[layer.kind].keras_class, slice(None)
        before, _, half = name.rpartition(".")
        if half in _HALVES and (f"layers/{_SEPARABLE}" in file or root + before in file):
            name, kind, own = before, _SEPARABLE, _HALVES[half]
        if "layers" in file:
            counts[kind] += half != "pointwise" or kind != _SEPARABLE
            number = counts[kind] - 1
            yield f"layers/{kind}_{number}/vars" if number else f"layers/{kind}/vars", own
            continue
        if root + name not in file and (found := _automatic_names(file[root or "/"], kind)):
            name, counts[kind] = found[counts[kind] % len(found)], counts[kind] + 1
        yield root + name, own


def _automatic_names(group: h5py.Group, kind: str) -> list[str]:
    """Returns the names that Keras gave to layers of a class in the order of their creation."""
    names = [name for name in group if re.fullmatch(rf"{kind}(_\d+)?", name)]
    return sorted(names, key=lambda name: (len(name), name))


def _arrays(file: h5py.File, key: str) -> list[np.ndarray]:
    if key not in file:
        return []
    group = file[key]
    names = group.attrs.get("weight_names")
    if names is None:
        names = sorted(group, key=lambda name: (len(name), name))
    return [np.asarray(group[name], np.float32) for name in names]


def _released(encoder: Encoder) -> Released:
    released = encoder.released()
    if released is None:
        raise ConfigError(
            f"weights is imagenet, which encoder {encoder} does not have, expected a file or null"
        )
    return released
