"""The last layers of a decoder: class logits, one depth, or a heatmap per joint."""

from dataclasses import dataclass

from nas_tf.errors import ConfigError
from nas_tf.networks.blueprint import Layer
from nas_tf.networks.draft import Draft
from nas_tf.networks.ops import conv_bn_relu


@dataclass(frozen=True, slots=True)
class Head:
    """The last convolution of a network: its task and its number of output channels."""

    task: str
    channels: int

    def __post_init__(self) -> None:
        if self.channels < 1:
            raise ConfigError(f"{self.task} head has {self.channels} outputs, expected 1 or more")


def segmentation(num_classes: int) -> Head:
    """Returns a head with one logit per class."""
    return Head("segmentation", num_classes)


def depth() -> Head:
    """Returns a head with one depth in metres."""
    return Head("depth", 1)


def pose(joints: int) -> Head:
    """Returns a head with one heatmap per joint."""
    return Head("pose", joints)


def detection(classes: int) -> Head:
    """Returns a head with a logit per class, and a box, at each location of each level."""
    return Head("detection", classes)


def restoration(channels: int) -> Head:
    """Returns a head with a restored image of 1 or 3 channels."""
    return Head("restoration", channels)


def classifier(draft: Draft, x: Layer, name: str, head: Head, *, kernel: int = 3) -> Layer:
    """Adds the convolution with bias of a head."""
    return draft.conv(x, name, head.channels, kernel=kernel, bias=True)


def decoder_output(draft: Draft, loose: list[Layer], width: int, head: Head) -> None:
    """Joins the blocks that no other block reads into the logits (CVPR 2019, section 3.2).

    They are resized to the largest of their sizes and concatenated.
    """
    largest = min(loose, key=lambda layer: layer.stride)
    aligned = [draft.resize(x, largest, f"output.resize{n}") for n, x in enumerate(loose, 1)]
    x = draft.concat(aligned, "output.concat") if len(aligned) > 1 else aligned[0]
    x = draft.relu(x, "output.relu")
    x = conv_bn_relu(draft, x, "output.pre", width)
    draft.output(classifier(draft, x, "output.classifier", head), "logits")
