"""The kinds of layers: their arrays, multiply-adds and how they fuse, one row a kind.

The arithmetic of a kind is in ``functional`` and ``keras_model``, and that of what is shipped in
``serving.graph`` and ``serving.fused_model``; a test holds their keys equal to this table's.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import prod
from typing import Literal, TypeAlias

from nas_tf.networks.blueprint import Layer

Role = Literal["kernel", "bias", "gamma", "beta", "mean", "variance", "table"]
"""The roles of arrays, in the order in which a Keras layer has them."""
STATISTICS: tuple[Role, ...] = ("mean", "variance")


@dataclass(frozen=True, slots=True)
class Slot:
    """One array: its layer, its role there, its shape and its initialiser."""

    layer: str
    role: Role
    shape: tuple[int, ...]
    init: str

    @property
    def size(self) -> int:
        """The number of elements."""
        return prod(self.shape)


Slots: TypeAlias = Callable[[Layer, Layer], list[Slot]]
Count: TypeAlias = Callable[[Layer, Layer], int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """The facts about a kind of layer; the functions receive a layer and the first it reads.

    Args:
        slots: Returns the arrays, in the order of the Keras layer.
        madds: Returns the multiply-adds.
        op: Name of the fused operation, if it differs from the kind.
        window: The layer has a kernel size that moves over its input.
        reads: The inputs whose values are used; the others give a size.
        keras_class: Class in Keras's weight files, for kinds of which encoders consist.
        in_place: Its output can take the memory of its input.
        is_free: It computes nothing in a shipped network.
        is_repeatable: It has no arrays, so that a second layer like it computes the same again.
        keeps_sign: Its output is not negative if its inputs are not.
        folds_norm: A batch normalisation after it is folded into its arrays.
        fuses_relu: A ReLU after it is part of the operation.
    """

    slots: Slots = lambda layer, source: []
    madds: Count = lambda layer, source: 0
    op: str = ""
    window: bool = False
    reads: slice = field(default_factory=lambda: slice(None))
    keras_class: str = ""
    in_place: bool = False
    is_free: bool = False
    is_repeatable: bool = False
    keeps_sign: bool = False
    folds_norm: bool = False
    fuses_relu: bool = False


def _slot(layer: Layer, role: Role, shape: tuple[int, ...], init: str) -> Slot:
    return Slot(layer.name, role, shape, init)


def _conv_slots(layer: Layer, source: Layer) -> list[Slot]:
    fan_in = source.channels // layer.options.get("groups", 1)
    shape = (*layer.options["kernel"], fan_in, layer.channels)
    slots = [_slot(layer, "kernel", shape, layer.options["init"])]
    if layer.options["bias"]:
        initial = layer.options.get("bias_init", "zeros")
        slots.append(_slot(layer, "bias", (layer.channels,), initial))
    return slots


def _depthwise_slots(layer: Layer, source: Layer) -> list[Slot]:
    shape = (*layer.options["kernel"], source.channels, 1)
    return [_slot(layer, "kernel", shape, layer.options["init"])]


def _deformable_slots(layer: Layer, source: Layer) -> list[Slot]:
    shape = (3, 3, source.channels, layer.channels)
    kernel = _slot(layer, "kernel", shape, layer.options["init"])
    return [kernel, _slot(layer, "bias", (layer.channels,), "zeros")]


def _scale_slots(layer: Layer, source: Layer) -> list[Slot]:
    channels = 1 if layer.options.get("scalar") else source.channels
    return [_slot(layer, "kernel", (1, 1, channels, 1), "ones")]


def _affine_slots(layer: Layer, source: Layer) -> list[Slot]:
    shape = (source.channels,)
    return [_slot(layer, "gamma", shape, "ones"), _slot(layer, "beta", shape, "zeros")]


def _batch_norm_slots(layer: Layer, source: Layer) -> list[Slot]:
    shape = (source.channels,)
    statistics = [_slot(layer, "mean", shape, "zeros"), _slot(layer, "variance", shape, "ones")]
    return (_affine_slots(layer, source) if layer.options.get("affine", True) else []) + statistics


def _table_slots(layer: Layer, source: Layer) -> list[Slot]:
    return [_slot(layer, "table", (layer.options["rows"], layer.channels), "ones")]


def _conv_madds(layer: Layer, source: Layer) -> int:
    """Counts one multiply-add per weight of the kernel at each position."""
    return prod(layer.size) * KINDS[layer.kind].slots(layer, source)[0].size


_FIRST, _AFTER_FIRST, _NONE = slice(1), slice(1, None), slice(0)
_KERNEL = dict(madds=_conv_madds, window=True, folds_norm=True, fuses_relu=True)
_NO_ARRAYS = dict(is_repeatable=True, keeps_sign=True)
_IN_PLACE = dict(in_place=True, fuses_relu=True)

KINDS: Mapping[str, Kind] = {
    "input": Kind(),
    "conv": Kind(slots=_conv_slots, keras_class="conv2d", **_KERNEL),
    "depthwise": Kind(slots=_depthwise_slots, keras_class="depthwise_conv2d", **_KERNEL),
    "deformable": Kind(slots=_deformable_slots, **_KERNEL),
    "luma": Kind(is_repeatable=True),
    "normalise": Kind(op="affine", **_IN_PLACE),
    "batch_norm": Kind(
        slots=_batch_norm_slots, op="affine", keras_class="batch_normalization", **_IN_PLACE
    ),
    "group_norm": Kind(slots=_affine_slots, fuses_relu=True),
    "relu": Kind(in_place=True),
    "leaky_relu": Kind(in_place=True),
    "exp": Kind(in_place=True, is_repeatable=True),
    "sigmoid": Kind(in_place=True, is_repeatable=True),
    "max_pool": Kind(window=True, **_NO_ARRAYS),
    "average_pool": Kind(window=True, **_NO_ARRAYS),
    "global_pool": Kind(op="mean", **_NO_ARRAYS),
    "subsample": Kind(op="depthwise", fuses_relu=True, **_NO_ARRAYS),
    "pad": Kind(**_NO_ARRAYS),
    "resize": Kind(reads=_FIRST, **_NO_ARRAYS),
    "add": Kind(fuses_relu=True, **_NO_ARRAYS),
    "subtract": Kind(is_repeatable=True),
    "concat": Kind(**_NO_ARRAYS),
    "scale": Kind(slots=_scale_slots, op="depthwise", **_IN_PLACE),
    "zero": Kind(reads=_NONE),
    "table": Kind(slots=_table_slots, reads=_NONE),
    "mix": Kind(reads=_AFTER_FIRST),
    "dropout": Kind(in_place=True, is_free=True),
    "output": Kind(in_place=True, is_free=True),
}
