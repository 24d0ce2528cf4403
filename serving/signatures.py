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
"""The number of windows of the input's size that are computed at once, which bounds memory."""
IMAGES = "images"
"""The input of all signatures except ``image_bytes``, whose input has the signature's name."""


class Served:
    """A network as TF Serving runs it; batches may be of any size, images of one or of any.

    Its weights are constants, so that TensorFlow can fold them, which variables would prevent. It
    is not a ``tf.Module``: saving one traces its functions again, with another copy of weights.
    """

    def __init__(self, shipment: Shipment) -> None:
        self._task, self._size, self._answer_size = (
            shipment.task,
            shipment.size,
            shipment.answer_size,
        )
        self._geometry, self._shape = shipment.open_geometry, (None, *shipment.image_shape)
        network = graph.network(shipment.blueprint, shipment.arrays, for_conversion=False)
        spec = tf.TensorSpec(self._shape, tf.float32)
        self._outputs = tf.function(network, input_signature=[spec], autograph=False)

    def signatures(self) -> Mapping[str, Any]:
        """Returns the concrete functions by the names of their signatures.

        The default one returns the answer to images of the network's size, ``logits`` the
        network's outputs at their own resolution, and ``image_bytes`` the answer to files.
        """
        files = tf.TensorSpec((None,), tf.string, name=FILES)
        of_images = {DEFAULT: self._answer, LOGITS: dict, **self._task.signatures()}
        if self._answer_size:
            of_images = {
                name: decode
                for name, decode in of_images.items()
                if name not in self._task.float_signatures
            }
        of_files = self.pictured if self._answer_size else self.pictured_by_part
        return {
            FILES: of_files.get_concrete_function(files),
            **{name: self._of_images(name, decode) for name, decode in of_images.items()},
        }

    def _of_images(self, name: str, decode: Callable[[Outputs], Answer]) -> Any:
        """Returns the concrete function that decodes the outputs of images in one way."""
        dtype = tf.float32 if name in self._task.float_signatures else tf.uint8

        @tf.function(autograph=False)
        def run(images: tf.Tensor) -> Answer:
            return decode(self._outputs(normalised(images)))

        return run.get_concrete_function(tf.TensorSpec(self._shape, dtype, name=IMAGES))

    def _answer(self, outputs: Outputs) -> Answer:
        return self._task.answer(outputs, self._answer_size)

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

    @tf.function(autograph=False)
    def pictured_by_part(self, image_bytes: tf.Tensor) -> Answer:
        """Returns the answer to files whose pictures are computed part by part, at any size."""
        answer = tf.function(self._answer_to_file, autograph=False)
        found = answer.get_concrete_function(tf.TensorSpec((), tf.string)).structured_outputs
        signature = tf.nest.map_structure(tf.type_spec_from_value, found)
        return tf.map_fn(
            self._answer_to_file,
            image_bytes,
            fn_output_signature=signature,
            parallel_iterations=1,
        )

    def _answer_to_file(self, file: tf.Tensor) -> Answer:
        windows, size = self._cut(file)
        return self._join((self._in_chunks(windows), size))

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
        """Returns the primary answer to windows, ``CHUNK`` at a time, or parts of any size."""
        count = CHUNK if self._answer_size else 1
        chunk = tf.function(self._primary_answer, autograph=False).get_concrete_function(
            tf.TensorSpec(self._shape, tf.uint8)
        )
        signature = {
            name: tf.RaggedTensorSpec(output.shape, output.dtype, ragged_rank=0)
            for name, output in chunk.structured_outputs.items()
        }
        found = tf.map_fn(
            lambda start: chunk(windows[start : start + count]),
            tf.range(0, tf.shape(windows)[0], count),
            fn_output_signature=signature,
            parallel_iterations=1,
        )
        return {name: ragged.flat_values for name, ragged in found.items()}
