"""Builds decoders designed by hand: Light-Weight RefineNet (BMVC 2018) and U-Net."""

from collections.abc import Sequence

from nas_tf.genotype import Genotype
from nas_tf.networks.blueprint import Layer
from nas_tf.networks.draft import Draft
from nas_tf.networks.heads import Head, classifier
from nas_tf.networks.ops import conv_bn_relu
from nas_tf.networks.settings import Builder, Settings
from nas_tf.spaces.baseline import BaselineSpace, network_of

_POOLINGS = 4
_INIT = "truncated_normal:0.01"
"""The initial weights: without batch norms, larger ones would grow from sum to sum."""


def add_network(draft: Draft, genotype: Genotype, head: Head, settings: Settings) -> None:
    """Adds the encoder, a decoder of its four taps, and the classifier at stride 4."""
    taps = settings.encoder.add(draft, BaselineSpace.taps)
    draft.start_part("decoder", epsilon=1e-5, momentum=0.9)
    add_decoder = {"lw-refinenet": _add_refinenet, "unet-mnv2": _add_unet}[network_of(genotype)]
    x = add_decoder(draft, taps, settings.width)
    draft.output(classifier(draft, x, "output.classifier", head), "logits")


BUILDER = Builder(
    add_network=add_network,
    published=Settings(width=256, auxiliary="none"),
    search=Settings(width=256, auxiliary="none"),
)


def _add_refinenet(draft: Draft, taps: Sequence[Layer], width: int) -> Layer:
    """Adds a fusion and a chain of poolings for each tap, the coarsest first.

    The released network has two more taps of MobileNetV2, at strides that it reads already.
    """
    x: Layer | None = None
    for tap in reversed(taps):
        name = f"refine{tap.stride}"
        y = draft.conv(tap, f"{name}.reduce", width, init=_INIT)
        if x is not None:
            x = draft.conv(x, f"{name}.adapt", width, init=_INIT)
            y = draft.add(draft.resize(x, y, f"{name}.resize"), y, f"{name}.sum")
        x = _add_chain(draft, draft.relu(y, f"{name}.relu"), name, width)
    assert x is not None
    return x


def _add_chain(draft: Draft, x: Layer, name: str, width: int) -> Layer:
    """Adds chained residual pooling: each max-pooling and 1x1 convolution reads the one before."""
    pooled = x
    for number in range(1, _POOLINGS + 1):
        stage = f"{name}.pool{number}"
        pooled = draft.max_pool(pooled, f"{stage}.max", kernel=5, stride=1)
        pooled = draft.conv(pooled, f"{stage}.conv", width, init=_INIT)
        x = draft.add(x, pooled, f"{stage}.sum")
    return x


def _add_unet(draft: Draft, taps: Sequence[Layer], width: int) -> Layer:
    """Adds a step for each finer tap: resizing, concatenation and two 3x3 convolutions."""
    *finer, x = taps
    for tap in reversed(finer):
        name = f"up{tap.stride}"
        x = draft.concat([draft.resize(x, tap, f"{name}.resize"), tap], f"{name}.concat")
        for number in (1, 2):
            x = conv_bn_relu(draft, x, f"{name}.conv{number}", width, kernel=3)
        width = max(1, width // 2)
    return x
