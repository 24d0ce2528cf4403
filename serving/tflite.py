"""A shipment as a TFLite model: RGB pixels of 0–255 in, the task's answer out.

Dilated convolutions stay single operations because the input's size is fixed. The model includes
normalisation, and the task's resizing and decoding of the outputs. In 8 bits, the operations that
``in_float`` names are computed in float.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal, get_args

import flatbuffers
import numpy as np
import tensorflow as tf
from tensorflow.lite.python import convert as lite_convert
from tensorflow.lite.python import schema_py_generated as schema

from nas_tf import quiet
from nas_tf.errors import ConfigError
from nas_tf.networks.arithmetic import IN_FLOAT
from nas_tf.sizes import Size
from nas_tf.tasks import Answer, Outputs
from serving import graph, images, lite_metadata
from serving.shipment import Shipment

Kind = Literal["fp32", "fp16", "int8"]
KINDS: tuple[Kind, ...] = get_args(Kind)
LEAST_SAMPLES = 8
_CONVOLUTIONS = (
    schema.BuiltinOperator.CONV_2D,
    schema.BuiltinOperator.DEPTHWISE_CONV_2D,
)
_FINEST = 128
"""Half of the most that XNNPACK takes as the ratio of steps, since ranges are rounded."""


def convert(shipment: Shipment, kind: Kind, samples: Iterable[np.ndarray] = ()) -> bytes:
    """Returns the model of one kind, with its metadata and the file of its labels.

    Args:
        shipment: The network to convert.
        kind: ``fp32``; ``fp16``, half the size; ``int8``, a quarter. ``int8`` takes bytes, the
            others the same values as floats. ``int8`` returns heatmaps of poses, undecoded:
            TFLite ends the process when joints are decoded from quantised maps.
        samples: For ``int8``, uint8 images [height, width, 3] that calibrate its ranges.
    """
    task = shipment.task
    is_decoded = kind != "int8" or task.decodes_in_float
    converter = _converter(shipment, task.answer if is_decoded else task.undecoded)
    if kind == "fp16":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.target_spec.supported_types = [tf.float16]
    if kind == "int8":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = _representative(shipment, samples)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter._experimental_calibrate_only = True
    with quiet.converting():
        model = converter.convert()
        if kind == "int8":
            model = _widened(model)
            model = lite_convert.mlir_quantize(model, input_data_type=tf.uint8, **_in_float(model))
    return lite_metadata.attached(model, shipment.about() | {"kind": kind})


def _widened(model: bytes) -> bytes:
    """Returns a calibrated model without output ranges that are too narrow for XNNPACK.

    It refuses a convolution whose output has steps 256 times finer than the product of a step of
    its input and one of its kernel, and LiteRT 2.3 then ends the process. Such a range belongs to
    a map that is all but zero; a wider one loses nothing.
    """
    tables = schema.ModelT.InitFromObj(schema.Model.GetRootAs(model, 0))
    (graph,), is_changed = tables.subgraphs, False
    for operator in graph.operators:
        if tables.operatorCodes[operator.opcodeIndex].builtinCode not in _CONVOLUTIONS:
            continue
        source, kernel, output = (
            graph.tensors[place] for place in (*operator.inputs[:2], operator.outputs[0])
        )
        read, written = _range(source), _range(output)
        data = tables.buffers[kernel.buffer].data
        if data is None or read is None or written is None:
            continue
        (_, width), (low, own) = read, written
        weights = np.frombuffer(bytes(data), np.float32)
        least = width * float(np.abs(weights).max()) / 127 / _FINEST
        if own < least:
            output.quantization.min, output.quantization.max = [low], [low + least]
            is_changed = True
    if not is_changed:
        return model
    builder = flatbuffers.Builder(len(model))
    builder.Finish(tables.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _range(tensor: Any) -> tuple[float, float] | None:
    """Returns the calibrated minimum, at most 0, and the width of the range; None without one."""
    found = tensor.quantization
    if found is None or found.min is None or found.max is None:
        return None
    low = min(0.0, float(found.min[0]))
    return low, max(0.0, float(found.max[0])) - low


def _in_float(model: bytes) -> dict[str, list[str]]:
    """Returns the operations that are computed in float, as the quantiser names them.

    It finds them by their output, and those with several by their kind. Outputs of the model have
    names of their own: they are computed in float if what they are computed from is.
    """
    tables = schema.ModelT.InitFromObj(schema.Model.GetRootAs(model, 0))
    (graph,) = tables.subgraphs
    names = [tensor.name.decode() for tensor in graph.tensors]
    kinds = {code: kind for kind, code in vars(schema.BuiltinOperator).items()}
    in_float = {place for place, name in enumerate(names) if IN_FLOAT in name}
    nodes, several = [], set()
    for operator in graph.operators:
        first = operator.outputs[0]
        if first in in_float and len(operator.outputs) > 1:
            several.add(kinds[tables.operatorCodes[operator.opcodeIndex].builtinCode])
        elif first in in_float or (
            first in graph.outputs and in_float.intersection(operator.inputs)
        ):
            nodes.append(names[first])
    return {"denylisted_nodes": nodes, "denylisted_ops": sorted(several)}


def _converter(
    shipment: Shipment, answer: Callable[[Outputs, Size | None], Answer]
) -> tf.lite.TFLiteConverter:
    """Returns a converter for one float image; a cast from bytes is an operation no delegate runs.

    The quantiser changes the input to bytes.
    """
    network = graph.network(shipment.blueprint, shipment.arrays)

    def run(image: tf.Tensor) -> Answer:
        return answer(network(images.normalised(image)), shipment.answer_size)

    module = tf.Module()
    module.run = tf.function(run, autograph=False)
    spec = tf.TensorSpec((1, *shipment.size, 3), tf.float32, name="image")
    concrete = module.run.get_concrete_function(spec)
    return tf.lite.TFLiteConverter.from_concrete_functions([concrete], module)


def _representative(
    shipment: Shipment, samples: Iterable[np.ndarray]
) -> Callable[[], Iterable[list[np.ndarray]]]:
    calibration = list(samples)
    check_samples(shipment, calibration)
    return lambda: ([image[None].astype(np.float32)] for image in calibration)


def check_samples(shipment: Shipment, samples: Sequence[np.ndarray]) -> None:
    """Raises if the samples are too few or of the wrong shape to calibrate int8."""
    if len(samples) < LEAST_SAMPLES:
        raise ConfigError(
            f"int8 takes its ranges from images and got {len(samples)}, expected {LEAST_SAMPLES} "
            "or more that resemble those it will see"
        )
    wanted = (*shipment.size, 3)
    for sample in samples:
        if sample.shape != wanted:
            raise ConfigError(f"a sample is of shape {sample.shape}, expected {wanted}")
