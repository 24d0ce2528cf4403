"""Writes a shipment as a directory that TF Serving loads, and reads versions back."""

import importlib
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from nas_tf import files, quiet
from nas_tf.errors import ConfigError, EnvironmentFault
from nas_tf.networks.model_files import read_graph
from serving.shipment import Shipment
from serving.signatures import DEFAULT, FILES, IMAGES, Served

METADATA = "metadata.json"
_NEEDED = {"input", "task"}
WARM_UP = Path("assets.extra") / "tf_serving_warmup_requests"


def check_installed() -> None:
    """Raises if a package that this module needs is missing."""
    try:
        importlib.import_module("tensorflow_serving.apis.prediction_log_pb2")
    except ImportError as error:
        raise EnvironmentFault(
            "a SavedModel's warm-up needs tensorflow-serving-api: pip install 'nas-tf[serving]'"
        ) from error


def write(shipment: Shipment, folder: Path, *, version: int | None = None) -> Path:
    """Writes ``folder/VERSION``, by default the next version, and returns its path.

    The version is atomic: it is written next to its place and renamed, so that a server never
    sees a part of it. An existing version is not overwritten.
    """
    final = place(folder, version)
    with files.stage(folder) as stage:
        complete = stage / final.name
        _write(shipment, complete)
        files.publish(complete, final)
    return final


def place(folder: Path, version: int | None) -> Path:
    """Returns the folder for a new version, by default the next one; raises if it exists."""
    version = _next(folder) if version is None else version
    final = folder / str(version)
    if version < 1:
        raise ConfigError(f"version is {version}, expected 1 or more")
    if final.exists():
        raise ConfigError(f"{final} exists, expected another version such as {_next(folder)}")
    return final


def about(folder: Path) -> dict[str, Any]:
    """Reads the metadata of an exported version."""
    path = folder / "assets" / METADATA
    try:
        metadata = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(metadata, dict) or not metadata.keys() >= _NEEDED:
            raise ValueError(f"some of {', '.join(sorted(_NEEDED))} are missing")
    except OSError as error:
        exported = inside(folder)
        raise ConfigError(
            f"{folder} holds no assets/{METADATA}, expected a version that nas-tf export wrote"
            + (f", such as {exported[0]}" if exported else "")
        ) from error
    except ValueError as error:
        raise ConfigError(
            f"{path} is damaged ({error}), expected the file that nas-tf export wrote: export the "
            "network again, which writes the next version"
        ) from error
    return metadata


def inside(folder: Path) -> list[Path]:
    """Returns the exported models that are in a folder: versions, then TFLite files."""
    graphs = (*folder.glob("*/saved_model.pb"), *folder.glob("*/*/saved_model.pb"))
    return [*sorted(graph.parent for graph in graphs), *sorted(folder.glob("*.tflite"))]


def answers(folder: Path) -> Callable[[np.ndarray], Mapping[str, Any]]:
    """Loads a version in this process; returns a function from uint8 images to answers."""
    try:
        loaded = read_graph(folder)
    except (OSError, ValueError, tf.errors.OpError) as error:
        raise ConfigError(
            f"{folder} is damaged or incomplete, expected a version as nas-tf export wrote it: "
            f"{error}"
        ) from error

    def ask(images: np.ndarray) -> Mapping[str, Any]:
        answer = loaded.signatures[DEFAULT](**{IMAGES: tf.constant(images)})
        return {name: values.numpy() for name, values in answer.items()}

    return ask


def _write(shipment: Shipment, partial: Path) -> None:
    partial.mkdir(parents=True)
    source = partial / METADATA
    source.write_text(
        json.dumps(shipment.about(shipment.open_geometry), indent=1) + "\n", encoding="utf-8"
    )
    assets = tf.Module()
    assets.metadata = tf.saved_model.Asset(str(source))
    with quiet.converting():
        tf.saved_model.save(assets, str(partial), signatures=Served(shipment).signatures())
    source.unlink()
    _write_warm_up(shipment, partial)


def _write_warm_up(shipment: Shipment, folder: Path) -> None:
    """Writes warm-up requests, which a server answers first: real first requests would be slow."""
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
    versions = [int(path.name) for path in folder.glob("*") if path.name.isdigit()]
    return max(versions, default=0) + 1
