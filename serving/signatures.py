"""What an endpoint can be asked: a network and its task as functions of images."""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from nas_tf.tasks import Segmentation
from serving import answers, graph, images
from serving.answers import Answer
from serving.shipment import Shipment

DEFAULT, FILES, LOGITS, PROBABILITIES = "serving_default", "image_bytes", "logits", "probabilities"
IMAGES = "images"
"""Name of the input of all signatures but that of files, whose input is named like it."""


class Served:
    """A network as TF Serving runs it; batches may be of any size, images of one.

    Its weights are constants: TensorFlow then folds what it can, which variables forbid. It is no
    ``tf.Module``, for what is saved traces the functions of a module anew, weights and all.
    """

    def __init__(self, shipment: Shipment) -> None:
        self._task, self._size = shipment.task, shipment.size
        network = graph.network(shipment.blueprint, shipment.arrays, whole=False)
        spec = tf.TensorSpec((None, *self._size, 3), tf.float32)
        self._logits = tf.function(network, input_signature=[spec], autograph=False)

    def signatures(self) -> Mapping[str, Any]:
        """The concrete functions by the names of their signatures."""
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
        """Labels, depths or joints of images of the network's size."""
        return answers.answer(self._task, self._of(images), self._size)

    @tf.function(autograph=False)
    def pictured(self, image_bytes: tf.Tensor) -> Answer:
        """The answer to JPEG and PNG files of any size, at their own size."""
        floats = tf.TensorSpec((*self._size, 3), tf.float32)
        pixels, sizes = tf.map_fn(
            lambda file: images.decoded(file, self._size),
            image_bytes,
            fn_output_signature=(floats, tf.TensorSpec((2,), tf.int32)),
        )
        given = answers.answer(self._task, self._of(pixels), self._size)
        return answers.pictured(self._task, given, self._size, sizes)

    @tf.function(autograph=False)
    def logits(self, images: tf.Tensor) -> Answer:
        """The network's own output, at its own resolution."""
        return {"logits": self._of(images)}

    @tf.function(autograph=False)
    def probabilities(self, images: tf.Tensor) -> Answer:
        """Of the classes, at the resolution of the logits."""
        return {"probabilities": tf.nn.softmax(self._of(images))}

    def _of(self, pixels: tf.Tensor) -> tf.Tensor:
        return self._logits(images.normalised(pixels))
