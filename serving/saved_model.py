"""A shipment as a directory that TF Serving loads: versions, signatures, warm-up, metadata."""

import importlib
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from nas_tf import quiet
from nas_tf.errors import ConfigError, EnvironmentFault
from nas_tf.networks.model_files import read_graph
from serving import staged
from serving.shipment import Shipment
from serving.signatures import DEFAULT, FILES, IMAGES, Served

METADATA = "metadata.json"
_NEEDED = {"input", "task"}
WARM_UP = Path("assets.extra") / "tf_serving_warmup_requests"


def check_installed() -> None:
    """Raises where a package that is needed here is missing."""
    try:
        importlib.import_module("tensorflow_serving.apis.prediction_log_pb2")
    except ImportError as error:
        raise EnvironmentFault(
            "a SavedModel's warm-up needs tensorflow-serving-api: pip install 'nas-tf[serving]'"
        ) from error


def write(shipment: Shipment, folder: Path, *, version: int | None = None) -> Path:
    """Writes ``folder/VERSION``, the next one where none is given, and returns it.

    It is written beside and renamed, so that a server never sees a part of it. A version that is
    there is not written over.
    """
    final = place(folder, version)
    with staged.stage(folder) as beside:
        whole = beside / final.name
        _write(shipment, whole)
        whole.rename(final)
    return final


def place(folder: Path, version: int | None) -> Path:
    """Where a version goes, the next one where none is given."""
    version = _next(folder) if version is None else version
    final = folder / str(version)
    if version < 1:
        raise ConfigError(f"version is {version}, expected 1 or more")
    if final.exists():
        raise ConfigError(f"{final} exists, expected another version such as {_next(folder)}")
    return final


def about(folder: Path) -> dict[str, Any]:
    """What an exported version says of itself."""
    path = folder / "assets" / METADATA
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(told, dict) or not told.keys() >= _NEEDED:
            raise ValueError(f"it lacks some of {', '.join(sorted(_NEEDED))}")
    except OSError as error:
        there = inside(folder)
        raise ConfigError(
            f"{folder} holds no assets/{METADATA}, expected a version that nas-tf export wrote"
            + (f", such as {there[0]}" if there else "")
        ) from error
    except ValueError as error:
        raise ConfigError(
            f"{path} is damaged ({error}), expected what nas-tf export wrote: export the "
            "network again, which writes the next version"
        ) from error
    return told


def inside(folder: Path) -> list[Path]:
    """The exported models that lie in a folder: versions, then TFLite files."""
    graphs = (*folder.glob("*/saved_model.pb"), *folder.glob("*/*/saved_model.pb"))
    return [*sorted(graph.parent for graph in graphs), *sorted(folder.glob("*.tflite"))]


def answers(folder: Path) -> Callable[[np.ndarray], Mapping[str, Any]]:
    """What a version answers to images as bytes, in this process."""
    try:
        loaded = read_graph(folder)
    except (OSError, ValueError, tf.errors.OpError) as error:
        raise ConfigError(
            f"{folder} is damaged or a part of a version, expected all that nas-tf export wrote: "
            f"{error}"
        ) from error

    def ask(images: np.ndarray) -> Mapping[str, Any]:
        given = loaded.signatures[DEFAULT](**{IMAGES: tf.constant(images)})
        return {name: one.numpy() for name, one in given.items()}

    return ask


def _write(shipment: Shipment, partial: Path) -> None:
    partial.mkdir(parents=True)
    beside = partial / METADATA
    beside.write_text(json.dumps(shipment.about(), indent=1) + "\n", encoding="utf-8")
    assets = tf.Module()
    assets.metadata = tf.saved_model.Asset(str(beside))
    with quiet.converting():
        tf.saved_model.save(assets, str(partial), signatures=Served(shipment).signatures())
    beside.unlink()
    _write_warm_up(shipment, partial)


def _write_warm_up(shipment: Shipment, folder: Path) -> None:
    """Requests that a server answers before it takes others: the first would be slow."""
    path = folder / WARM_UP
    path.parent.mkdir()
    with tf.io.TFRecordWriter(str(path)) as writer:
        for log in _requests(shipment):
            writer.write(log.SerializeToString())


def _requests(shipment: Shipment) -> Iterator[Any]:
    check_installed()
    from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

    grey = np.full((1, *shipment.size, 3), 127, np.uint8)
    file = tf.io.encode_jpeg(grey[0]).numpy()
    for signature, name, values in ((DEFAULT, IMAGES, grey), (FILES, FILES, [file])):
        request = predict_pb2.PredictRequest()
        request.model_spec.name = shipment.name
        request.model_spec.signature_name = signature
        request.inputs[name].CopyFrom(tf.make_tensor_proto(values))
        yield prediction_log_pb2.PredictionLog(
            predict_log=prediction_log_pb2.PredictLog(request=request)
        )


def _next(folder: Path) -> int:
    versions = [int(one.name) for one in folder.glob("*") if one.name.isdigit()]
    return max(versions, default=0) + 1
