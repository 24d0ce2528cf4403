"""Loads model files of other people, after checks that nothing in them can run code.

Keras 2.15 imports any module that a configuration names and runs the code of Lambda layers (its
``safe_mode`` covers the latter alone, and in .keras files alone); a SavedModel may hold
operations that read and write files. A file is refused before any of it has run.
"""

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow import keras
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel
from tensorflow.python.framework import op_def_registry

from nas_tf import files
from nas_tf.errors import WeightsError
from nas_tf.networks import keras_model as _registers_layers  # noqa: F401  (for loading)

_WEIGHTS = "model.weights.h5"
_MODELS = {"Functional", "Model", "Sequential", "Policy", "TensorShape"}
_VALUES = {"__tensor__", "__numpy__", "__tuple__", "__ellipsis__", "__slice__"}
# Layers with code, or with files that a configuration names (vocabularies).
_UNSAFE = {"Lambda", "StringLookup", "IntegerLookup", "TextVectorization", "DenseFeatures"}
_PARTS = (keras.layers, keras.initializers, keras.regularizers, keras.constraints)
_KERAS = {name for part in _PARTS for name, item in vars(part).items() if isinstance(item, type)}
_KERAS = (_KERAS - _UNSAFE) | _MODELS | _VALUES
_ACTIVATIONS = {name for name, item in vars(keras.activations).items() if callable(item)} - {
    *("deserialize", "get", "serialize")
}
_CALLS = {"TFOpLambda", "SlicingOpLambda"}
_PURE = ("__operators__.", "math.", "nn.", "image.resize", "compat.v1.image.resize", "linalg.")
_ALSO_PURE = {
    *("cast", "clip_by_value", "concat", "expand_dims", "identity", "pad", "reshape", "shape"),
    *("split", "squeeze", "stack", "stop_gradient", "tile", "transpose", "unstack"),
}
# Operations with a state or an effect that are safe: variables, tables, random numbers, control.
_SAFE_STATEFUL = {
    *("DestroyResourceOp", "DisableCopyOnRead", "ReadVariableOp", "VarHandleOp", "VariableV2"),
    *("VarIsInitializedOp", "HashTableV2", "LookupTableImportV2", "MergeV2Checkpoints", "SaveV2"),
    *("RestoreV2", "Multinomial", "TruncatedNormal", "Assert", "If", "NoOp", "While"),
    *("StatefulPartitionedCall", "Placeholder"),
}
_SAFE_STATEFUL_PREFIXES = ("Assign", "Random", "TensorArray")
_FILES_OR_PYTHON = {"ReadFile", "MatchingFiles", "PyFuncStateless", "ImmutableConst"}


def read_model(path: Path) -> keras.Model:
    """Loads a Keras file, .keras or HDF5, uncompiled.

    Raises ``WeightsError`` if it names anything but layers of Keras and of nas_tf, ``ValueError``
    if it is no Keras file.
    """
    for item in _named_objects(_config(path)):
        if reason := _refusal(item):
            raise WeightsError(
                f"{path} holds {reason}, expected layers of Keras and of nas_tf alone: code in a "
                "model file is not run"
            )
    return keras.models.load_model(path, compile=False)


def read_graph(folder: Path) -> Any:
    """Loads a SavedModel as TensorFlow's graph, never as Keras's Python objects.

    Raises ``WeightsError`` if an operation may access files or call Python, ``OSError`` or
    ``ValueError`` if the folder is no complete SavedModel.
    """
    unsafe = next((op for op in _operations(folder) if _has_side_effects(op)), None)
    if unsafe is not None:
        raise WeightsError(
            f"{folder} holds the operation {unsafe}, expected a network: operations that read or "
            "write files, or call Python, are not run"
        )
    with files.without_wildcards(folder) as path:
        return tf.saved_model.load(str(path))


def refuse_references(file: h5py.File, path: Path) -> None:
    """Raises ``WeightsError`` if an HDF5 file refers to arrays in other files.

    HDF5 would read those files, which may be any on this machine.
    """
    groups: list[h5py.Group] = [file]
    while groups:
        group = groups.pop()
        for name in group:
            link = group.get(name, getlink=True)
            item = None if isinstance(link, h5py.ExternalLink) else group[name]
            is_dataset = isinstance(item, h5py.Dataset)
            if item is None or (is_dataset and (item.external or item.is_virtual)):
                raise WeightsError(
                    f"{path} refers to another file for {group.name.rstrip('/')}/{name}, expected "
                    "all arrays in it"
                )
            if isinstance(link, h5py.HardLink) and isinstance(item, h5py.Group):
                groups.append(item)


def _config(path: Path) -> Any:
    """Reads the configuration of a Keras file from where Keras reads it."""
    try:
        if path.suffix == ".keras" and zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                if _WEIGHTS in archive.namelist():
                    with h5py.File(io.BytesIO(archive.read(_WEIGHTS))) as file:
                        refuse_references(file, path)
                return json.loads(archive.read("config.json"))
        with h5py.File(path) as file:
            refuse_references(file, path)
            return json.loads(file.attrs["model_config"])
    except (KeyError, RecursionError, zipfile.BadZipFile) as error:
        raise ValueError("it holds no configuration") from error


def _named_objects(config: Any) -> Iterator[dict[str, Any]]:
    """Yields every object that a configuration names by its class, at any depth."""
    pending = [config]
    while pending:
        item = pending.pop()
        if isinstance(item, dict):
            if "class_name" in item:
                yield item
            pending.extend(item.values())
        elif isinstance(item, list):
            pending.extend(item)


def _refusal(item: dict[str, Any]) -> str | None:
    """Names the reason to refuse a named object; None if it is harmless.

    By the format of the file, Keras looks up the registered name before the module and the class,
    or the class alone: all three have to be harmless.
    """
    name, registered, inside = item["class_name"], item.get("registered_name"), item.get("config")
    module = item.get("module") or "keras"
    if not isinstance(name, str) or (name == "function" and not isinstance(inside, str)):
        return "a class without a name"
    if _is_registered(registered) and name in (registered, registered.rpartition(">")[2]):
        return None if name not in _UNSAFE else f"a layer of the class {name}"
    if registered is None and _is_registered(name):
        return None
    of_keras = isinstance(module, str) and (module == "keras" or module.startswith("keras."))
    if name == "function":
        if inside in _ACTIVATIONS and registered in (None, inside):
            return None if of_keras or module == "builtins" else f"the module {module}"
        return f"the function {module}.{inside}"
    if not of_keras or registered not in (None, name):
        return f"the class {module}.{name}"
    if name in _CALLS:
        function = inside.get("function") if isinstance(inside, dict) else None
        if isinstance(function, str) and (function.startswith(_PURE) or function in _ALSO_PURE):
            return None
        return f"a call of {function}"
    return None if name in _KERAS else f"a layer of the class {name}"


def _is_registered(name: Any) -> bool:
    """Returns whether a class is registered with Keras under the name in this process."""
    return isinstance(name, str) and ">" in name and bool(keras.saving.get_registered_object(name))


def _operations(folder: Path) -> Iterator[str]:
    """Yields the operations of all graphs and functions of a SavedModel."""
    try:
        saved = SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    except DecodeError as error:
        raise ValueError("its saved_model.pb is damaged") from error
    for graph in (meta.graph_def for meta in saved.meta_graphs):
        yield from (node.op for node in graph.node)
        for function in graph.library.function:
            yield from (node.op for node in function.node_def)


def _has_side_effects(op: str) -> bool:
    """Returns whether an operation may do more than compute with tensors and variables."""
    if op in _FILES_OR_PYTHON or op.startswith("Debug") or "Dataset" in op:
        return True
    known = op_def_registry.get(op)
    stateful = known is not None and known.is_stateful
    return stateful and op not in _SAFE_STATEFUL and not op.startswith(_SAFE_STATEFUL_PREFIXES)
