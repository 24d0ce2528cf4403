"""Metadata of TFLite models: writes them, reads them back, and checks that files are complete.

The metadata follow TFLite's schema (``metadata_schema.fbs``), so that its tools show name, input
and labels. Files that ``unzip`` can extract are appended to the model: the labels, and
``metadata.json`` with all the metadata.
"""

import io
import json
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import flatbuffers
from tensorflow.lite.python import schema_py_generated as schema

from nas_tf.errors import ConfigError

LABELS, METADATA = "labels.txt", "metadata.json"
_NAME, _IDENTIFIER, _TFLITE = b"TFLITE_METADATA", b"M001", b"TFL3"
_SEE, _REMEDY = f"see {METADATA}", "expected a complete file: copy or export it again"
_UNREADABLE = (KeyError, ValueError, zipfile.BadZipFile, zlib.error)
_VALUE_LABELS, _IMAGE, _RGB, _NORMALIZATION = 3, 2, 1, 1


def attached(model: bytes, about: Mapping[str, Any]) -> bytes:
    """Returns the model with its metadata and the appended files."""
    tables = schema.ModelT.InitFromObj(schema.Model.GetRootAs(model, 0))
    inputs, outputs = (
        [tables.subgraphs[0].tensors[place].name.decode() for place in places]
        for places in (tables.subgraphs[0].inputs, tables.subgraphs[0].outputs)
    )
    buffer = schema.BufferT()
    buffer.data = list(_metadata(about, inputs, outputs))
    entry = schema.MetadataT()
    entry.name, entry.buffer = _NAME, len(tables.buffers)
    tables.buffers.append(buffer)
    tables.metadata = [*(tables.metadata or ()), entry]
    tables.description = about["name"].encode()
    builder = flatbuffers.Builder(len(model))
    builder.Finish(tables.Pack(builder), _TFLITE)
    return _with_files(bytes(builder.Output()), about)


def read(path: Path) -> dict[str, Any]:
    """Reads the metadata of a model that ``nas-tf export`` wrote; raises ConfigError otherwise."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    check(path, content)
    try:
        return _metadata_of(content)
    except _UNREADABLE as error:
        if _SEE.encode() in content:
            raise ConfigError(
                f"{path} is damaged: its {METADATA} cannot be read, {_REMEDY}"
            ) from error
        raise ConfigError(
            f"{path} holds no {METADATA}, expected a TFLite model that nas-tf export wrote"
        ) from error


def attached_to(content: bytes) -> Mapping[str, Any]:
    """Returns the metadata of a model; an empty mapping if it has none that can be read."""
    try:
        return _metadata_of(content)
    except _UNREADABLE:
        return {}


def _metadata_of(content: bytes) -> dict[str, Any]:
    with zipfile.ZipFile(io.BytesIO(content)) as files:
        return json.loads(files.read(METADATA))


def check(path: Path, content: bytes) -> None:
    """Raises if a file's content does not start as a TFLite model does, or is not complete."""
    if content[4:8] != _TFLITE:
        raise ConfigError(f"{path} is not a TFLite model, expected one that nas-tf export wrote")
    try:
        check_complete(content)
    except ValueError as error:
        raise ConfigError(f"{path} is {error}, {_REMEDY}") from error


def _with_files(model: bytes, about: Mapping[str, Any]) -> bytes:
    """Appends the files that the metadata name, as the ZIP archive that may end a TFLite file."""
    file = io.BytesIO(model)
    with zipfile.ZipFile(file, "a") as archive:
        for name, text in (
            (LABELS, "\n".join(_labels(about)) + "\n"),
            (METADATA, json.dumps(about, indent=1) + "\n"),
        ):
            archive.writestr(zipfile.ZipInfo(name), text)
    return file.getvalue()


def _labels(about: Mapping[str, Any]) -> Sequence[str]:
    return about.get("classes") or about.get("joints") or (about["task"],)


def _metadata(about: Mapping[str, Any], inputs: Sequence[str], outputs: Sequence[str]) -> bytes:
    """Builds the metadata: tables from the leaves up, fields by their positions in the schema."""
    builder = flatbuffers.Builder(1024)
    properties = _table(builder, 2, [(0, "int8", _RGB)])
    content = _table(builder, 3, [(0, "uint8", _IMAGE), (1, "table", properties)])
    text = "RGB of 0-255; normalisation is within the model"
    image = _tensor(
        builder, inputs[0], text, [(3, "table", content), (4, "table", _identity(builder))]
    )
    output_tensors = []
    for name in outputs:
        fields = []
        if "classes" in about and len(outputs) == 1:
            labels = _table(builder, 5, [(0, "text", LABELS), (2, "int8", _VALUE_LABELS)])
            fields = [(6, "table", _vector(builder, [labels]))]
        output_tensors.append(_tensor(builder, name, about["task"], fields))
    subgraph = _table(
        builder,
        10,
        [(2, "table", _vector(builder, [image])), (3, "table", _vector(builder, output_tensors))],
    )
    description = f"{about['task']}; weights {about['weights_sha256'][:12]}; {_SEE}"
    model = _table(
        builder,
        8,
        [
            (0, "text", about["name"]),
            (1, "text", description),
            (2, "text", about["versions"]["nas_tf"]),
            (3, "table", _vector(builder, [subgraph])),
        ],
    )
    builder.Finish(model, _IDENTIFIER)
    return bytes(builder.Output())


def _identity(builder: flatbuffers.Builder) -> int:
    """Adds normalisation by mean 0 and deviation 1, which readers require of float inputs."""
    mean, std = _floats(builder, [0.0]), _floats(builder, [1.0])
    options = _table(builder, 2, [(0, "table", mean), (1, "table", std)])
    unit = _table(builder, 2, [(0, "uint8", _NORMALIZATION), (1, "table", options)])
    return _vector(builder, [unit])


def _tensor(
    builder: flatbuffers.Builder, name: str, text: str, fields: Sequence[tuple[int, str, int]]
) -> int:
    return _table(builder, 7, [(0, "text", name), (1, "text", text), *fields])


def _table(builder: flatbuffers.Builder, size: int, fields: Sequence[tuple[int, str, Any]]) -> int:
    """Adds a table of ``size`` fields and sets those given; strings must be written before it."""
    resolved = [
        (place, kind, builder.CreateString(value) if kind == "text" else value)
        for place, kind, value in fields
    ]
    builder.StartObject(size)
    for place, kind, value in resolved:
        if kind == "int8":
            builder.PrependInt8Slot(place, value, 0)
        elif kind == "uint8":
            builder.PrependUint8Slot(place, value, 0)
        else:
            builder.PrependUOffsetTRelativeSlot(place, value, 0)
    return builder.EndObject()


def _vector(builder: flatbuffers.Builder, tables: Sequence[int]) -> int:
    builder.StartVector(4, len(tables), 4)
    for table in reversed(tables):
        builder.PrependUOffsetTRelative(table)
    return builder.EndVector()


def _floats(builder: flatbuffers.Builder, values: Sequence[float]) -> int:
    builder.StartVector(4, len(values), 4)
    for value in reversed(values):
        builder.PrependFloat32(value)
    return builder.EndVector()


class _Within(bytes):
    """Bytes that raise on slices beyond their end, with room for the zero that ends a text."""

    def __getitem__(self, place: Any) -> Any:
        if isinstance(place, slice) and place.stop >= len(self):
            raise IndexError(f"byte {place.stop} of {len(self)}")
        return super().__getitem__(place)


def check_complete(content: bytes) -> None:
    """Raises ValueError if parts of a model are beyond its end, as in a file that was cut off.

    All tables of the model are read once, because TFLite would end the process on damage; the
    schema's readers raise by NumPy's checks of bounds.
    """
    try:
        model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(_Within(content), 0))
        for graph in model.subgraphs:
            for buffer in graph.operators or ():
                _check_within(
                    content, buffer.largeCustomOptionsOffset, buffer.largeCustomOptionsSize
                )
        for buffer in model.buffers:
            _check_within(content, buffer.offset, buffer.size)
    # Damage can raise anything: numbers unpack to nonsense, texts break, tables are absent.
    except Exception as error:
        raise ValueError("damaged: a part of it is missing or broken") from error


def _check_within(content: bytes, offset: int, size: int) -> None:
    """Raises if data behind the tables, as models beyond 2 GiB have, are not within the file."""
    if offset + size > len(content):
        raise IndexError(f"byte {offset + size} of {len(content)}")
