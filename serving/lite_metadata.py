"""What a TFLite model says of itself: in its own metadata, and in files that unzip takes out.

The metadata follow the schema of TFLite (``metadata_schema.fbs``), so that its readers show name,
input and labels; ``metadata.json`` beside them says everything.
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

LABELS, WHOLE = "labels.txt", "metadata.json"
_NAME, _IDENTIFIER, _TFLITE = b"TFLITE_METADATA", b"M001", b"TFL3"
_SEE, _ANEW = f"see {WHOLE}", "expected a whole file: copy or export it anew"
_VALUE_LABELS, _IMAGE, _RGB, _NORMALIZATION = 3, 2, 1, 1


def attached(model: bytes, about: Mapping[str, Any]) -> bytes:
    """The model with its metadata."""
    whole = schema.ModelT.InitFromObj(schema.Model.GetRootAs(model, 0))
    inputs, outputs = (
        [whole.subgraphs[0].tensors[place].name.decode() for place in places]
        for places in (whole.subgraphs[0].inputs, whole.subgraphs[0].outputs)
    )
    buffer = schema.BufferT()
    buffer.data = list(_metadata(about, inputs, outputs))
    entry = schema.MetadataT()
    entry.name, entry.buffer = _NAME, len(whole.buffers)
    whole.buffers.append(buffer)
    whole.metadata = [*(whole.metadata or ()), entry]
    whole.description = about["name"].encode()
    builder = flatbuffers.Builder(len(model))
    builder.Finish(whole.Pack(builder), _TFLITE)
    return _with_files(bytes(builder.Output()), about)


def read(path: Path) -> dict[str, Any]:
    """What a model that was exported here says of itself."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    check(path, content)
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as files:
            return json.loads(files.read(WHOLE))
    except (KeyError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        if _SEE.encode() in content:
            raise ConfigError(f"{path} is damaged: its {WHOLE} cannot be read, {_ANEW}") from error
        raise ConfigError(
            f"{path} holds no {WHOLE}, expected a TFLite model that nas-tf export wrote"
        ) from error


def check(path: Path, content: bytes) -> None:
    """Raises where a file's content is no TFLite model by its first bytes, or not a whole one."""
    if content[4:8] != _TFLITE:
        raise ConfigError(f"{path} is no TFLite model, expected such as nas-tf export writes")
    try:
        check_complete(content)
    except ValueError as error:
        raise ConfigError(f"{path} is {error}, {_ANEW}") from error


def _with_files(model: bytes, about: Mapping[str, Any]) -> bytes:
    """A TFLite file may end in a ZIP archive, which holds the files its metadata name."""
    file = io.BytesIO(model)
    with zipfile.ZipFile(file, "a") as archive:
        for name, text in (
            (LABELS, "\n".join(_labels(about)) + "\n"),
            (WHOLE, json.dumps(about, indent=1) + "\n"),
        ):
            archive.writestr(zipfile.ZipInfo(name), text)
    return file.getvalue()


def _labels(about: Mapping[str, Any]) -> Sequence[str]:
    return about.get("classes") or about.get("joints") or (about["task"],)


def _metadata(about: Mapping[str, Any], inputs: Sequence[str], outputs: Sequence[str]) -> bytes:
    """Tables are written from the leaves up; numbers are places of fields in the schema."""
    builder = flatbuffers.Builder(1024)
    properties = _table(builder, 2, [(0, "int8", _RGB)])
    content = _table(builder, 3, [(0, "uint8", _IMAGE), (1, "table", properties)])
    told = "RGB of 0-255; normalisation is within the model"
    image = _tensor(
        builder, inputs[0], told, [(3, "table", content), (4, "table", _as_it_is(builder))]
    )
    read = []
    for name in outputs:
        more = []
        if about["task"] == "segmentation":
            labels = _table(builder, 5, [(0, "text", LABELS), (2, "int8", _VALUE_LABELS)])
            more = [(6, "table", _vector(builder, [labels]))]
        read.append(_tensor(builder, name, about["task"], more))
    subgraph = _table(
        builder,
        10,
        [(2, "table", _vector(builder, [image])), (3, "table", _vector(builder, read))],
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


def _as_it_is(builder: flatbuffers.Builder) -> int:
    """Pixels less 0 by 1, without which readers refuse a model that takes floats."""
    mean, std = _floats(builder, [0.0]), _floats(builder, [1.0])
    options = _table(builder, 2, [(0, "table", mean), (1, "table", std)])
    unit = _table(builder, 2, [(0, "uint8", _NORMALIZATION), (1, "table", options)])
    return _vector(builder, [unit])


def _tensor(
    builder: flatbuffers.Builder, name: str, told: str, more: Sequence[tuple[int, str, int]]
) -> int:
    return _table(builder, 7, [(0, "text", name), (1, "text", told), *more])


def _table(builder: flatbuffers.Builder, size: int, fields: Sequence[tuple[int, str, Any]]) -> int:
    """A table of so many fields, those given set; strings are written before it begins."""
    ready = [
        (place, kind, builder.CreateString(value) if kind == "text" else value)
        for place, kind, value in fields
    ]
    builder.StartObject(size)
    for place, kind, value in ready:
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
    """Bytes whose slices must lie within them, with the zero that ends a text."""

    def __getitem__(self, place: Any) -> Any:
        if isinstance(place, slice) and place.stop >= len(self):
            raise IndexError(f"byte {place.stop} of {len(self)}")
        return super().__getitem__(place)


def check_complete(content: bytes) -> None:
    """Raises ValueError where a part of a model lies beyond its end, as in one that was cut off.

    Everything that the model holds is read once; its schema's readers go by NumPy's bounds.
    """
    try:
        model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(_Within(content), 0))
        for graph in model.subgraphs:
            for buffer in graph.operators or ():
                _lies_within(
                    content, buffer.largeCustomOptionsOffset, buffer.largeCustomOptionsSize
                )
        for buffer in model.buffers:
            _lies_within(content, buffer.offset, buffer.size)
    # Damage may show as anything: numbers that unpack to nonsense, texts, absent tables.
    except Exception as error:
        raise ValueError("damaged: a part of it is missing or broken") from error


def _lies_within(content: bytes, offset: int, size: int) -> None:
    """Of what lies behind the tables, in models that are larger than offsets reach."""
    if offset + size > len(content):
        raise IndexError(f"byte {offset + size} of {len(content)}")
