"""A shipment as a TFLite model: RGB pixels of 0–255 in, labels, depths or joints out.

Dilated convolutions stay single operations because the input's size is fixed; normalisation, the
enlarging of the logits and what a task reads from them are within the model.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Literal, get_args

import numpy as np
import tensorflow as tf

from nas_tf import quiet
from nas_tf.errors import ConfigError
from serving import answers, graph, images, lite_metadata
from serving.shipment import Shipment

Kind = Literal["fp32", "fp16", "int8"]
KINDS: tuple[Kind, ...] = get_args(Kind)
LEAST_SAMPLES = 8


def convert(shipment: Shipment, kind: Kind, samples: Iterable[np.ndarray] = ()) -> bytes:
    """The model of one kind, with its metadata and the file of its labels.

    Args:
        shipment: What is converted.
        kind: ``fp32``; ``fp16``, half the size; ``int8``, a quarter, which takes bytes, the others
            the same as floats. Of poses int8 gives the heatmaps alone: TFLite ends the process
            where joints are to be read from maps that were quantised.
        samples: For int8, images as bytes [height, width, 3] that its ranges are taken from.
    """
    converter = _converter(shipment, answers.unread if kind == "int8" else answers.answer)
    if kind == "fp16":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.target_spec.supported_types = [tf.float16]
    if kind == "int8":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = _representative(shipment, samples)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = tf.uint8
    with quiet.converting():
        model = converter.convert()
    return lite_metadata.attached(model, shipment.about() | {"kind": kind})


def _converter(
    shipment: Shipment, answer: Callable[..., answers.Answer]
) -> tf.lite.TFLiteConverter:
    """Of a function of one image, as floats: a cast would be an operation that no delegate runs.

    The quantiser makes them bytes.
    """
    network = graph.network(shipment.blueprint, shipment.arrays)

    def run(image: tf.Tensor) -> answers.Answer:
        logits = network(images.normalised(image))
        return answer(shipment.task, logits, shipment.size)

    module = tf.Module()
    module.run = tf.function(run, autograph=False)
    spec = tf.TensorSpec((1, *shipment.size, 3), tf.float32, name="image")
    concrete = module.run.get_concrete_function(spec)
    return tf.lite.TFLiteConverter.from_concrete_functions([concrete], module)


def _representative(
    shipment: Shipment, samples: Iterable[np.ndarray]
) -> Callable[[], Iterable[list[np.ndarray]]]:
    seen = list(samples)
    check_samples(shipment, seen)
    return lambda: ([sample[None].astype(np.float32)] for sample in seen)


def check_samples(shipment: Shipment, samples: Sequence[np.ndarray]) -> None:
    """Raises where int8 could not take its ranges from these."""
    if len(samples) < LEAST_SAMPLES:
        raise ConfigError(
            f"int8 takes its ranges from images and got {len(samples)}, expected {LEAST_SAMPLES} "
            "or more that are like those it will see"
        )
    wanted = (*shipment.size, 3)
    for sample in samples:
        if sample.shape != wanted:
            raise ConfigError(f"a sample is of shape {sample.shape}, expected {wanted}")
