"""The shipment: a trained network at one input size, its task, and facts about it."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib import metadata
from typing import Any

import tensorflow as tf

from nas_tf.errors import ConfigError, WeightsError
from nas_tf.input_geometry import InputGeometry, Resize
from nas_tf.networks.blueprint import Blueprint
from nas_tf.networks.cost import cost
from nas_tf.networks.state import Arrays, initial_arrays
from nas_tf.sizes import Size
from nas_tf.tasks import Task

SCHEMA = 1
SMALLEST, LARGEST = 32, 4096
"""Smallest and largest side of the images that a network may be shipped for."""
AT_ONCE = 1024
"""The largest side of the parts of a picture that a network of any size computes at once."""
_OF_FIXED_SIZE = ("zero", "deformable")
"""Kinds of layers that converted models compute at a fixed size only."""


@dataclass(frozen=True)
class Shipment:
    """A trained network that can be exported.

    Args:
        name: The name of the network.
        task: The task that it predicts.
        blueprint: Its layers at the size of the images it will take.
        arrays: Its weights; there may be more than it needs.
        facts: Further entries of its metadata: genotype, data, origin.
        resize: The resizing of pictures before they are padded to the input or cut into windows;
            None stretches them to the input.
    """

    name: str
    task: Task
    blueprint: Blueprint
    arrays: Arrays
    facts: Mapping[str, Any] = field(default_factory=dict)
    resize: Resize | None = None

    def __post_init__(self) -> None:
        height, width = self.size
        if not SMALLEST <= min(self.size) <= max(self.size) <= LARGEST:
            raise ConfigError(
                f"input is {height}x{width}, expected sides of {SMALLEST} to {LARGEST}"
            )
        wanted = initial_arrays(self.shipped, seed=0)
        for key, value in wanted.items():
            found = self.arrays.get(key)
            if found is None or found.shape != value.shape:
                has = "none" if found is None else f"one of shape {found.shape}"
                raise WeightsError(
                    f"{self.name}: layer {key[0]} needs a {key[1]} of shape {value.shape}, the "
                    f"weights have {has}: they belong to another network"
                )

    @property
    def size(self) -> Size:
        """Height and width of the images that the network takes."""
        return self.blueprint.input_size

    @cached_property
    def any_size(self) -> bool:
        """True if the network takes images of any size.

        It does where a task keeps the size of pictures and all layers have the size of the image,
        unless one is of a kind that converters do not take at any size.
        """
        kinds = {layer.kind for layer in self.shipped.layers}
        return self._keeps_size and kinds.isdisjoint(_OF_FIXED_SIZE)

    @cached_property
    def _keeps_size(self) -> bool:
        """True if every layer has the size of the image, as pictures of the task must."""
        return self.task.own_size and all(x.size == self.size for x in self.shipped.layers)

    @property
    def answer_size(self) -> Size | None:
        """Height and width of answers, None if they are those of the image."""
        return None if self.any_size else self.size

    @property
    def image_shape(self) -> tuple[int | None, int | None, int]:
        """The shape of an image in a format whose images may be of any size."""
        return (None, None, 3) if self.any_size else (*self.size, 3)

    @property
    def shapes(self) -> Mapping[str, tuple[int, ...]] | None:
        """The smallest, usual and largest images of an engine, None if their size is fixed."""
        if not self.any_size:
            return None
        largest = tuple(max(AT_ONCE, side) for side in self.size)
        sides = {"min": (SMALLEST, SMALLEST), "opt": self.size, "max": largest}
        return {name: (1, *pair, 3) for name, pair in sides.items()}

    @cached_property
    def geometry(self) -> InputGeometry:
        """The mapping of pictures of any size to the input, and of answers back."""
        resize = Resize(exact=self.size) if self.resize is None else self.resize
        fixed = InputGeometry(self.size, resize, self.task.windows)
        if not self._keeps_size:
            return fixed
        read = cost(self.shipped).receptive_field or self.size
        return replace(fixed, any_size=self.any_size, margin=max(read) // 2)

    @property
    def open_geometry(self) -> InputGeometry:
        """The geometry of a format whose images may be of any size: pictures in large parts."""
        return replace(self.geometry, size=(AT_ONCE, AT_ONCE)) if self.any_size else self.geometry

    @cached_property
    def shipped(self) -> Blueprint:
        """The blueprint without auxiliaries and unused layers."""
        return self.blueprint.deployed()

    @cached_property
    def digest(self) -> str:
        """The SHA-256 of all arrays in use, which identifies the weights."""
        digest = hashlib.sha256()
        for layer, role in sorted(initial_arrays(self.shipped, seed=0)):
            digest.update(f"{layer}|{role}|".encode())
            digest.update(self.arrays[layer, role].astype("<f4").tobytes())
        return digest.hexdigest()

    def about(self, geometry: InputGeometry | None = None) -> dict[str, Any]:
        """Returns the metadata that exported files carry, with the geometry of their format."""
        network_cost = cost(self.shipped)
        return {
            "schema": SCHEMA,
            "name": self.name,
            "task": self.task.name,
            "input": {
                **(geometry or self.geometry).to_dict(),
                "channels": "RGB",
                "dtype": "uint8",
            },
            "parameters": network_cost.params,
            "multiply_adds": network_cost.madds,
            "weights_sha256": self.digest,
            "versions": {"nas_tf": metadata.version("nas-tf"), "tensorflow": tf.__version__},
            **self.task.about(),
            **self.facts,
        }
