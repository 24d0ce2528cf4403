"""Holds the values of a network's vectors, initialises them, and copies them to Keras models."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from tensorflow import keras

from nas_tf.networks import weights as weight_files
from nas_tf.networks.arrays import PartLayout, initial, layouts
from nas_tf.networks.blueprint import Blueprint
from nas_tf.networks.encoders import Encoder
from nas_tf.networks.kinds import KINDS, Role

Arrays: TypeAlias = "dict[tuple[str, Role], np.ndarray]"


@dataclass(frozen=True)
class State:
    """A vector of weights and one of moving statistics for each part of a network."""

    trainable: Mapping[str, np.ndarray]
    statistics: Mapping[str, np.ndarray]

    def with_parts(self, other: "State") -> "State":
        """Returns this state with the parts of another added, or in place of its own."""
        return State(
            {**self.trainable, **other.trainable}, {**self.statistics, **other.statistics}
        )

    @property
    def is_finite(self) -> bool:
        """True if all values are finite."""
        vectors = (*self.trainable.values(), *self.statistics.values())
        return all(bool(np.isfinite(vector).all()) for vector in vectors)


def to_arrays(parts: Mapping[str, PartLayout], state: State) -> Arrays:
    """Splits a state into its arrays, by layer and role."""
    arrays: Arrays = {}
    for part, layout in parts.items():
        arrays |= layout.trainable.arrays(state.trainable[part])
        arrays |= layout.statistics.arrays(state.statistics[part])
    return arrays


def from_arrays(parts: Mapping[str, PartLayout], arrays: Arrays) -> State:
    """Joins arrays into a state; arrays of other layers are ignored."""
    return State(
        {part: layout.trainable.vector(arrays) for part, layout in parts.items()},
        {part: layout.statistics.vector(arrays) for part, layout in parts.items()},
    )


def initial_arrays(
    blueprint: Blueprint,
    *,
    seed: int,
    weights: str | Path | None = None,
    encoder: Encoder | None = None,
) -> Arrays:
    """Initialises all arrays from the seed; reads those of ``encoder`` from ``weights`` if given.

    A network without an encoder reads none.
    """
    rng = np.random.default_rng(seed)
    arrays: Arrays = {}
    parts = layouts(blueprint)
    for layout in parts.values():
        for slot in (*layout.trainable.slots, *layout.statistics.slots):
            arrays[slot.layer, slot.role] = initial(slot, rng).astype(np.float32)
    if weights and encoder and "encoder" in parts:
        arrays |= encoder_arrays(blueprint, weights, encoder)
    return arrays


def encoder_arrays(blueprint: Blueprint, weights: str | Path, encoder: Encoder) -> Arrays:
    """Reads the encoder's weights from ``imagenet``, ``drawn`` or a file; checks every shape."""
    path = weight_files.encoder_file(weights, encoder)
    arrays: Arrays = {}
    for name, values in weight_files.read_encoder(blueprint, path, encoder).items():
        layer = blueprint.by_name[name]
        slots = KINDS[layer.kind].slots(layer, blueprint.by_name[layer.inputs[0]])
        arrays |= {(name, slot.role): value for slot, value in zip(slots, values, strict=True)}
    return arrays


def fill_model(model: keras.Model, arrays: Arrays) -> None:
    """Sets a Keras model's weights by layer name; arrays of other layers are ignored."""
    for layer in model.layers:
        if layer.weights:
            layer.set_weights([arrays[layer.name, role] for role in _roles(layer)])


def arrays_of_model(model: keras.Model) -> Arrays:
    """Returns the weights of a Keras model by layer and role."""
    arrays: Arrays = {}
    for layer in model.layers:
        values = zip(_roles(layer), layer.get_weights(), strict=True)
        arrays |= {(layer.name, role): value for role, value in values}
    return arrays


def _roles(layer: keras.layers.Layer) -> list[str]:
    """Returns the roles of a Keras layer's weights, by which it names them."""
    names = [weight.name.rpartition("/")[2].partition(":")[0] for weight in layer.weights]
    return [name.removeprefix("depthwise_").removeprefix("moving_") for name in names]
