"""What a decoder ends in: logits of classes, one depth, or a heatmap per joint."""

from dataclasses import dataclass

from nas_tf.errors import ConfigError
from nas_tf.networks.blueprint import Draft, Layer
from nas_tf.networks.ops import conv_bn_relu


@dataclass(frozen=True, slots=True)
class Head:
    """The last convolution: its task and how many maps it gives."""

    task: str
    channels: int

    def __post_init__(self) -> None:
        if self.channels < 1:
            raise ConfigError(f"{self.task} head has {self.channels} outputs, expected 1 or more")


def segmentation(num_classes: int) -> Head:
    """One logit per class."""
    return Head("segmentation", num_classes)


def depth() -> Head:
    """One depth in metres."""
    return Head("depth", 1)


def pose(joints: int) -> Head:
    """One heatmap per joint."""
    return Head("pose", joints)


def classifier(draft: Draft, x: Layer, name: str, head: Head, *, kernel: int = 3) -> Layer:
    """The convolution with bias that every head is."""
    return draft.conv(x, name, head.channels, kernel=kernel, bias=True)


def decoder_output(draft: Draft, loose: list[Layer], width: int, head: Head) -> None:
    """Joins the loose blocks into the logits, at the largest of their sizes (CVPR 2019, 3.2)."""
    largest = min(loose, key=lambda layer: layer.stride)
    aligned = [draft.resize(x, largest, f"output.resize{n}") for n, x in enumerate(loose, 1)]
    x = draft.concat(aligned, "output.concat") if len(aligned) > 1 else aligned[0]
    x = draft.relu(x, "output.relu")
    x = conv_bn_relu(draft, x, "output.pre", width)
    draft.output(classifier(draft, x, "output.classifier", head), "logits")
