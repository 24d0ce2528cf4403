"""A shipped network as the operations that an interpreter such as TFLite runs.

Normalisation goes into the convolution before it, an activation into what it follows. Each
operation has a name that says all its time depends on, so that equal ones are measured once.
"""

import math
from collections import Counter
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from nas_tf.networks.blueprint import Blueprint, Layer, Size

Shape: TypeAlias = tuple[int, int, int]
_FREE = ("dropout", "output")
_TAKES_RELU = ("conv", "depthwise", "add", "affine")
_WEIGHTLESS = ("global_pool", "max_pool", "average_pool", "subsample", "resize", "add", "concat")
_KEEPS_SIGN = ("global_pool", "max_pool", "average_pool", "subsample", "resize", "add", "concat")
_KERNELS = ("conv", "depthwise", "max_pool", "average_pool")


@dataclass(frozen=True, slots=True)
class Op:
    """What an operation computes: kind, shapes of what it reads and gives, and its window.

    ``affine`` is a normalisation that stands alone, a product and a sum per channel.
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
        """Reads back what ``str`` gives."""
        what, shapes = text.split(": ")
        read, given = shapes.split(" > ")
        kind, *words = what.split(" ")
        options: dict[str, Any] = {"kernel": _numbers(words.pop(0))} if kind in _KERNELS else {}
        if "corners" in words:
            options["corners"] = bool(words.pop())
        names, values = words[::2], words[1::2]
        options |= {name: _numbers(value) for name, value in zip(names, values, strict=True)}
        inputs = tuple(_numbers(shape) for shape in read.split(" "))
        return cls(kind, inputs, _numbers(given), **options)

    @property
    def alike(self) -> "Op":
        """What it has in common with operations that differ from it in channels alone."""
        sizes = sorted({(*shape[:2], 0) for shape in self.inputs})
        return replace(self, inputs=tuple(sizes), output=(*self.output[:2], 0))

    @property
    def work(self) -> int:
        """Values read and written, and products: what its time goes along with among alikes."""
        values = sum(math.prod(shape) for shape in (*self.inputs, self.output))
        fan_in = {"conv": self.inputs[0][2], "depthwise": 1}.get(self.kind, 0)
        return values + fan_in * math.prod((*self.output, *self.kernel))

    @property
    def counted(self) -> "Op":
        """As it is timed: joining maps takes as long however their channels are shared out."""
        if self.kind != "concat":
            return self
        height, width, channels = self.output
        each, rest = divmod(channels, len(self.inputs))
        shares = ((height, width, each + (n < rest)) for n in range(len(self.inputs)))
        return replace(self, inputs=tuple(shares))

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
    """An operation in its place: its last layer's name, what it reads, the layers it stands for.

    ``most`` is None without an activation, 6 for ReLU6 and 0 for ReLU, which has no upper end. A
    constant one follows from maps of zeros alone and is computed before anything runs.
    """

    name: str
    op: Op
    inputs: tuple[str, ...]
    layers: tuple[Layer, ...]
    most: float | None = None
    constant: bool = False


def fuse(blueprint: Blueprint) -> list[Node]:
    """The operations of a network as shipped, in order, the last one giving its logits.

    Inputs and maps of zeros are read but are no operations.
    """
    return _Fusion(blueprint.deployed()).nodes()


def ops(blueprint: Blueprint) -> Counter[Op]:
    """How often a network as shipped runs each operation, as it is timed."""
    return Counter(node.op.counted for node in fuse(blueprint) if not node.constant)


class _Fusion:
    """Goes through the layers twice: what is the same as what, then what goes into what."""

    def __init__(self, blueprint: Blueprint) -> None:
        self._blueprint = blueprint
        self._same: dict[str, str] = {}
        self._constant: set[str] = set()
        self._positive: set[str] = set()
        self._readers: Counter[str] = Counter()
        self._nodes: dict[str, Node] = {}
        self._layers = self._needed()
        self._find_same()

    def nodes(self) -> list[Node]:
        """The operations of all layers."""
        for layer in self._layers:
            if layer.kind in ("input", "zero") or layer.name in self._same:
                continue
            inputs = self._inputs(layer)
            if self._goes_into(layer, inputs[0]):
                self._grow(self._nodes.pop(inputs[0]), layer)
            else:
                most = layer.options["most"] or 0 if layer.kind == "relu" else None
                op = self._op(layer, inputs)
                constant = layer.name in self._constant
                self._nodes[layer.name] = Node(layer.name, op, inputs, (layer,), most, constant)
        return list(self._nodes.values())

    def _needed(self) -> list[Layer]:
        """Layers whose values reach the logits, which no zero passes on."""
        names = set(self._blueprint.outputs.values())
        for layer in reversed(self._blueprint.layers):
            if layer.name in names:
                names.update(self._read(layer))
        return [layer for layer in self._blueprint.layers if layer.name in names]

    def _find_same(self) -> None:
        """Layers that compute nothing, or what another without weights has computed."""
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
                self._same[layer.name] = inputs[0]
                continue
            if layer.kind in _WEIGHTLESS:
                first = known.setdefault((self._op(layer, inputs), inputs), layer.name)
                if first != layer.name:
                    self._same[layer.name] = first
                    continue
            self._readers.update(inputs)

    def _inputs(self, layer: Layer) -> tuple[str, ...]:
        return tuple(self._same.get(name, name) for name in self._read(layer))

    def _grow(self, before: Node, layer: Layer) -> None:
        """Takes a layer into the operation before it."""
        most = before.most if layer.kind == "batch_norm" else layer.options["most"] or 0
        layers = (*before.layers, layer)
        self._nodes[layer.name] = replace(before, name=layer.name, layers=layers, most=most)

    @staticmethod
    def _read(layer: Layer) -> tuple[str, ...]:
        """What a layer takes values from: zeros take none, resizing only a size of its second."""
        if layer.kind == "zero":
            return ()
        return layer.inputs[:1] if layer.kind == "resize" else layer.inputs

    def _is_copy(self, layer: Layer) -> bool:
        """Whether a layer gives what it reads.

        Maps resized to their own size, the mean of one pixel, a ReLU of what is never negative.
        """
        if layer.kind == "relu":
            return not layer.options["most"] and self._positive.issuperset(self._inputs(layer))
        source = self._blueprint.by_name[layer.inputs[0]]
        return layer.kind in ("resize", "global_pool") and source.size == layer.size

    def _goes_into(self, layer: Layer, source: str) -> bool:
        """Whether a layer becomes part of the operation it alone reads."""
        before = self._nodes.get(source)
        if before is None or before.most is not None or self._readers[source] > 1:
            return False
        if layer.kind == "batch_norm":
            return before.layers[-1].kind in ("conv", "depthwise")
        return layer.kind == "relu" and before.op.kind in _TAKES_RELU

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
