"""The signatures of an endpoint: a network and its task as functions of images."""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from nas_tf.tasks import Segmentation
from serving import answers, graph, images
from serving.answers import Answer
from serving.shipment import Shipment

DEFAULT, FILES, LOGITS, PROBABILITIES = "serving_default", "image_bytes", "logits", "probabilities"
_PRIMARY = ("mask", "depth", "keypoints")
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
        self._logits = tf.function(network, input_signature=[spec], autograph=False)

    def signatures(self) -> Mapping[str, Any]:
        """Returns the concrete functions by the names of their signatures."""
        pixels = tf.TensorSpec((None, *self._size, 3), tf.uint8, name=IMAGES)
        files = tf.TensorSpec((None,), tf.string, name=FILES)
        found = {
            DEFAULT: self.answered.get_concrete_function(pixels),
            FILES: self.pictured.get_concrete_function(files),
            LOGITS: self.logits.get_concrete_function(pixels),
        }
        if isinstance(self._task, Segmentation):
            found[PROBABILITIES] = self.probabilities.get_concrete_function(pixels)
        return found

    @tf.function(autograph=False)
    def answered(self, images: tf.Tensor) -> Answer:
        """Returns labels, depths or joints of images of the network's size."""
        return answers.answer(self._task, self._scaled_logits(images), self._size)

    @tf.function(autograph=False)
    def pictured(self, image_bytes: tf.Tensor) -> Answer:
        """Returns the answer to JPEG and PNG files of any size, at their own size."""
        windows = tf.RaggedTensorSpec((None, *self._size, 3), tf.uint8, ragged_rank=0)
        cut, sizes = tf.map_fn(
            self._cut, image_bytes, fn_output_signature=(windows, tf.TensorSpec((2,), tf.int32))
        )
        maps = cut.with_flat_values(self._in_chunks(cut.flat_values))
        return answers.of_files(self._task, maps, self._geometry, sizes)

    def _cut(self, file: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        picture = images.upright(file)
        return self._geometry.cut(picture), tf.shape(picture)[:2]

    def _primary_answer(self, windows: tf.Tensor) -> tf.Tensor:
        answer = answers.answer(self._task, self._scaled_logits(windows), self._size)
        return answer[next(name for name in _PRIMARY if name in answer)]

    def _in_chunks(self, windows: tf.Tensor) -> tf.Tensor:
        """Returns labels, depths or joints of windows, computed ``CHUNK`` windows at a time."""
        chunk = tf.function(self._primary_answer, autograph=False).get_concrete_function(
            tf.TensorSpec((None, *self._size, 3), tf.uint8)
        )
        (output,) = chunk.outputs
        found = tf.map_fn(
            lambda start: chunk(windows[start : start + CHUNK]),
            tf.range(0, tf.shape(windows)[0], CHUNK),
            fn_output_signature=tf.RaggedTensorSpec(output.shape, output.dtype, ragged_rank=0),
            parallel_iterations=1,
        )
        return found.flat_values

    @tf.function(autograph=False)
    def logits(self, images: tf.Tensor) -> Answer:
        """Returns the network's output at its own resolution."""
        return {"logits": self._scaled_logits(images)}

    @tf.function(autograph=False)
    def probabilities(self, images: tf.Tensor) -> Answer:
        """Returns the probabilities of the classes, at the resolution of the logits."""
        return {"probabilities": tf.nn.softmax(self._scaled_logits(images))}

    def _scaled_logits(self, pixels: tf.Tensor) -> tf.Tensor:
        return self._logits(images.normalised(pixels))
