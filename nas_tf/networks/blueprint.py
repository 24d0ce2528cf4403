"""A network before Keras: named layers with shapes, written once, read by all.

The builders of this room write a blueprint; ``keras_model`` turns it into a Keras model,
``cost`` counts it, the command line prints it. No TensorFlow is needed to write or count one.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal, TypeAlias

from nas_tf.errors import ConfigError

Size: TypeAlias = tuple[int, int]
Part = Literal["encoder", "decoder", "aux"]
DYNAMIC_NOMINAL: Size = (512, 512)


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer: what it computes, from what, and the shape of its output.

    ``stride`` is the input pixels one output pixel stands for. A global map keeps the stride of
    what it was pooled from although its ``size`` is 1x1: it stands for a constant map there.
    """

    name: str
    kind: str
    inputs: tuple[str, ...]
    part: Part
    channels: int
    size: Size
    stride: int
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_global(self) -> bool:
        """Whether this is a 1x1 map that stands for a constant one."""
        return bool(self.options.get("is_global"))


@dataclass(frozen=True)
class Blueprint:
    """All layers of a network in an order in which they can be computed."""

    layers: tuple[Layer, ...]
    outputs: Mapping[str, str]
    input_size: Size
    dynamic: bool

    @cached_property
    def by_name(self) -> Mapping[str, Layer]:
        """Layers by name."""
        return {layer.name: layer for layer in self.layers}

    def output(self, name: str = "logits") -> Layer:
        """The layer behind an output."""
        return self.by_name[self.outputs[name]]

    def live(self) -> "Blueprint":
        """Without the layers that no output needs."""
        needed = set(self.outputs.values())
        for layer in reversed(self.layers):
            if layer.name in needed:
                needed.update(layer.inputs)
        return replace(self, layers=tuple(layer for layer in self.layers if layer.name in needed))

    def decoder(self, taps: Sequence[str]) -> "Blueprint":
        """What follows the encoder; the taps it reads are inputs ``tap0``, ``tap1``, …."""
        given = {name: f"tap{n}" for n, name in enumerate(taps)}
        after = [layer for layer in self.live().layers if layer.part != "encoder"]
        read = {name for layer in after for name in layer.inputs} & set(given)
        inputs = [
            replace(self.by_name[name], name=given[name], kind="input", inputs=(), options={})
            for name in taps
            if name in read
        ]
        renamed = [
            replace(layer, inputs=tuple(given.get(name, name) for name in layer.inputs))
            for layer in after
        ]
        return replace(self, layers=(*inputs, *renamed))

    def deployed(self) -> "Blueprint":
        """As it is shipped: no auxiliaries, nothing dead."""
        return replace(self, outputs={"logits": self.outputs["logits"]}).live()


def ceil_div(size: Size, stride: int) -> Size:
    """The size after a layer of that stride with ``same`` padding."""
    return -(-size[0] // stride), -(-size[1] // stride)


class Draft:
    """Writes a blueprint layer by layer; each method appends one layer and returns it."""

    def __init__(self, input_size: Size | None) -> None:
        self.dynamic = input_size is None
        self.input_size = DYNAMIC_NOMINAL if input_size is None else input_size
        self.begin("encoder", epsilon=1e-3, momentum=0.99)
        self.outputs: dict[str, str] = {}
        self._layers: dict[str, Layer] = {}

    def begin(self, part: Part, *, epsilon: float, momentum: float) -> None:
        """Says to which part the following layers belong, and how that part normalises."""
        self.part: Part = part
        self._norm = {"epsilon": epsilon, "momentum": momentum}

    def finish(self) -> Blueprint:
        """The blueprint of what was drawn."""
        return Blueprint(
            tuple(self._layers.values()), dict(self.outputs), self.input_size, self.dynamic
        )

    def image(self) -> Layer:
        """The input image."""
        return self._add("image", "input", (), 3, self.input_size, 1)

    def conv(
        self,
        x: Layer,
        name: str,
        channels: int,
        *,
        kernel: int = 1,
        stride: int = 1,
        rate: int = 1,
        bias: bool = False,
        init: str = "glorot_uniform",
    ) -> Layer:
        """A convolution with ``same`` padding."""
        options = dict(kernel=(kernel, kernel), stride=stride, rate=(rate, rate))
        return self._spatial(
            x, name, "conv", channels, stride, {**options, "bias": bias, "init": init}
        )

    def depthwise(
        self,
        x: Layer,
        name: str,
        *,
        kernel: int,
        stride: int = 1,
        rate: Size = (1, 1),
        init: str = "glorot_uniform",
    ) -> Layer:
        """A depthwise convolution; TensorFlow cannot stride and dilate at once.

        Where every tap falls on the kept pixels, which is so when the stride divides the rate,
        keeping those pixels first and dilating less gives the same result.
        """
        if stride > 1 and max(rate) > 1:
            if rate[0] % stride or rate[1] % stride:
                raise ConfigError(f"{name}: stride {stride} does not divide rate {rate}")
            x = self._spatial(x, f"{name}.subsample", "subsample", x.channels, stride, {})
            rate, stride = (rate[0] // stride, rate[1] // stride), 1
        options = dict(kernel=(kernel, kernel), stride=stride, rate=rate, init=init)
        return self._spatial(x, name, "depthwise", x.channels, stride, options)

    def batch_norm(self, x: Layer, name: str) -> Layer:
        """Batch normalisation with the settings of the draft's present part."""
        return self._like(x, name, "batch_norm", self._norm)

    def relu(self, x: Layer, name: str, *, most: float | None = None) -> Layer:
        """ReLU, or ReLU6 with ``most=6``."""
        return self._like(x, name, "relu", {"most": most})

    def max_pool(self, x: Layer, name: str, *, kernel: int, stride: int) -> Layer:
        """Max-pooling with ``same`` padding."""
        options = dict(kernel=(kernel, kernel), stride=stride)
        return self._spatial(x, name, "max_pool", x.channels, stride, options)

    def average_pool(self, x: Layer, name: str, *, kernel: Size, stride: Size) -> Layer:
        """Average-pooling over whole windows (``valid`` padding)."""
        size = tuple((n - k) // s + 1 for n, k, s in zip(x.size, kernel, stride, strict=True))
        options = dict(kernel=kernel, stride=stride)
        return self._add(name, "average_pool", (x,), x.channels, size, x.stride, options)

    def global_pool(self, x: Layer, name: str) -> Layer:
        """The mean over height and width, as a global map."""
        return self._add(
            name, "global_pool", (x,), x.channels, (1, 1), x.stride, {"is_global": True}
        )

    def add(self, a: Layer, b: Layer, name: str) -> Layer:
        """The sum of two maps of one stride; a global map is broadcast, a zero one left out."""
        if a.kind == "zero":
            return b
        if b.kind == "zero":
            return a
        full = b if a.is_global else a
        return self._add(
            name, "add", (a, b), full.channels, full.size, full.stride, _globality(full)
        )

    def concat(self, parts: Iterable[Layer], name: str) -> Layer:
        """Concatenation over channels."""
        parts = tuple(parts)
        channels = sum(part.channels for part in parts)
        first = parts[0]
        return self._add(
            name, "concat", parts, channels, first.size, first.stride, _globality(first)
        )

    def resize(self, x: Layer, like: Layer, name: str, *, corners: bool = False) -> Layer:
        """Bilinear resizing to another map's size, with half-pixel centres unless ``corners``."""
        if x.stride == like.stride and x.size == like.size and not x.is_global:
            return x
        options = {"corners": corners}
        return self._add(name, "resize", (x, like), x.channels, like.size, like.stride, options)

    def full(self, x: Layer, like: Layer, name: str) -> Layer:
        """A global map spread out to the size it stands for; other maps as they are."""
        return self.resize(x, like, name) if x.is_global else x

    def scale(self, x: Layer, name: str) -> Layer:
        """A learned factor per channel, initially one."""
        return self._like(x, name, "scale", {})

    def zero(self, x: Layer, name: str) -> Layer:
        """A map of zeros of the same shape."""
        return self._like(x, name, "zero", {})

    def dropout(self, x: Layer, name: str, *, drop: float) -> Layer:
        """Dropout during training."""
        return self._like(x, name, "dropout", {"drop": drop})

    def output(self, x: Layer, name: str) -> None:
        """Declares an output, in single precision whatever the policy."""
        self.outputs[name] = self._like(x, name, "output", {}).name

    def _like(self, x: Layer, name: str, kind: str, options: Mapping[str, Any]) -> Layer:
        return self._add(
            name, kind, (x,), x.channels, x.size, x.stride, {**options, **_globality(x)}
        )

    def _spatial(
        self,
        x: Layer,
        name: str,
        kind: str,
        channels: int,
        stride: int,
        options: Mapping[str, Any],
    ) -> Layer:
        size = ceil_div(x.size, stride)
        return self._add(
            name, kind, (x,), channels, size, x.stride * stride, {**options, **_globality(x)}
        )

    def _add(
        self,
        name: str,
        kind: str,
        inputs: Iterable[Layer],
        channels: int,
        size: Any,
        stride: int,
        options: Mapping[str, Any] | None = None,
    ) -> Layer:
        if name in self._layers:
            raise ValueError(f"two layers are named {name}")
        names = tuple(layer.name for layer in inputs)
        layer = Layer(name, kind, names, self.part, channels, size, stride, options or {})
        self._layers[name] = layer
        return layer


def _globality(x: Layer) -> Mapping[str, Any]:
    return {"is_global": True} if x.is_global else {}
