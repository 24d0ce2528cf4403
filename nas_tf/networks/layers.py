"""The two layers that Keras lacks; registered, so that saved models load by themselves."""

from typing import Any

import tensorflow as tf
from tensorflow import keras


@keras.utils.register_keras_serializable("nas_tf")
class Resize(keras.layers.Layer):
    """Bilinear resizing to a fixed size, or to the size of a second input.

    Args:
        size: Height and width, or None to take them from the second input.
        corners: Align corner pixels (the released DPC code) instead of half-pixel centres.
    """

    def __init__(
        self, size: tuple[int, int] | None = None, *, corners: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.size, self.corners = size, corners

    def call(self, inputs: Any) -> tf.Tensor:
        """Resizes and keeps the type of the input."""
        x = inputs if self.size is not None else inputs[0]
        size = self.size if self.size is not None else tf.shape(inputs[1])[1:3]
        resized = tf.raw_ops.ResizeBilinear(
            images=x, size=size, align_corners=self.corners, half_pixel_centers=not self.corners
        )
        return tf.cast(resized, x.dtype)

    def get_config(self) -> dict[str, Any]:
        """Size and alignment."""
        return {**super().get_config(), "size": self.size, "corners": self.corners}


@keras.utils.register_keras_serializable("nas_tf")
class Zero(keras.layers.Layer):
    """The operation ``zero``: a map of zeros whose gradient is zero rather than absent."""

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Multiplies by zero."""
        return inputs * tf.zeros((), inputs.dtype)
