"""Xception as an encoder, with the layers of ``keras.applications.Xception``."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from nas_tf.networks.blueprint import Layer
from nas_tf.networks.draft import Draft
from nas_tf.networks.encoders.base import Encoder, Released

# Number of a block, the stride of the map that it reads and the channels of its convolutions.
_ENTRY = ((2, 2, (128, 128)), (3, 4, (256, 256)), (4, 8, (728, 728)))
_MIDDLE = tuple((block, 16, (728, 728, 728)) for block in range(5, 13))
_EXIT = ((13, 16, (728, 1024)), (14, 32, (1536, 2048)))
_TAP_BLOCKS = {4: 3, 8: 4, 16: 13, 32: 14}
_RELEASE = "https://storage.googleapis.com/tensorflow/keras-applications/xception/"


@dataclass(frozen=True, kw_only=True)
class Xception(Encoder):
    """Xception; its taps are the last convolutions at each stride, of blocks 3, 4, 13 and 14.

    The taps come before the pooling that has the next stride, as in DeepLab. The first two
    convolutions have no padding, so maps are up to 2 smaller than the image over the stride.
    """

    name: ClassVar[str] = "xception"

    def add(
        self, draft: Draft, strides: Sequence[int] | None = None, *, output_stride: int = 32
    ) -> list[Layer]:
        """Adds the layers up to the deepest of the strides; returns the tap of each of them.

        Below output stride 32, a pooling whose stride is left out reads neighbouring pixels, and
        the blocks after it have the larger rate, as in DeepLab.
        """
        strides = self.checked(draft, strides, output_stride)
        draft.start_part("encoder", epsilon=1e-3, momentum=0.99)
        x = draft.image()
        for n, channels, stride in ((1, 32, 2), (2, 64, 1)):
            name = f"block1_conv{n}"
            x = draft.conv(x, name, channels, kernel=3, stride=stride, valid=True)
            x = draft.relu(draft.batch_norm(x, f"{name}_bn"), f"{name}_act")
        taps = {}
        for block, nominal, widths in (*_ENTRY, *_MIDDLE, *_EXIT):
            if block > _TAP_BLOCKS[max(strides)]:
                break
            rate, source = max(1, nominal // output_stride), x
            for n, channels in enumerate(widths, 1):
                x = _add_separable(draft, x, block, n, channels, rate)
            taps[block] = x
            if len(widths) == 3:
                x = draft.add(x, source, f"block{block}_add")
            elif block < 14:
                stride = 2 if 2 * nominal <= output_stride else 1
                x = _add_pooled(draft, x, source, f"block{block}", stride)
        return [taps[_TAP_BLOCKS[stride]] for stride in strides]

    def released(self) -> Released:
        """Returns the file of Keras's weights."""
        file = "xception_weights_tf_dim_ordering_tf_kernels_notop.h5"
        return Released(_RELEASE + file, "xception_imagenet_no_top.weights.h5")


def _add_separable(draft: Draft, x: Layer, block: int, n: int, channels: int, rate: int) -> Layer:
    """Adds a separable convolution, after a ReLU or, in the last block, before it."""
    name, is_last = f"block{block}_sepconv{n}", block == 14
    if not is_last and (block, n) != (2, 1):
        x = draft.relu(x, f"{name}_act")
    x = draft.depthwise(x, f"{name}.depthwise", kernel=3, rate=(rate, rate))
    x = draft.batch_norm(draft.conv(x, f"{name}.pointwise", channels), f"{name}_bn")
    return draft.relu(x, f"{name}_act") if is_last else x


def _add_pooled(draft: Draft, x: Layer, source: Layer, name: str, stride: int) -> Layer:
    """Adds max-pooling and its sum with a projection of the block's input."""
    y = draft.conv(source, f"{name}_residual", x.channels, stride=stride)
    y = draft.batch_norm(y, f"{name}_residual_bn")
    x = draft.max_pool(x, f"{name}_pool", kernel=3, stride=stride)
    return draft.add(x, y, f"{name}_add")
