"""The layout of a network's arrays in flat vectors.

Each part has two vectors, one of trainable values and one of batch statistics. An optimiser, a
clip, a weight decay or an average is then one operation on a vector instead of six hundred on
layers. Arrays of one shape are adjacent, so that splitting the vector is one operation per shape.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from math import prod, sqrt
from typing import Literal

import numpy as np

from nas_tf.networks.blueprint import Blueprint, Layer

Role = Literal["kernel", "bias", "gamma", "beta", "mean", "variance"]
PARTS = ("encoder", "decoder")
STATISTICS: tuple[Role, ...] = ("mean", "variance")
ROLES: tuple[Role, ...] = ("kernel", "bias", "gamma", "beta", *STATISTICS)
"""The roles of arrays, in the order in which a Keras layer has them."""


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


@dataclass(frozen=True)
class Layout:
    """The arrays of one vector, grouped by shape and by being a kernel or not.

    ::

        layout = layouts(blueprint)["decoder"].trainable
        arrays = layout.arrays(vector)  # {("output.pre.conv", "kernel"): array, ...}
        vector = layout.vector(arrays)
    """

    slots: tuple[Slot, ...]

    @classmethod
    def of(cls, slots: Iterable[Slot]) -> "Layout":
        """Groups slots of one shape and kind, in order of first appearance."""
        groups: dict[tuple, list[Slot]] = {}
        for slot in slots:
            groups.setdefault((slot.role == "kernel", slot.shape), []).append(slot)
        return cls(tuple(slot for group in groups.values() for slot in group))

    @cached_property
    def groups(self) -> list[list[Slot]]:
        """Runs of adjacent slots of one shape and kind."""
        runs: list[list[Slot]] = []
        for slot in self.slots:
            first = runs[-1][0] if runs else None
            fits = first and (first.shape, first.role == "kernel") == (
                slot.shape,
                slot.role == "kernel",
            )
            if fits:
                runs[-1].append(slot)
            else:
                runs.append([slot])
        return runs

    @property
    def size(self) -> int:
        """The number of elements of the vector."""
        return sum(slot.size for slot in self.slots)

    def arrays(self, vector: np.ndarray) -> dict[tuple[str, Role], np.ndarray]:
        """Splits a vector into its arrays, by layer and role."""
        ends = np.cumsum([slot.size for slot in self.slots])[:-1]
        pieces = np.split(vector, ends) if self.slots else []
        return {
            (slot.layer, slot.role): piece.reshape(slot.shape)
            for slot, piece in zip(self.slots, pieces, strict=True)
        }

    def vector(self, arrays: Mapping[tuple[str, Role], np.ndarray]) -> np.ndarray:
        """Joins arrays into a float32 vector."""
        values = [np.ravel(arrays[slot.layer, slot.role]) for slot in self.slots]
        return np.concatenate([*values, np.zeros(0)]).astype(np.float32)


@dataclass(frozen=True)
class PartLayout:
    """The layouts of both vectors of a part: the encoder, or the decoder with its auxiliaries."""

    trainable: Layout
    statistics: Layout


def layouts(blueprint: Blueprint) -> dict[str, PartLayout]:
    """Returns the layout of each part of a blueprint; dead layers are left out."""
    found: dict[str, list[Slot]] = {}
    for layer in blueprint.live().layers:
        source = blueprint.by_name[layer.inputs[0]] if layer.inputs else None
        part = "encoder" if layer.part == "encoder" else "decoder"
        if slots := slots_of(layer, source):
            found.setdefault(part, []).extend(slots)
    return {part: _part_layout(found[part]) for part in PARTS if part in found}


def _part_layout(slots: list[Slot]) -> PartLayout:
    return PartLayout(
        Layout.of(slot for slot in slots if slot.role not in STATISTICS),
        Layout.of(slot for slot in slots if slot.role in STATISTICS),
    )


def slots_of(layer: Layer, source: Layer | None) -> list[Slot]:
    """Returns the arrays of a layer that reads ``source``, in the order of its Keras layer."""
    channels = source.channels if source else 0
    kernel = layer.options.get("kernel")
    if layer.kind == "conv":
        shape = (*kernel, channels, layer.channels)
        slots = [Slot(layer.name, "kernel", shape, layer.options["init"])]
        if layer.options["bias"]:
            slots.append(Slot(layer.name, "bias", (layer.channels,), "zeros"))
        return slots
    if layer.kind == "depthwise":
        return [Slot(layer.name, "kernel", (*kernel, channels, 1), layer.options["init"])]
    if layer.kind == "scale":
        return [Slot(layer.name, "kernel", (1, 1, channels, 1), "ones")]
    if layer.kind == "batch_norm":
        inits = {"gamma": "ones", "beta": "zeros", "mean": "zeros", "variance": "ones"}
        return [Slot(layer.name, role, (channels,), init) for role, init in inits.items()]
    return []


def initial(slot: Slot, rng: np.random.Generator) -> np.ndarray:
    """Samples the initial values of an array, distributed as Keras's initialisers do."""
    kind, _, spread = slot.init.partition(":")
    if kind in ("zeros", "ones"):
        return np.full(slot.shape, float(kind == "ones"))
    if kind == "truncated_normal":
        values = rng.standard_normal(slot.shape)
        while (outside := np.abs(values) > 2).any():
            values[outside] = rng.standard_normal(int(outside.sum()))
        return float(spread) * values
    if kind == "glorot_uniform":
        window = prod(slot.shape[:-2])
        limit = sqrt(6 / (window * (slot.shape[-2] + slot.shape[-1])))
        return rng.uniform(-limit, limit, slot.shape)
    raise ValueError(f"initialiser {slot.init!r} is unknown")
