"""Model files of others: looked over before Keras or TensorFlow makes anything of them.

Keras 2.15 imports whatever module a configuration names and revives the code of Lambda layers
(its ``safe_mode`` knows the latter alone, and of .keras files alone); a SavedModel may hold
operations that read and write files. What is refused here is one line, and nothing has run.
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

from nas_tf.errors import WeightsError
from nas_tf.networks import keras_model as _ours  # noqa: F401  (makes our layers known to Keras)

_WEIGHTS = "model.weights.h5"
_MODELS = {"Functional", "Model", "Sequential", "Policy", "TensorShape"}
_VALUES = {"__tensor__", "__numpy__", "__tuple__", "__ellipsis__", "__slice__"}
# Code, and files that a configuration names (vocabularies).
_NOT = {"Lambda", "StringLookup", "IntegerLookup", "TextVectorization", "DenseFeatures"}
_PARTS = (keras.layers, keras.initializers, keras.regularizers, keras.constraints)
_KERAS = {name for part in _PARTS for name, one in vars(part).items() if isinstance(one, type)}
_KERAS = (_KERAS - _NOT) | _MODELS | _VALUES
_ACTIVATIONS = {name for name, one in vars(keras.activations).items() if callable(one)} - {
    *("deserialize", "get", "serialize")
}
_CALLS = {"TFOpLambda", "SlicingOpLambda"}
_PURE = ("__operators__.", "math.", "nn.", "image.resize", "compat.v1.image.resize", "linalg.")
_ALSO_PURE = {
    *("cast", "clip_by_value", "concat", "expand_dims", "identity", "pad", "reshape", "shape"),
    *("split", "squeeze", "stack", "stop_gradient", "tile", "transpose", "unstack"),
}
# Of the operations with a state, or an effect: those of variables, tables, chance and control.
_STATEFUL = {
    *("DestroyResourceOp", "DisableCopyOnRead", "ReadVariableOp", "VarHandleOp", "VariableV2"),
    *("VarIsInitializedOp", "HashTableV2", "LookupTableImportV2", "MergeV2Checkpoints", "SaveV2"),
    *("RestoreV2", "Multinomial", "TruncatedNormal", "Assert", "If", "NoOp", "While"),
    *("StatefulPartitionedCall", "Placeholder"),
}
_STATEFUL_KINDS = ("Assign", "Random", "TensorArray")
_REACHING = {"ReadFile", "MatchingFiles", "PyFuncStateless", "ImmutableConst"}


def read_model(path: Path) -> keras.Model:
    """Loads a Keras file, .keras or HDF5, of Keras's layers and ours; ValueError if it is none."""
    for one in _named(_config(path)):
        if reason := _refusal(one):
            raise WeightsError(
                f"{path} holds {reason}, expected layers of Keras and of nas_tf alone: code in a "
                "model file is not run"
            )
    return keras.models.load_model(path, compile=False)


def read_graph(folder: Path) -> Any:
    """Loads a SavedModel as TensorFlow's graph, never as Keras's Python objects.

    OSError or ValueError if it is none, or a part of one.
    """
    found = next((op for op in _operations(folder) if _reaches_out(op)), None)
    if found is not None:
        raise WeightsError(
            f"{folder} holds the operation {found}, expected a network: operations that read or "
            "write files, or call Python, are not run"
        )
    return tf.saved_model.load(str(folder))


def refuse_references(file: h5py.File, path: Path) -> None:
    """Raises where a weights file has its arrays in other files, which would be read for it."""
    groups: list[h5py.Group] = [file]
    while groups:
        group = groups.pop()
        for name in group:
            link = group.get(name, getlink=True)
            one = None if isinstance(link, h5py.ExternalLink) else group[name]
            if one is None or (isinstance(one, h5py.Dataset) and (one.external or one.is_virtual)):
                raise WeightsError(
                    f"{path} refers to another file for {group.name.rstrip('/')}/{name}, expected "
                    "all arrays in it"
                )
            if isinstance(link, h5py.HardLink) and isinstance(one, h5py.Group):
                groups.append(one)


def _config(path: Path) -> Any:
    """The configuration in a Keras file, found as Keras finds it."""
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


def _named(config: Any) -> Iterator[dict[str, Any]]:
    """Every object that a configuration names, however deep."""
    left = [config]
    while left:
        one = left.pop()
        if isinstance(one, dict):
            if "class_name" in one:
                yield one
            left.extend(one.values())
        elif isinstance(one, list):
            left.extend(one)


def _refusal(one: dict[str, Any]) -> str | None:
    """What is wrong with a named object; None where nothing is.

    Keras takes the registered name before the module and the class, or the class alone, by the
    format: all three have to be harmless.
    """
    name, registered, inside = one["class_name"], one.get("registered_name"), one.get("config")
    module = one.get("module") or "keras"
    if not isinstance(name, str) or (name == "function" and not isinstance(inside, str)):
        return "a class without a name"
    if _is_registered(registered) and name in (registered, registered.rpartition(">")[2]):
        return None if name not in _NOT else f"a layer of the class {name}"
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
        called = inside.get("function") if isinstance(inside, dict) else None
        pure = isinstance(called, str) and (called.startswith(_PURE) or called in _ALSO_PURE)
        return None if pure else f"a call of {called}"
    return None if name in _KERAS else f"a layer of the class {name}"


def _is_registered(name: Any) -> bool:
    """Whether this process has registered a class under the name, as Keras asks for."""
    return isinstance(name, str) and ">" in name and bool(keras.saving.get_registered_object(name))


def _operations(folder: Path) -> Iterator[str]:
    """The operations of all graphs and functions of a SavedModel."""
    try:
        saved = SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    except DecodeError as error:
        raise ValueError("its saved_model.pb is damaged") from error
    for graph in (meta.graph_def for meta in saved.meta_graphs):
        yield from (node.op for node in graph.node)
        for function in graph.library.function:
            yield from (node.op for node in function.node_def)


def _reaches_out(op: str) -> bool:
    """Whether an operation may do more than compute with tensors and variables."""
    if op in _REACHING or op.startswith("Debug") or "Dataset" in op:
        return True
    known = op_def_registry.get(op)
    stateful = known is not None and known.is_stateful
    return stateful and op not in _STATEFUL and not op.startswith(_STATEFUL_KINDS)
