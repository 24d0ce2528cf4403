"""Describes a network before Keras, as named layers with shapes.

``draft`` builds a blueprint; ``keras_model`` turns it into a Keras model,
``cost`` counts it, the command line prints it. None but ``keras_model`` needs TensorFlow.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, TypeAlias

from nas_tf.sizes import Size

Outputs: TypeAlias = Mapping[str, str]
"""Names of outputs, such as ``logits``, and of the layers that compute them."""


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer: its kind and options, the layers it reads, and the shape of its output.

    ``stride`` is the number of input pixels per output pixel. A global map keeps the stride of
    the map it was pooled from although its ``size`` is 1x1: it stands for a constant map there.
    ``part`` is the label of the vectors that hold the arrays. ``owner`` is the layer whose arrays
    this one uses, by default its own. An ``auxiliary`` layer is there for training only.

    ::

        Layer("block1.sum", "add", ("a", "b"), "decoder", channels=48, size=(24, 32), stride=4)
    """

    name: str
    kind: str
    inputs: tuple[str, ...]
    part: str
    channels: int
    size: Size
    stride: int
    options: Mapping[str, Any] = field(default_factory=dict)
    owner: str = ""
    auxiliary: bool = False

    @property
    def is_global(self) -> bool:
        """True if this is a 1x1 map that stands for a constant map of full size."""
        return bool(self.options.get("is_global"))

    @property
    def arrays_of(self) -> str:
        """The name of the layer that owns the arrays."""
        return self.owner or self.name


def counted_as(layer: Layer) -> str:
    """Returns the part under which a layer's cost is counted; auxiliaries are ``aux``."""
    return "aux" if layer.auxiliary else layer.part


@dataclass(frozen=True)
class Blueprint:
    """All layers of a network, each after the layers that it reads; it is never changed.

    ``outputs`` is what ships. ``auxiliaries`` are the heads for training: each has the names of
    the outputs.

    ::

        blueprint = blueprint_of("arch0", 21, input_size=(512, 512))
        blueprint.output().size  # (128, 128)
        cost(blueprint.deployed()).params
    """

    layers: tuple[Layer, ...]
    outputs: Outputs
    input_size: Size
    dynamic: bool
    auxiliaries: Mapping[str, Outputs] = field(default_factory=dict)

    @cached_property
    def by_name(self) -> Mapping[str, Layer]:
        """The layers by name."""
        return {layer.name: layer for layer in self.layers}

    def output(self, name: str | None = None) -> Layer:
        """Returns the layer of an output, by default the first, or of an auxiliary head."""
        if name in self.outputs:
            return self.by_name[self.outputs[name]]
        first = next(iter((self.outputs if name is None else self.auxiliaries[name]).values()))
        return self.by_name[first]

    def source(self, layer: Layer) -> Layer | None:
        """Returns the first layer that a layer reads, None for an input."""
        return self.by_name[layer.inputs[0]] if layer.inputs else None

    @cached_property
    def array_holders(self) -> frozenset[str]:
        """The names of the layers whose arrays no layer before them has."""
        first: dict[str, str] = {}
        for layer in self.layers:
            first.setdefault(layer.arrays_of, layer.name)
        return frozenset(first.values())

    def live(self) -> "Blueprint":
        """Returns a blueprint without the layers that no output and no auxiliary needs."""
        needed = set(self.outputs.values())
        for auxiliary in self.auxiliaries.values():
            needed.update(auxiliary.values())
        for layer in reversed(self.layers):
            if layer.name in needed:
                needed.update(layer.inputs)
        return replace(self, layers=tuple(layer for layer in self.layers if layer.name in needed))

    def decoder(self, taps: Sequence[str]) -> "Blueprint":
        """Returns the layers after the encoder; the taps they read become inputs ``tap0``, ….

        The taps are names of layers; without an encoder the image is the only one.
        """
        tap_names = {name: f"tap{n}" for n, name in enumerate(taps)}
        after = [
            layer
            for layer in self.live().layers
            if layer.part != "encoder" and layer.name not in tap_names
        ]
        read = {name for layer in after for name in layer.inputs} & set(tap_names)
        inputs = [
            replace(self.by_name[name], name=tap_names[name], kind="input", inputs=(), options={})
            for name in taps
            if name in read
        ]
        renamed = [
            replace(layer, inputs=tuple(tap_names.get(name, name) for name in layer.inputs))
            for layer in after
        ]
        return replace(self, layers=(*inputs, *renamed))

    def deployed(self) -> "Blueprint":
        """Returns the blueprint that is shipped, without auxiliaries and dead layers."""
        return replace(self, auxiliaries={}).live()
