"""The layout of a network's arrays in flat vectors.

Each part has two vectors, one of trainable values and one of batch statistics. An optimiser, a
clip, a weight decay or an average is then one operation on a vector instead of six hundred on
layers. Arrays of one shape are adjacent, so that splitting the vector is one operation per shape.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from math import prod, sqrt

import numpy as np

from nas_tf.networks.blueprint import Blueprint
from nas_tf.networks.kinds import KINDS, STATISTICS, Role, Slot


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
    """The layouts of both vectors of a part, such as the encoder or the decoder."""

    trainable: Layout
    statistics: Layout


def layouts(blueprint: Blueprint) -> dict[str, PartLayout]:
    """Returns the layout of each part of a blueprint; dead layers are left out."""
    found: dict[str, list[Slot]] = {}
    live = blueprint.live()
    for layer in live.layers:
        if not layer.inputs or layer.name not in live.array_holders:
            continue
        holder = replace(layer, name=layer.arrays_of)
        if slots := KINDS[layer.kind].slots(holder, live.by_name[layer.inputs[0]]):
            found.setdefault(layer.part, []).extend(slots)
    return {part: _part_layout(slots) for part, slots in found.items()}


def _part_layout(slots: list[Slot]) -> PartLayout:
    return PartLayout(
        Layout.of(slot for slot in slots if slot.role not in STATISTICS),
        Layout.of(slot for slot in slots if slot.role in STATISTICS),
    )


def initial(slot: Slot, rng: np.random.Generator) -> np.ndarray:
    """Samples the initial values of an array, distributed as Keras's initialisers do."""
    kind, _, number = slot.init.partition(":")
    if kind in ("zeros", "ones"):
        return np.full(slot.shape, float(kind == "ones"))
    if kind == "truncated_normal":
        values = rng.standard_normal(slot.shape)
        while (outside := np.abs(values) > 2).any():
            values[outside] = rng.standard_normal(int(outside.sum()))
        return float(number) * values
    if kind == "constant":
        return np.full(slot.shape, float(number))
    if kind in ("uniform", "glorot_uniform"):
        fans = prod(slot.shape[:-2]) * sum(slot.shape[-2:])
        limit = float(number) if kind == "uniform" else sqrt(6 / fans)
        return rng.uniform(-limit, limit, slot.shape)
    raise ValueError(f"initialiser {slot.init!r} is unknown")
