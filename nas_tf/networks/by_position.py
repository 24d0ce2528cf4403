"""Sums the layers of a blueprint by position in the genotype: a row per operation."""

import re
from dataclasses import dataclass

from nas_tf.networks.blueprint import Blueprint, counted_as
from nas_tf.networks.cost import layer_madds, layer_params
from nas_tf.sizes import Size

_INNER = re.compile(
    r"(\.unit\d+)?\.(conv|bn|relu|depthwise|pointwise|subsample|mean|pool|tile|scale)"
    r"(\.(bn|relu|subsample|pad|offsets))?$"
)
_ENCODER = re.compile(r"(block_?\d+|expanded_conv|conv\d_block\d+|conv1|pool1)_.*")


@dataclass(frozen=True, slots=True)
class Row:
    """The layers of one position: their number, the shape of their output and their cost."""

    position: str
    part: str
    layers: int
    channels: int
    size: Size
    params: int
    madds: int


def position_of(layer_name: str) -> str:
    """Returns the position of a layer: its name without the part inside an operation."""
    if match := _ENCODER.fullmatch(layer_name):
        return match[1]
    if layer_name in ("Conv1", "bn_Conv1", "Conv1_relu"):
        return "Conv1"
    return _INNER.sub("", layer_name)


def by_position(blueprint: Blueprint, *, every: bool = False) -> list[Row]:
    """Sums the layers of each position, in order of first appearance; or lists every layer."""
    rows: dict[str, Row] = {}
    for layer in blueprint.layers:
        source = blueprint.source(layer)
        position = layer.name if every else position_of(layer.name)
        before = rows.get(position)
        rows[position] = Row(
            position,
            counted_as(layer),
            1 + (before.layers if before else 0),
            layer.channels,
            layer.size,
            (layer_params(layer, source) if layer.name in blueprint.array_holders else 0)
            + (before.params if before else 0),
            layer_madds(layer, source) + (before.madds if before else 0),
        )
    return list(rows.values())
