"""A shipment as ONNX, from which TensorRT builds engines on a Jetson; checked in ONNX Runtime.

The batch is one and every size is fixed, which suits TensorRT best: the device computes no shapes.
Networks that restore pictures, whose layers all have one size, take any height and width instead.
Images are floats of 0–255; bytes are int32, which all versions of TensorRT can output.

Deformable convolutions gather, which every runtime can. ``deform_conv`` makes each a node
``DeformConv`` of opset 19, of which TensorRT has a fast kernel, and older ONNX Runtimes none.
"""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from nas_tf import quiet
from nas_tf.errors import ConfigError, EnvironmentFault
from nas_tf.networks.deformable import offsets_and_mask
from nas_tf.networks.fused import Op
from nas_tf.tasks import Answer
from serving import graph, images
from serving.folding import Weights
from serving.shipment import Shipment

OPSET, OPSET_OF_DEFORM_CONV = 17, 19
IMAGE = "image"
_STAND_IN = "PyFuncStateless"
"""TensorFlow's operation that becomes ``DeformConv``, which it does not have."""
_FIRST, _LAST = (0, 3, 1, 2), (0, 2, 3, 1)
"""The orders of axes that put channels first and last."""


def check_installed() -> None:
    """Raises if a package that this module needs is missing."""
    for name in ("tf2onnx", "onnxruntime"):
        _import(name)


def convert(shipment: Shipment, *, deform_conv: bool = False) -> bytes:
    """Returns the model; the caller has to decode its outputs, such as heatmaps of poses.

    Raises ``ConfigError`` for ``deform_conv`` without a deformable convolution.
    """
    tf2onnx = _import("tf2onnx")
    if deform_conv and all(layer.kind != "deformable" for layer in shipment.shipped.layers):
        raise ConfigError(
            f"{shipment.name} has no deformable convolution for the format onnx-deformconv, "
            "expected the format onnx"
        )
    own = {"deformable": _stand_in} if deform_conv else None
    network = graph.network(shipment.blueprint, shipment.arrays, own=own)

    def run(image: tf.Tensor) -> Answer:
        outputs = network(images.normalised(image))
        undecoded = shipment.task.undecoded(outputs, shipment.answer_size)
        return {name: _without_bytes(values) for name, values in undecoded.items()}

    spec = tf.TensorSpec((1, *shipment.image_shape), tf.float32, name=IMAGE)
    function = tf.function(run, autograph=False, input_signature=[spec])
    with quiet.converting(), warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        model, _ = tf2onnx.convert.from_function(
            function,
            input_signature=[spec],
            opset=OPSET,
            custom_op_handlers={_STAND_IN: (_to_deform_conv, [])} if deform_conv else None,
        )
    if deform_conv:
        _raise_opset(model)
    if shipment.any_size:
        _name_sides(model)
        _state_padding(model)
    for name, value in (("name", shipment.name), ("weights_sha256", shipment.digest)):
        entry = model.metadata_props.add()
        entry.key, entry.value = name, value
    return model.SerializeToString()


def _stand_in(op: Op, read: Sequence[tf.Tensor], weights: Weights) -> tf.Tensor:
    """Emits an operation with the inputs of ``DeformConv``, channels first."""
    offsets, mask = offsets_and_mask(read[1], op.groups)
    x, offsets, mask = (tf.transpose(values, _FIRST) for values in (read[0], offsets, mask))
    kernel = weights.kernel.transpose(3, 2, 0, 1)
    y = tf.numpy_function(
        lambda *_: None, [x, kernel, offsets, weights.bias, mask], tf.float32, stateful=False
    )
    height, width, channels = op.output
    return tf.transpose(tf.reshape(y, (1, channels, height, width)), _LAST)


def _to_deform_conv(context: Any, node: Any, name: str, _: Any) -> None:
    """Replaces a stand-in in the graph of tf2onnx."""
    inputs, outputs = list(node.input), list(node.output)
    x, kernel, offsets = (context.get_shape(each) for each in inputs[:3])
    context.remove_node(name)
    context.make_node(
        "DeformConv",
        inputs,
        outputs=outputs,
        name=name,
        attr={"kernel_shape": kernel[2:], "pads": [1] * 4, "offset_group": offsets[1] // 18},
        shapes=[[1, kernel[0], *x[2:]]],
        dtypes=[context.get_dtype(inputs[0])],
    )


def _raise_opset(model: Any) -> None:
    """Sets the opset of ``DeformConv``; the other nodes mean the same, and tf2onnx ends at 18."""
    for each in model.opset_import:
        if not each.domain:
            each.version = OPSET_OF_DEFORM_CONV
    model.ir_version = _import("onnx").helper.find_min_ir_version_for(model.opset_import)


def _name_sides(model: Any) -> None:
    """Names height and width of an image and of its answers, which tf2onnx numbers."""
    for each in (*model.graph.input, *model.graph.output):
        for axis, name in ((1, "height"), (2, "width")):
            each.type.tensor_type.shape.dim[axis].dim_param = name


def _state_padding(model: Any) -> None:
    """States the padding of convolutions: ONNX Runtime derives none of those that are dilated.

    Those of a network for any size have steps of 1 and odd kernels.
    """
    helper = _import("onnx").helper
    for node in model.graph.node:
        values = {each.name: helper.get_attribute_value(each) for each in node.attribute}
        if node.op_type != "Conv" or values.get("auto_pad") != b"SAME_UPPER":
            continue
        kept = [each for each in node.attribute if each.name != "auto_pad"]
        dilations = values.get("dilations", [1, 1])
        sides = [
            rate * (size - 1) // 2
            for size, rate in zip(values["kernel_shape"], dilations, strict=True)
        ]
        del node.attribute[:]
        node.attribute.extend([*kept, helper.make_attribute("pads", [*sides, *sides])])


class OnnxModel:
    """A model in ONNX Runtime that answers as the other formats do."""

    def __init__(self, content: bytes, shipment: Shipment, *, threads: int = 1) -> None:
        runtime = _import("onnxruntime")
        options = runtime.SessionOptions()
        options.intra_op_num_threads = threads
        missing = _import("onnxruntime.capi.onnxruntime_pybind11_state").NotImplemented
        try:
            self._session = runtime.InferenceSession(
                content, options, providers=["CPUExecutionProvider"]
            )
        except missing as error:
            raise EnvironmentFault(
                f"ONNX Runtime {runtime.__version__} has no DeformConv, expected a newer one, "
                "TensorRT 10.1 or newer, or the format onnx"
            ) from error
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
