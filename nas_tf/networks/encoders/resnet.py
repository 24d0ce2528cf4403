"""ResNet-50 and ResNet-101 as encoders, with the layers of ``keras.applications``."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from nas_tf.errors import ConfigError
from nas_tf.networks.blueprint import Layer
from nas_tf.networks.draft import Draft
from nas_tf.networks.encoders.base import Encoder, Released

_BLOCKS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}
_MEANS = (123.68, 116.779, 103.939)
"""The mean of each channel, red first, of the photographs of ImageNet in 0–255."""
_RELEASE = "https://storage.googleapis.com/tensorflow/keras-applications/resnet/"


@dataclass(frozen=True, kw_only=True)
class ResNet(Encoder):
    """A ResNet of 50 or 101 layers; its taps are the outputs of the four stages.

    The first layer turns images in [-1, 1] into pixels of 0–255 minus ImageNet's means, which
    the released weights expect. The layers of torchvision are those of
    ``ResNet(stride_in="3x3", bias=False)``.

    Args:
        depth: Number of layers.
        stride_in: The convolution of a stage's first block that has the stride: the first, as in
            ``keras.applications`` and the detectors of the papers, or the second, as in
            torchvision.
        bias: Convolutions have biases, as in ``keras.applications``, although a batch
            normalisation follows each of them. Without, biases of a file become part of the
            means of the normalisations.
    """

    depth: Literal[50, 101] = 50
    stride_in: Literal["1x1", "3x3"] = "1x1"
    bias: bool = True

    def __post_init__(self) -> None:
        for key, accepted in (("depth", (*_BLOCKS,)), ("stride_in", ("1x1", "3x3"))):
            if (value := getattr(self, key)) not in accepted:
                raise ConfigError(f"{key} is {value!r}, expected one of {accepted}")

    @property
    def name(self) -> str:  # type: ignore[override]
        """The name with the depth."""
        return f"resnet{self.depth}"

    def add(
        self, draft: Draft, strides: Sequence[int] | None = None, *, output_stride: int = 32
    ) -> list[Layer]:
        """Adds the layers up to the deepest of the strides; returns the tap of each of them.

        Below output stride 32, 3x3 convolutions have the rate with which they read the same
        pixels as the ones at stride 32.
        """
        strides = self.checked(draft, strides, output_stride)
        draft.start_part("encoder", epsilon=1.001e-5, momentum=0.99)
        mean, deviation = [value / 127.5 - 1 for value in _MEANS], [1 / 127.5] * 3
        x = draft.normalise(draft.image(), "normalise", mean=mean, deviation=deviation)
        x = self._conv(draft, x, "conv1", 64, kernel=7, stride=2)
        x = draft.relu(draft.batch_norm(x, "conv1_bn"), "conv1_relu")
        x = draft.max_pool(x, "pool1_pool", kernel=3, stride=2, symmetric=True)
        taps = {}
        for stage, blocks in enumerate(_BLOCKS[self.depth], 2):
            nominal, stride = 2**stage, 2 if 4 < 2**stage <= output_stride else 1
            if nominal > max(strides):
                break
            rate = max(1, nominal // output_stride)
            first_rate = rate if self.stride_in == "1x1" else max(1, rate // 2)
            for block in range(1, blocks + 1):
                name, first = f"conv{stage}_block{block}", block == 1
                rates = (first_rate, stride) if first else (rate, 1)
                x = self._add_block(draft, x, name, 16 * nominal, *rates, projected=first)
            taps[nominal] = x
        return [taps[stride] for stride in strides]

    def _add_block(
        self,
        draft: Draft,
        x: Layer,
        name: str,
        channels: int,
        rate: int,
        stride: int,
        *,
        projected: bool,
    ) -> Layer:
        """Adds a bottleneck block, its layers in the order of Keras's weight files."""
        first, second = (stride, 1) if self.stride_in == "1x1" else (1, stride)
        y = self._conv(draft, x, f"{name}_1", channels, stride=first)
        y = draft.relu(draft.batch_norm(y, f"{name}_1_bn"), f"{name}_1_relu")
        y = self._conv(draft, y, f"{name}_2", channels, kernel=3, stride=second, rate=rate)
        y = draft.relu(draft.batch_norm(y, f"{name}_2_bn"), f"{name}_2_relu")
        if projected:
            x = self._conv(draft, x, f"{name}_0", 4 * channels, stride=stride)
        y = self._conv(draft, y, f"{name}_3", 4 * channels)
        if projected:
            x = draft.batch_norm(x, f"{name}_0_bn")
        y = draft.batch_norm(y, f"{name}_3_bn")
        return draft.relu(draft.add(x, y, f"{name}_add"), f"{name}_out")

    def _conv(self, draft: Draft, x: Layer, name: str, channels: int, **options: int) -> Layer:
        return draft.conv(x, f"{name}_conv", channels, bias=self.bias, symmetric=True, **options)

    def released(self) -> Released | None:
        """Returns the file of Keras's weights, None for a stride in the 3x3 convolution."""
        if self.stride_in == "3x3":
            return None
        file = f"{self.name}_weights_tf_dim_ordering_tf_kernels_notop.h5"
        return Released(_RELEASE + file, f"{self.name}_imagenet_no_top.weights.h5")

    def loaded(self, stored: Mapping[str, list[Any]]) -> Mapping[str, list[Any]]:
        """Turns the first kernel's channels from blue, green, red into red, green, blue."""
        found = dict(stored)
        if (first := found.get("conv1_conv")) and first[0].ndim == 4:
            found["conv1_conv"] = [first[0][:, :, ::-1], *first[1:]]
        return found if self.bias else _without_biases(found)


def _without_biases(stored: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
    """Subtracts the biases of convolutions from the means of the normalisations after them."""
    found = dict(stored)
    for name, values in stored.items():
        norm = f"{name.removesuffix('_conv')}_bn"
        if name.endswith("_conv") and len(values) == 2 and len(stored.get(norm, ())) == 4:
            kernel, bias = values
            gamma, beta, mean, variance = stored[norm]
            found |= {name: [kernel], norm: [gamma, beta, mean - bias, variance]}
    return found
