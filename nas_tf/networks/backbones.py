"""MobileNetV2 as an encoder: taps, stem, width multiplier, output stride.

Layers have the names of ``keras.applications.MobileNetV2``, so that its weights fit by name.
``same`` padding samples the same pixels as the explicit padding there, at odd sizes too.
"""

from dataclasses import dataclass

from nas_tf.errors import ConfigError
from nas_tf.networks.blueprint import Layer
from nas_tf.networks.draft import Draft

ALPHAS = (0.35, 0.5, 0.75, 1.0, 1.3, 1.4)
OUTPUT_STRIDES = (8, 16, 32)
# The bottleneck groups of the paper's Table 2: first block, blocks, channels, stride, expansion.
_GROUPS = ((0, 1, 16, 1, 1), (1, 2, 24, 2, 6), (3, 3, 32, 2, 6), (6, 4, 64, 2, 6))
_LATE_GROUPS = ((10, 3, 96, 1, 6), (13, 3, 160, 2, 6), (16, 1, 320, 1, 6))
TAP_BLOCKS = (2, 5, 12, 16)
TAP_LAYERS = ("block_2_add", "block_5_add", "block_12_add", "block_16_project_BN")


@dataclass(frozen=True, slots=True, kw_only=True)
class MobileNetV2:
    """A MobileNetV2 of a certain width and output stride.

    ::

        draft = Draft((96, 128))
        taps = MobileNetV2(alpha=0.35).taps(draft)

    Args:
        alpha: Width multiplier.
        output_stride: Stride of the last feature map; below 32 later strides become rates.
    """

    alpha: float = 1.0
    output_stride: int = 32

    def __post_init__(self) -> None:
        if self.alpha not in ALPHAS:
            raise ConfigError(f"alpha is {self.alpha}, expected one of {ALPHAS}")
        if self.output_stride not in OUTPUT_STRIDES:
            raise ConfigError(
                f"output_stride is {self.output_stride}, expected one of {OUTPUT_STRIDES}"
            )

    def taps(self, draft: Draft, last_block: int = 16) -> list[Layer]:
        """Adds the encoder up to a block and returns the taps: blocks 2, 5, 12 and 16.

        Below output stride 32, a block whose stride is left out uses the former rate; the larger
        rate applies from the next block on, as in DeepLab.
        """
        draft.start_part("encoder", epsilon=1e-3, momentum=0.999)
        deepest = min(self.output_stride, 32 if last_block > 5 else 8)
        if not draft.dynamic and min(draft.input_size) < deepest:
            height, width = draft.input_size
            raise ConfigError(
                f"input {height}x{width} is smaller than the encoder's stride, "
                f"expected at least {deepest}x{deepest}"
            )
        x = draft.conv(draft.image(), "Conv1", _channels(32, self.alpha), kernel=3, stride=2)
        x = draft.relu(draft.batch_norm(x, "bn_Conv1"), "Conv1_relu", most=6)
        taps, rate = [], 1
        for first, blocks, channels, group_stride, expansion in (*_GROUPS, *_LATE_GROUPS):
            for block in range(first, min(first + blocks, last_block + 1)):
                stride = group_stride if block == first else 1
                later_rate = rate
                if stride > 1 and x.stride == self.output_stride:
                    later_rate, stride = rate * stride, 1
                width = _channels(channels, self.alpha)
                x = _add_bottleneck(draft, x, block, width, stride, expansion, rate)
                rate = later_rate
                if block in TAP_BLOCKS:
                    taps.append(x)
        return taps


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
