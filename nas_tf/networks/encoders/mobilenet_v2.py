"""MobileNetV2 as an encoder: taps, width multiplier, output stride.

``same`` padding samples the same pixels as the explicit padding of
``keras.applications.MobileNetV2``, at odd sizes too.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from nas_tf.errors import ConfigError
from nas_tf.networks.blueprint import Layer
from nas_tf.networks.draft import Draft
from nas_tf.networks.encoders.base import Encoder, Released

ALPHAS = (0.35, 0.5, 0.75, 1.0, 1.3, 1.4)
# The bottleneck groups of the paper's Table 2: first block, blocks, channels, stride, expansion.
_GROUPS = ((0, 1, 16, 1, 1), (1, 2, 24, 2, 6), (3, 3, 32, 2, 6), (6, 4, 64, 2, 6))
_LATE_GROUPS = ((10, 3, 96, 1, 6), (13, 3, 160, 2, 6), (16, 1, 320, 1, 6))
_TAP_BLOCKS = {4: 2, 8: 5, 16: 12, 32: 16}
_RELEASE = "https://storage.googleapis.com/tensorflow/keras-applications/mobilenet_v2/"


@dataclass(frozen=True, kw_only=True)
class MobileNetV2(Encoder):
    """A MobileNetV2 of a certain width; its taps are blocks 2, 5, 12 and 16.

    The decoder of DeepLabv3+ reads the depthwise convolution of block 2, as released.

    Args:
        alpha: Width multiplier.
    """

    name: ClassVar[str] = "mobilenet_v2"
    low_level: ClassVar[str | None] = "block_2_depthwise_relu"
    alpha: float = 1.0

    def __post_init__(self) -> None:
        if self.alpha not in ALPHAS:
            accepted = ", ".join(map(str, ALPHAS))
            raise ConfigError(f"alpha is {self.alpha}, expected one of {accepted}")

    def __str__(self) -> str:
        return f"{self.name} of alpha {self.alpha}"

    def add(
        self, draft: Draft, strides: Sequence[int] | None = None, *, output_stride: int = 32
    ) -> list[Layer]:
        """Adds the layers up to the deepest of the strides; returns the tap of each of them.

        Below output stride 32, a block whose stride is left out uses the former rate; the larger
        rate applies from the next block on, as in DeepLab.
        """
        strides = self.checked(draft, strides, output_stride)
        draft.start_part("encoder", epsilon=1e-3, momentum=0.999)
        x = draft.conv(draft.image(), "Conv1", _channels(32, self.alpha), kernel=3, stride=2)
        x = draft.relu(draft.batch_norm(x, "bn_Conv1"), "Conv1_relu", most=6)
        added, rate, last_block = [x], 1, _TAP_BLOCKS[max(strides)]
        for first, blocks, channels, group_stride, expansion in (*_GROUPS, *_LATE_GROUPS):
            for block in range(first, min(first + blocks, last_block + 1)):
                stride = group_stride if block == first else 1
                later_rate = rate
                if stride > 1 and x.stride == output_stride:
                    later_rate, stride = rate * stride, 1
                width = _channels(channels, self.alpha)
                x = _add_bottleneck(draft, x, block, width, stride, expansion, rate)
                rate = later_rate
                added.append(x)
        return [added[1 + _TAP_BLOCKS[stride]] for stride in strides]

    def released(self) -> Released:
        """Returns the file of Keras's weights of that width."""
        file = f"mobilenet_v2_weights_tf_dim_ordering_tf_kernels_{self.alpha}_224_no_top.h5"
        return Released(_RELEASE + file, f"mobilenet_v2_{self.alpha}_imagenet_no_top.weights.h5")


DRAWN = MobileNetV2(alpha=0.35)
"""The encoder whose weights come with this package, ``network.weights=drawn``."""


def _channels(channels: int, alpha: float) -> int:
    """Returns the nearest multiple of eight that is at most a tenth below the scaled channels."""
    scaled = channels * alpha
    rounded = max(8, int(scaled + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * scaled else rounded


def _add_bottleneck(
    draft: Draft, x: Layer, block: int, channels: int, stride: int, expansion: int, rate: int
) -> Layer:
    name = f"block_{block}_" if block else "expanded_conv_"
    source = x
    if block:
        x = draft.conv(x, f"{name}expand", expansion * x.channels)
        x = draft.relu(draft.batch_norm(x, f"{name}expand_BN"), f"{name}expand_relu", most=6)
    x = draft.depthwise(x, f"{name}depthwise", kernel=3, stride=stride, rate=(rate, rate))
    x = draft.relu(draft.batch_norm(x, f"{name}depthwise_BN"), f"{name}depthwise_relu", most=6)
    x = draft.batch_norm(draft.conv(x, f"{name}project", channels), f"{name}project_BN")
    if stride == 1 and source.channels == channels:
        x = draft.add(source, x, f"{name}add")
    return x
