"""Exports of a network for phones, boards and servers: written, read, and compared."""

import shlex
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nas_tf import files
from nas_tf.errors import ConfigError, EnvironmentFault
from nas_tf.runs import folders
from nas_tf.training import hardware
from serving import deployment, lite_metadata, lite_runner, onnx, parity, saved_model, tflite
from serving.parity import Answers, Parity
from serving.shipment import Shipment

if TYPE_CHECKING:
    from nas_tf.jobs.trained import LoadedNetwork

_SAMPLES = 100
_NOT_READ = {".onnx": "an ONNX model", ".keras": "a Keras model"}
_ONNX = {"onnx": ".onnx", "onnx-deformconv": "-deformconv.onnx"}


def read(model: Path) -> tuple[Mapping[str, Any], Answers]:
    """Returns the metadata of an exported model, and a function that runs it on image batches."""
    if (kind := folders.kind_of(model)) in ("search", "training"):
        raise ConfigError(
            f"{model} is the folder of a {kind}, expected an exported model: "
            f"nas-tf export {shlex.quote(str(model))} writes them"
        )
    if model.suffix in _NOT_READ:
        raise ConfigError(
            f"{model} is {_NOT_READ[model.suffix]}, expected a TFLite file or a version of a "
            "SavedModel that nas-tf export wrote"
        )
    if model.is_dir():
        return saved_model.about(model), saved_model.answers(model)
    if not model.exists():
        raise ConfigError(f"{model} does not exist, expected a model that nas-tf export wrote")
    return lite_metadata.read(model), lite_runner.LiteModel(model.read_bytes(), threads=2)


def write(
    network: "LoadedNetwork",
    folder: Path,
    formats: Sequence[str],
    *,
    version: int | None = None,
    on_format: Callable[[str], None] | None = None,
) -> dict[str, Path]:
    """Writes all formats or none: a failure leaves no file that would block the next attempt.

    Args:
        network: The network.
        folder: The folder of the exports.
        formats: Some of ``savedmodel``, ``fp32``, ``fp16``, ``int8``, ``onnx`` and
            ``onnx-deformconv``.
        version: The version of the SavedModel; by default the next.
        on_format: Called with each format before it is written.
    """
    shipment = network.shipment
    finals = _paths(shipment.name, folder, formats, version)
    samples = list(network.samples(_SAMPLES)) if "int8" in formats else []
    if "int8" in formats:
        tflite.check_samples(shipment, samples)
    try:
        with files.reporting_full_disk(folder), files.stage(folder) as staging:
            for kind, path in finals.items():
                if on_format is not None:
                    on_format(kind)
                _convert(shipment, kind, staging / path.relative_to(folder), samples)
            for path in (*staging.glob("*.*"), *staging.glob("savedmodel/*")):
                files.publish(path, folder / path.relative_to(staging))
    except OSError as error:
        raise ConfigError(
            f"{folder} cannot be written: {error.strerror or error}, expected another --out"
        ) from error
    return finals


def compare(
    network: "LoadedNetwork", written: Mapping[str, Path], count: int
) -> dict[str, Parity]:
    """Scores the Keras model and all formats that run here on pictures of the validation split."""
    shipment = network.shipment
    hardware.fuse_if_possible(shipment.blueprint)
    answers = {}
    for kind, path in written.items():
        with suppress(EnvironmentFault):
            answers[kind] = _answers(shipment, kind, path)
    return parity.compare(
        shipment, answers, network.pictures(network.config.data.val_split, count)
    )


def _paths(name: str, folder: Path, wanted: Sequence[str], version: int | None) -> dict[str, Path]:
    """Returns each format's path; raises if one exists or a package for it is missing."""
    paths = {}
    for kind in wanted:
        paths[kind] = path = folder / _file_name(name, kind)
        if path.is_file():
            raise ConfigError(f"{path} exists, expected another --out")
    if "savedmodel" in wanted:
        saved_model.check_installed()
        paths["savedmodel"] = saved_model.place(paths["savedmodel"], version)
    if any(kind in _ONNX for kind in wanted):
        onnx.check_installed()
    return paths


def _convert(shipment: Shipment, kind: str, path: Path, samples: list[np.ndarray]) -> None:
    if kind == "savedmodel":
        saved_model.write(shipment, path.parent, version=int(path.name))
    elif kind in _ONNX:
        files.write(path, onnx.convert(shipment, deform_conv=kind != "onnx"))
        deployment.write_jetson(path, shipment.shapes)
    else:
        files.write(path, tflite.convert(shipment, kind, samples))


def _file_name(name: str, kind: str) -> str:
    if kind == "savedmodel":
        return kind
    return f"{name}{_ONNX.get(kind, f'-{kind}.tflite')}"


def _answers(shipment: Shipment, kind: str, path: Path) -> Answers:
    if kind == "savedmodel":
        return saved_model.answers(path)
    if kind in _ONNX:
        return onnx.OnnxModel(path.read_bytes(), shipment)
    return lite_runner.LiteModel(path.read_bytes(), threads=2)
