"""Turns a shipped network into the operations that an interpreter such as TFLite runs.

Normalisation is fused into the convolution before it, an activation into the operation before
it. An operation's text holds everything that its time depends on, so that equal operations are
measured once.
"""

import math
from collections import Counter
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from nas_tf.networks.blueprint import Blueprint, Layer
from nas_tf.sizes import Size

Shape: TypeAlias = tuple[int, int, int]
_FREE = ("dropout", "output")
_FUSES_RELU = ("conv", "depthwise", "add", "affine")
_WEIGHTLESS = ("global_pool", "max_pool", "average_pool", "subsample", "resize", "add", "concat")
_KEEPS_SIGN = ("global_pool", "max_pool", "average_pool", "subsample", "resize", "add", "concat")
_KERNELS = ("conv", "depthwise", "max_pool", "average_pool")


@dataclass(frozen=True, slots=True)
class Op:
    """One operation: its kind, the shapes of its inputs and output, and its window.

    The kind ``affine`` is a normalisation that is fused into nothing, a product and a sum per
    channel.

    ::

        op = Op.parse("conv 3x3 rate 12x12: 45x60x48 > 45x60x48")
        op.output  # (45, 60, 48)
    """

    kind: str
    inputs: tuple[Shape, ...]
    output: Shape
    kernel: Size = (1, 1)
    stride: Size = (1, 1)
    rate: Size = (1, 1)
    corners: bool = False

    @classmethod
    def parse(cls, text: str) -> "Op":
        """Reads an operation from its text, as ``str`` writes it."""
        head, shapes = text.split(": ")
        sources, result = shapes.split(" > ")
        kind, *words = head.split(" ")
        options: dict[str, Any] = {"kernel": _numbers(words.pop(0))} if kind in _KERNELS else {}
        if "corners" in words:
            options["corners"] = bool(words.pop())
        names, values = words[::2], words[1::2]
        options |= {name: _numbers(value) for name, value in zip(names, values, strict=True)}
        inputs = tuple(_numbers(shape) for shape in sources.split(" "))
        return cls(kind, inputs, _numbers(result), **options)

    @property
    def without_channels(self) -> "Op":
        """The operation without numbers of channels, equal for all that differ in these alone."""
        sizes = sorted({(*shape[:2], 0) for shape in self.inputs})
        return replace(self, inputs=tuple(sizes), output=(*self.output[:2], 0))

    @property
    def work(self) -> int:
        """The number of values read and written plus the products.

        Among operations that differ in channels alone, time is about proportional to it.
        """
        values = sum(math.prod(shape) for shape in (*self.inputs, self.output))
        fan_in = {"conv": self.inputs[0][2], "depthwise": 1}.get(self.kind, 0)
        return values + fan_in * math.prod((*self.output, *self.kernel))

    @property
    def as_timed(self) -> "Op":
        """The operation under which it is timed.

        The time of a concatenation does not depend on the channels of each input, so these are
        divided evenly.
        """
        if self.kind != "concat":
            return self
        height, width, channels = self.output
        each, rest = divmod(channels, len(self.inputs))
        inputs = ((height, width, each + (n < rest)) for n in range(len(self.inputs)))
        return replace(self, inputs=tuple(inputs))

    def __str__(self) -> str:
        words = [self.kind]
        if self.kind in _KERNELS:
            words.append(_by(self.kernel))
        words += [
            f"{name} {_by(value)}"
            for name, value in (("stride", self.stride), ("rate", self.rate))
            if value != (1, 1)
        ]
        words += ["corners"] * self.corners
        return f"{' '.join(words)}: {' '.join(map(_by, self.inputs))} > {_by(self.output)}"


@dataclass(frozen=True)
class Node:
    """An operation of a network: the name of its last layer, its inputs and its layers.

    ``most`` is None without an activation, 6 for ReLU6 and 0 for ReLU, which has no upper bound.
    A ``constant`` operation depends on maps of zeros alone and is computed at conversion.
    """

    name: str
    op: Op
    inputs: tuple[str, ...]
    layers: tuple[Layer, ...]
    most: float | None = None
    constant: bool = False


def fuse(blueprint: Blueprint) -> list[Node]:
    """Returns the operations of the shipped network in order; the last one returns its logits.

    Inputs and maps of zeros are read but are no operations.

    ::

        for node in fuse(blueprint):
            print(node.name, node.op)
    """
    return _Fusion(blueprint.deployed()).nodes()


def ops(blueprint: Blueprint) -> Counter[Op]:
    """Counts the operations of the shipped network, as they are timed."""
    return Counter(node.op.as_timed for node in fuse(blueprint) if not node.constant)


class _Fusion:
    """Goes through the layers twice: finds copies and repeated operations, then fuses."""

    def __init__(self, blueprint: Blueprint) -> None:
        self._blueprint = blueprint
        self._copies: dict[str, str] = {}
        self._constant: set[str] = set()
        self._positive: set[str] = set()
        self._readers: Counter[str] = Counter()
        self._nodes: dict[str, Node] = {}
        self._layers = self._needed()
        self._find_copies()

    def nodes(self) -> list[Node]:
        """Returns the operations of all layers."""
        for layer in self._layers:
            if layer.kind in ("input", "zero") or layer.name in self._copies:
                continue
            inputs = self._inputs(layer)
            if self._is_fused(layer, inputs[0]):
                self._fuse_into(self._nodes.pop(inputs[0]), layer)
            else:
                most = layer.options["most"] or 0 if layer.kind == "relu" else None
                op = self._op(layer, inputs)
                constant = layer.name in self._constant
                self._nodes[layer.name] = Node(layer.name, op, inputs, (layer,), most, constant)
        return list(self._nodes.values())

    def _needed(self) -> list[Layer]:
        """Returns the layers whose values reach the logits; a map of zeros passes none on."""
        names = set(self._blueprint.outputs.values())
        for layer in reversed(self._blueprint.layers):
            if layer.name in names:
                names.update(self._read(layer))
        return [layer for layer in self._blueprint.layers if layer.name in names]

    def _find_copies(self) -> None:
        """Finds layers that compute nothing, or repeat another layer without weights."""
        known: dict[tuple, str] = {}
        for layer in self._layers:
            if layer.kind == "input":
                continue
            inputs = self._inputs(layer)
            if self._constant.issuperset(inputs):
                self._constant.add(layer.name)
            if layer.kind in ("relu", "zero") or (
                layer.kind in _KEEPS_SIGN and self._positive.issuperset(inputs)
            ):
                self._positive.add(layer.name)
            if layer.kind in _FREE or self._is_copy(layer):
                self._copies[layer.name] = inputs[0]
                continue
            if layer.kind in _WEIGHTLESS:
                first = known.setdefault((self._op(layer, inputs), inputs), layer.name)
                if first != layer.name:
                    self._copies[layer.name] = first
                    continue
            self._readers.update(inputs)

    def _inputs(self, layer: Layer) -> tuple[str, ...]:
        return tuple(self._copies.get(name, name) for name in self._read(layer))

    def _fuse_into(self, before: Node, layer: Layer) -> None:
        """Fuses a layer into the operation before it."""
        most = before.most if layer.kind == "batch_norm" else layer.options["most"] or 0
        layers = (*before.layers, layer)
        self._nodes[layer.name] = replace(before, name=layer.name, layers=layers, most=most)

    @staticmethod
    def _read(layer: Layer) -> tuple[str, ...]:
        """Returns the layers whose values are read: zeros read none, resizing its first input."""
        if layer.kind == "zero":
            return ()
        return layer.inputs[:1] if layer.kind == "resize" else layer.inputs

    def _is_copy(self, layer: Layer) -> bool:
        """Returns whether a layer returns its input unchanged.

        So do resizing to the same size, the mean of one pixel, and ReLU of a non-negative map.
        """
        if layer.kind == "relu":
            return not layer.options["most"] and self._positive.issuperset(self._inputs(layer))
        source = self._blueprint.by_name[layer.inputs[0]]
        return layer.kind in ("resize", "global_pool") and source.size == layer.size

    def _is_fused(self, layer: Layer, source: str) -> bool:
        """Returns whether a layer is fused into its source, which no other layer may read."""
        before = self._nodes.get(source)
        if before is None or before.most is not None or self._readers[source] > 1:
            return False
        if layer.kind == "batch_norm":
            return before.layers[-1].kind in ("conv", "depthwise")
        return layer.kind == "relu" and before.op.kind in _FUSES_RELU

    def _op(self, layer: Layer, inputs: tuple[str, ...]) -> Op:
        options = layer.options
        kind = {
            "batch_norm": "affine",
            "global_pool": "mean",
            "scale": "depthwise",
            "subsample": "depthwise",
        }.get(layer.kind, layer.kind)
        stride = 2 if layer.kind == "subsample" else options.get("stride", 1)
        return Op(
            kind,
            tuple(_shape(self._blueprint.by_name[name]) for name in inputs),
            _shape(layer),
            kernel=_pair(options.get("kernel", 1)),
            stride=_pair(stride),
            rate=_pair(options.get("rate", 1)),
            corners=options.get("corners", False),
        )


def _shape(layer: Layer) -> Shape:
    return *layer.size, layer.channels


def _pair(value: int | Size) -> Size:
    return (value, value) if isinstance(value, int) else (value[0], value[1])


def _numbers(text: str) -> Any:
    return tuple(int(number) for number in text.split("x"))


def _by(numbers: tuple[int, ...]) -> str:
    return "x".join(map(str, numbers))
