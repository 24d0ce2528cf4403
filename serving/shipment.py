"""The shipment: a trained network at one input size, its task, and facts about it."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
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
    def geometry(self) -> InputGeometry:
        """The mapping of pictures of any size to the input, and of answers back."""
        resize = Resize(exact=self.size) if self.resize is None else self.resize
        return InputGeometry(self.size, resize, self.task.windows)

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

    def about(self) -> dict[str, Any]:
        """Returns the metadata that exported files carry."""
        network_cost = cost(self.shipped)
        return {
            "schema": SCHEMA,
            "name": self.name,
            "task": self.task.name,
            "input": {**self.geometry.to_dict(), "channels": "RGB", "dtype": "uint8"},
            "parameters": network_cost.params,
            "multiply_adds": network_cost.madds,
            "weights_sha256": self.digest,
            "versions": {"nas_tf": metadata.version("nas-tf"), "tensorflow": tf.__version__},
            **self.task.about(),
            **self.facts,
        }
