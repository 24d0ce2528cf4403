"""The layers that Keras does not have.

Their registered names are stored in saved models and must not change.
"""

import inspect
from collections.abc import Iterable
from typing import Any

import tensorflow as tf
from tensorflow import keras

from nas_tf.networks.arithmetic import grouped_conv, luma, mix_weights, mixed
from nas_tf.networks.deformable import deformable_conv, offsets_and_mask


class Configured(keras.layers.Layer):
    """A layer whose configuration holds its arguments, which are attributes of their names."""

    def get_config(self) -> dict[str, Any]:
        """Returns the configuration with the arguments."""
        names = [name for name in inspect.signature(type(self)).parameters if name != "kwargs"]
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


@keras.utils.register_keras_serializable("nas_tf")
class Resize(Configured):
    """Bilinear resizing to a fixed size, or to the size of a second input.

    ::

        small = Resize((32, 48))(image)
        like_other = Resize()([image, other])

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
        """Resizes the first input and returns the result in its type."""
        x = inputs if self.size is not None else inputs[0]
        size = self.size if self.size is not None else tf.shape(inputs[1])[1:3]
        resized = tf.raw_ops.ResizeBilinear(
            images=x, size=size, align_corners=self.corners, half_pixel_centers=not self.corners
        )
        return tf.cast(resized, x.dtype)


@keras.utils.register_keras_serializable("nas_tf")
class Zero(keras.layers.Layer):
    """The operation ``zero``: a map of zeros whose gradient is zero rather than absent."""

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Returns the input multiplied by zero."""
        return inputs * tf.zeros((), inputs.dtype)


@keras.utils.register_keras_serializable("nas_tf")
class Luma(keras.layers.Layer):
    """The brightness of three channels."""

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Returns one channel."""
        return luma(inputs)


@keras.utils.register_keras_serializable("nas_tf")
class Scale(keras.layers.Layer):
    """A learned factor for all values, initially 1."""

    def build(self, input_shape: Any) -> None:
        """Creates the factor."""
        self.kernel = self.add_weight("kernel", (1, 1, 1, 1), initializer="ones")

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Returns the input times the factor."""
        return inputs * self.kernel


@keras.utils.register_keras_serializable("nas_tf")
class GroupedConv(keras.layers.Conv2D):
    """A convolution in groups that can be trained on a CPU, unlike that of ``Conv2D``."""

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Returns the convolution of the input."""
        options = {
            "groups": self.groups,
            "stride": self.strides[0],
            "padding": self.padding,
            "rate": self.dilation_rate,
        }
        y = grouped_conv(inputs, self.kernel, options)
        return tf.nn.bias_add(y, self.bias) if self.use_bias else y


@keras.utils.register_keras_serializable("nas_tf")
class DeformableConv(Configured):
    """A modulated deformable 3x3 convolution with bias; its second input has offsets and mask.

    Args:
        filters: Number of output channels.
        groups: Number of groups of channels with offsets of their own.
    """

    def __init__(self, filters: int, groups: int = 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.filters, self.groups = filters, groups

    def build(self, input_shape: Any) -> None:
        """Creates kernel and bias."""
        channels = input_shape[0][-1]
        self.kernel = self.add_weight("kernel", (3, 3, channels, self.filters))
        self.bias = self.add_weight("bias", (self.filters,), initializer="zeros")

    def call(self, inputs: Any) -> tf.Tensor:
        """Returns the convolution of the first input at the offsets of the second."""
        x, raw = inputs
        sampled = offsets_and_mask(raw, self.groups)
        y = deformable_conv(x, *sampled, self.kernel, groups=self.groups)
        return tf.nn.bias_add(y, self.bias)


@keras.utils.register_keras_serializable("nas_tf")
class Table(Configured):
    """A table of architecture weights, initially 1; it ignores its input."""

    def __init__(self, rows: int, columns: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.rows, self.columns = rows, columns

    def build(self, input_shape: Any) -> None:
        """Creates the table."""
        self.table = self.add_weight("table", (self.rows, self.columns), initializer="ones")

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Returns the table."""
        return tf.identity(self.table)


@keras.utils.register_keras_serializable("nas_tf")
class Mix(Configured):
    """A sum of maps, weighted by entries of the softmax over the rows of its first input.

    Args:
        entries: Row and column of the weight of each map.
        masked: Entries without a share of their row.
    """

    def __init__(
        self,
        entries: Iterable[tuple[int, int]],
        masked: Iterable[tuple[int, int]] = (),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.entries, self.masked = [*map(tuple, entries)], [*map(tuple, masked)]

    def call(self, inputs: Any) -> tf.Tensor:
        """Returns the weighted sum of all inputs but the first."""
        return mixed(mix_weights(inputs[0], self.entries, self.masked), inputs[1:])
