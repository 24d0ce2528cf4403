"""Turns a shipped network into the operations that an interpreter such as TFLite runs.

Normalisation is fused into the convolution before it unless others share the kernel, an activation
into the operation before it. An operation's text holds everything that its time depends on, so
that equal operations are measured once.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from nas_tf.errors import ConfigError
from nas_tf.networks.blueprint import Blueprint, Layer
from nas_tf.networks.kinds import KINDS
from nas_tf.sizes import Size

Shape: TypeAlias = tuple[int, int, int]
_KERNELS = tuple(name for name, kind in KINDS.items() if kind.window)
_SCALARS = {"groups": int, "border": int, "slope": float, "epsilon": float}
_FLAGS = ("corners", "valid")
_MOVES = ("max_pool", "resize")
_CONSTANTS = ("input", "zero", "table")


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
    valid: bool = False
    groups: int = 1
    border: int = 0
    slope: float = 0.0
    epsilon: float = 0.0

    @classmethod
    def parse(cls, text: str) -> "Op":
        """Reads an operation from its text, as ``str`` writes it."""
        head, shapes = text.split(": ")
        sources, result = shapes.split(" > ")
        kind, *words = head.split(" ")
        options: dict[str, Any] = {"kernel": _numbers(words.pop(0))} if kind in _KERNELS else {}
        options |= {flag: True for flag in _FLAGS if flag in words}
        words = [word for word in words if word not in _FLAGS]
        for name, value in zip(words[::2], words[1::2], strict=True):
            options[name] = _SCALARS.get(name, _numbers)(value)
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
        fan_in = {"depthwise": 1}.get(self.kind, 0)
        if self.kind in ("conv", "deformable"):
            fan_in = self.inputs[0][2] // (self.groups if self.kind == "conv" else 1)
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
        for name, kind in _SCALARS.items():
            if (value := getattr(self, name)) != (1 if name == "groups" else kind()):
                words.append(f"{name} {value}")
        words += [flag for flag in _FLAGS if getattr(self, flag)]
        return f"{' '.join(words)}: {' '.join(map(_by, self.inputs))} > {_by(self.output)}"


@dataclass(frozen=True)
class Node:
    """An operation of a network: the name of its last layer, its inputs and its layers.

    ``most`` is None without an activation, 6 for ReLU6 and 0 for ReLU, which has no upper bound.
    A ``constant`` operation depends on maps of zeros alone and is computed at conversion.
    ``outputs`` names the network's outputs that it computes.
    """

    name: str
    op: Op
    inputs: tuple[str, ...]
    layers: tuple[Layer, ...]
    most: float | None = None
    constant: bool = False
    outputs: tuple[str, ...] = ()


def fuse(blueprint: Blueprint) -> list[Node]:
    """Returns the operations of the shipped network in order.

    Inputs and maps of zeros are read but are no operations.

    ::

        for node in fuse(blueprint):
            print(node.name, node.op)
    """
    return _Fusion(blueprint.deployed()).nodes()


def ops(blueprint: Blueprint) -> Counter[Op]:
    """Counts the operations of the shipped network, as they are timed.

    A ``scale`` that can be folded is none; a network with negative factors ships it all the same.
    """
    nodes = fuse(blueprint)
    taken = fold_targets(nodes)
    timed = (node for node in nodes if not node.constant and node.name not in taken)
    return Counter(node.op.as_timed for node in timed)


@dataclass(frozen=True)
class FoldTarget:
    """The operation into whose kernel the factors of a ``scale`` can be folded.

    Args:
        name: The operation's name.
        only_positive: True if no factor may be negative, as behind a ReLU or max-pooling.
    """

    name: str
    only_positive: bool


def fold_targets(nodes: Sequence[Node]) -> dict[str, FoldTarget]:
    """Returns for each ``scale`` that can be folded, by its name, into which operation.

    Resizing, ReLU and max-pooling may be between them, if nothing else reads their results.
    """
    by_name = {node.name: node for node in nodes}
    readers = Counter(name for node in nodes for name in node.inputs)
    exponents = {name for node in nodes if node.op.kind == "exp" for name in node.inputs}
    found = {}
    for node in nodes:
        if node.layers[0].kind != "scale" or node.name in exponents:
            continue
        source, only_positive = by_name.get(node.inputs[0]), False
        while source and readers[source.name] == 1 and not source.outputs and source.most != 6:
            only_positive |= source.most == 0 or source.op.kind == "max_pool"
            kind = source.layers[0].kind
            if KINDS[kind].folds_norm or kind == "batch_norm":
                found[node.name] = FoldTarget(source.name, only_positive)
            if source.op.kind not in _MOVES:
                break
            source = by_name.get(source.inputs[0])
    return found


class _Fusion:
    """Goes through the layers twice: finds copies and repeated operations, then fuses."""

    def __init__(self, blueprint: Blueprint) -> None:
        self._blueprint = blueprint
        self._copies: dict[str, str] = {}
        self._constant: set[str] = set()
        self._positive: set[str] = set()
        self._readers: Counter[str] = Counter()
        self._nodes: dict[str, Node] = {}
        self._shared = {layer.owner for layer in blueprint.layers}
        self._layers = self._needed()
        self._find_copies()

    def nodes(self) -> list[Node]:
        """Returns the operations of all layers."""
        for layer in self._layers:
            if layer.kind in _CONSTANTS or layer.name in self._copies:
                continue
            inputs = self._inputs(layer)
            if self._is_fused(layer, inputs[0]):
                self._fuse_into(self._nodes.pop(inputs[0]), layer)
            else:
                most = layer.options["most"] or 0 if layer.kind == "relu" else None
                op = self._op(layer, inputs)
                constant = layer.name in self._constant
                self._nodes[layer.name] = Node(layer.name, op, inputs, (layer,), most, constant)
        for output, layer in self._blueprint.outputs.items():
            node = self._nodes.get(source := self._copies[layer])
            if node is None:
                raise ConfigError(f"output {output} is {source}, expected a layer that computes")
            self._nodes[source] = replace(node, outputs=(*node.outputs, output))
        return list(self._nodes.values())

    def _needed(self) -> list[Layer]:
        """Returns the layers whose values reach an output; a map of zeros passes none on."""
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
                KINDS[layer.kind].keeps_sign and self._positive.issuperset(inputs)
            ):
                self._positive.add(layer.name)
            if KINDS[layer.kind].is_free or self._is_copy(layer):
                self._copies[layer.name] = inputs[0]
                self._readers[inputs[0]] += layer.kind == "output"
                continue
            if KINDS[layer.kind].is_repeatable:
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
        """Returns the layers whose values are read."""
        return layer.inputs[KINDS[layer.kind].reads]

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
        last = before.layers[-1]
        if layer.kind == "batch_norm":
            return KINDS[last.kind].folds_norm and last.arrays_of not in self._shared
        return layer.kind == "relu" and KINDS[last.kind].fuses_relu

    def _op(self, layer: Layer, inputs: tuple[str, ...]) -> Op:
        options = layer.options
        return Op(
            KINDS[layer.kind].op or layer.kind,
            tuple(_shape(self._blueprint.by_name[name]) for name in inputs),
            _shape(layer),
            kernel=_pair(options.get("kernel", 1)),
            stride=_pair(options.get("stride", 1)),
            rate=_pair(options.get("rate", 1)),
            corners=options.get("corners", False),
            valid=options.get("padding") == "valid",
            groups=options.get("groups", 1),
            border=options.get("border", 0),
            slope=options.get("slope", 0.0),
            epsilon=options.get("epsilon", 0.0) if layer.kind == "group_norm" else 0.0,
        )


def _shape(layer: Layer) -> Shape:
    return *layer.size, layer.channels


def _pair(value: int | Size) -> Size:
    return (value, value) if isinstance(value, int) else (value[0], value[1])


def _numbers(text: str) -> Any:
    return tuple(int(number) for number in text.split("x"))


def _by(numbers: tuple[int, ...]) -> str:
    return "x".join(map(str, numbers))
