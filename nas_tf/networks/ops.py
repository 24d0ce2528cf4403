"""The candidate operations, by their names in the search spaces."""

import re

from nas_tf.networks.blueprint import Layer
from nas_tf.networks.draft import Draft

_NAME = re.compile(r"(conv|sep|maxpool)(\d)x\2(?:_rate(\d+))?")


def conv_bn_relu(
    draft: Draft, x: Layer, name: str, channels: int, *, kernel: int = 1, rate: int = 1
) -> Layer:
    """Adds a convolution without bias, batch normalisation and ReLU."""
    x = draft.conv(x, f"{name}.conv", channels, kernel=kernel, rate=rate)
    return draft.relu(draft.batch_norm(x, f"{name}.bn"), f"{name}.relu")


def separable(
    draft: Draft,
    x: Layer,
    name: str,
    channels: int,
    *,
    kernel: int,
    rate: int = 1,
    stride: int = 1,
    repeats: int = 1,
) -> Layer:
    """Adds separable convolutions: depthwise, pointwise, batch normalisation, ReLU.

    Nothing stands between the depthwise and the pointwise convolution. The published networks
    repeat each separable convolution twice, stride included.
    """
    for unit in range(1, repeats + 1):
        prefix = f"{name}.unit{unit}"
        x = draft.depthwise(
            x, f"{prefix}.depthwise", kernel=kernel, stride=stride, rate=(rate, rate)
        )
        x = draft.conv(x, f"{prefix}.pointwise", channels)
        x = draft.relu(draft.batch_norm(x, f"{prefix}.bn"), f"{prefix}.relu")
    return x


def global_branch(draft: Draft, x: Layer, name: str, channels: int) -> Layer:
    """Adds a global mean and a 1x1 convolution; the map stays 1x1 until a layer needs it full."""
    return conv_bn_relu(draft, draft.global_pool(x, f"{name}.mean"), name, channels)


def apply(
    draft: Draft,
    op: str,
    x: Layer,
    name: str,
    channels: int,
    *,
    stride: int = 1,
    sep_repeats: int = 1,
) -> Layer:
    """Adds the operation ``op`` on ``x``; its layers are named ``<name>.<op>.…``.

    ``skip`` tiles its input up to ``channels``; ``skip`` and ``gap`` ignore the stride.
    """
    name = f"{name}.{op}"
    if op == "skip":
        copies = channels // x.channels
        return x if copies == 1 else draft.concat([x] * copies, f"{name}.tile")
    if op == "zero":
        return draft.zero(x, name)
    if op == "gap":
        return global_branch(draft, x, name, channels)
    kind, kernel, rate = _parsed(op)
    if kind == "sep":
        return separable(
            draft,
            x,
            name,
            channels,
            kernel=kernel,
            rate=rate,
            stride=stride,
            repeats=sep_repeats,
        )
    if kind == "maxpool":
        x = draft.batch_norm(draft.conv(x, f"{name}.conv", channels), f"{name}.bn")
        return draft.max_pool(x, f"{name}.pool", kernel=kernel, stride=stride)
    return conv_bn_relu(draft, x, name, channels, kernel=kernel, rate=rate)


def _parsed(op: str) -> tuple[str, int, int]:
    match = _NAME.fullmatch(op)
    if match is None:
        raise ValueError(f"operation {op!r} has no builder")
    kind, kernel, rate = match.groups()
    return kind, int(kernel), int(rate or 1)
