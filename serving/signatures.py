"""The signatures of an endpoint: a network and its task as functions of images."""

from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf

from nas_tf.tasks import Answer, Outputs
from serving import graph
from serving.images import normalised, upright
from serving.shipment import Shipment

DEFAULT, FILES, LOGITS = "serving_default", "image_bytes", "logits"
CHUNK = 16
"""The number of windows that are computed at once, which bounds the memory of large pictures."""
IMAGES = "images"
"""The input of all signatures except ``image_bytes``, whose input has the signature's name."""


class Served:
    """A network as TF Serving runs it; batches may be of any size, images of one.

    Its weights are constants, so that TensorFlow can fold them, which variables would prevent. It
    is not a ``tf.Module``: saving one traces its functions again, with another copy of weights.
    """

    def __init__(self, shipment: Shipment) -> None:
        self._task, self._size = shipment.task, shipment.size
        self._geometry = shipment.geometry
        network = graph.network(shipment.blueprint, shipment.arrays, for_conversion=False)
        spec = tf.TensorSpec((None, *self._size, 3), tf.float32)
        self._outputs = tf.function(network, input_signature=[spec], autograph=False)

    def signatures(self) -> Mapping[str, Any]:
        """Returns the concrete functions by the names of their signatures.

        The default one returns the answer to images of the network's size, ``logits`` the
        network's outputs at their own resolution, and ``image_bytes`` the answer to files.
        """
        files = tf.TensorSpec((None,), tf.string, name=FILES)
        of_images = {DEFAULT: self._answer, LOGITS: dict, **self._task.signatures()}
        return {
            FILES: self.pictured.get_concrete_function(files),
            **{name: self._of_images(decode) for name, decode in of_images.items()},
        }

    def _of_images(self, decode: Callable[[Outputs], Answer]) -> Any:
        """Returns the concrete function that decodes the outputs of images in one way."""

        @tf.function(autograph=False)
        def run(images: tf.Tensor) -> Answer:
            return decode(self._outputs(normalised(images)))

        return run.get_concrete_function(
            tf.TensorSpec((None, *self._size, 3), tf.uint8, name=IMAGES)
        )

    def _answer(self, outputs: Outputs) -> Answer:
        return self._task.answer(outputs, self._size)

    @tf.function(autograph=False)
    def pictured(self, image_bytes: tf.Tensor) -> Answer:
        """Returns the answer to JPEG and PNG files of any size, at their own size."""
        windows = tf.RaggedTensorSpec((None, *self._size, 3), tf.uint8, ragged_rank=0)
        cut, sizes = tf.map_fn(
            self._cut, image_bytes, fn_output_signature=(windows, tf.TensorSpec((2,), tf.int32))
        )
        found = self._in_chunks(cut.flat_values)
        parts = {name: cut.with_flat_values(values) for name, values in found.items()}
        specs = {name: tf.TensorSpec((None, *v.shape[1:]), v.dtype) for name, v in found.items()}
        join = tf.function(self._join, autograph=False)
        joined = join.get_concrete_function((specs, tf.TensorSpec((2,), tf.int32)))
        signature = tf.nest.map_structure(tf.type_spec_from_value, joined.structured_outputs)
        return tf.map_fn(self._join, (parts, sizes), fn_output_signature=signature)

    def _cut(self, file: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        picture = upright(file)
        return self._geometry.cut(picture), tf.shape(picture)[:2]

    def _join(self, part: tuple[Answer, tf.Tensor]) -> Answer:
        """Returns the answer to a file from that to the windows of its picture, and its size."""
        windows, size = part
        return self._task.to_file(self._task.in_picture(windows, self._geometry, size))

    def _primary_answer(self, windows: tf.Tensor) -> Answer:
        answer = self._answer(self._outputs(normalised(windows)))
        return {name: answer[name] for name in self._task.primary}

    def _in_chunks(self, windows: tf.Tensor) -> Answer:
        """Returns the primary answer to windows, computed ``CHUNK`` windows at a time."""
        chunk = tf.function(self._primary_answer, autograph=False).get_concrete_function(
            tf.TensorSpec((None, *self._size, 3), tf.uint8)
        )
        signature = {
            name: tf.RaggedTensorSpec(output.shape, output.dtype, ragged_rank=0)
            for name, output in chunk.structured_outputs.items()
        }
        found = tf.map_fn(
            lambda start: chunk(windows[start : start + CHUNK]),
            tf.range(0, tf.shape(windows)[0], CHUNK),
            fn_output_signature=signature,
            parallel_iterations=1,
        )
        return {name: ragged.flat_values for name, ragged in found.items()}
