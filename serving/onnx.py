"""A shipment as ONNX, from which TensorRT builds engines on a Jetson; checked in ONNX Runtime.

The batch is one and every size is fixed, which suits TensorRT best: the device computes no shapes.
Images are floats of 0–255; bytes are int32, which all versions of TensorRT can output.
"""

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from nas_tf import quiet
from nas_tf.errors import EnvironmentFault
from nas_tf.tasks import Answer
from serving import graph, images
from serving.shipment import Shipment

OPSET = 17
IMAGE = "image"


def check_installed() -> None:
    """Raises if a package that this module needs is missing."""
    for name in ("tf2onnx", "onnxruntime"):
        _import(name)


def convert(shipment: Shipment) -> bytes:
    """Returns the model; the caller has to decode its outputs, such as heatmaps of poses."""
    tf2onnx = _import("tf2onnx")
    network = graph.network(shipment.blueprint, shipment.arrays)

    def run(image: tf.Tensor) -> Answer:
        undecoded = shipment.task.undecoded(network(images.normalised(image)), shipment.size)
        return {name: _without_bytes(values) for name, values in undecoded.items()}

    spec = tf.TensorSpec((1, *shipment.size, 3), tf.float32, name=IMAGE)
    function = tf.function(run, autograph=False, input_signature=[spec])
    with quiet.converting(), warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        model, _ = tf2onnx.convert.from_function(function, input_signature=[spec], opset=OPSET)
    for name, value in (("name", shipment.name), ("weights_sha256", shipment.digest)):
        entry = model.metadata_props.add()
        entry.key, entry.value = name, value
    return model.SerializeToString()


class OnnxModel:
    """A model in ONNX Runtime that answers as the other formats do."""

    def __init__(self, content: bytes, shipment: Shipment, *, threads: int = 1) -> None:
        runtime = _import("onnxruntime")
        options = runtime.SessionOptions()
        options.intra_op_num_threads = threads
        self._session = runtime.InferenceSession(
            content, options, providers=["CPUExecutionProvider"]
        )
        self._task = shipment.task
        self._names = [output.name for output in self._session.get_outputs()]

    def __call__(self, pixels: np.ndarray) -> Mapping[str, Any]:
        """Returns the answers to uint8 images, run one after another."""
        single = [
            self._session.run(self._names, {IMAGE: image[None].astype(np.float32)})
            for image in pixels
        ]
        found = {
            name: np.concatenate([outputs[place] for outputs in single])
            for place, name in enumerate(self._names)
        }
        return self._task.decoded(found)


def _without_bytes(values: tf.Tensor) -> tf.Tensor:
    """Returns bytes as int32, from before the cast that made them bytes; others unchanged."""
    if values.dtype != tf.uint8:
        return values
    return tf.cast(values.op.inputs[0] if values.op.type == "Cast" else values, tf.int32)


def _import(name: str) -> Any:
    import importlib

    try:
        module = importlib.import_module(name)
        if name == "tf2onnx":
            importlib.import_module("tf2onnx.convert")
        return module
    except ImportError as error:
        raise EnvironmentFault(f"ONNX needs {name}: pip install 'nas-tf[onnx]'") from error
