"""Describes a network before Keras, as named layers with shapes.

The builders of this room make a blueprint; ``keras_model`` turns it into a Keras model,
``cost`` counts it, the command line prints it. None but ``keras_model`` needs TensorFlow.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

from nas_tf.errors import ConfigError
from nas_tf.sizes import Size

Part = Literal["encoder", "decoder", "aux"]
DYNAMIC_NOMINAL: Size = (512, 512)


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer: its kind and options, the layers it reads, and the shape of its output.

    ``stride`` is the number of input pixels per output pixel. A global map keeps the stride of
    the map it was pooled from although its ``size`` is 1x1: it stands for a constant map there.

    ::

        Layer("block1.sum", "add", ("a", "b"), "decoder", channels=48, size=(24, 32), stride=4)
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
        """True if this is a 1x1 map that stands for a constant map of full size."""
        return bool(self.options.get("is_global"))


@dataclass(frozen=True)
class Blueprint:
    """All layers of a network, each after the layers that it reads; it is never changed.

    ::

        blueprint = blueprint_of("arch0", 21, input_size=(512, 512))
        blueprint.output().size  # (128, 128)
        cost(blueprint.deployed()).params
    """

    layers: tuple[Layer, ...]
    outputs: Mapping[str, str]
    input_size: Size
    dynamic: bool

    @cached_property
    def by_name(self) -> Mapping[str, Layer]:
        """The layers by name."""
        return {layer.name: layer for layer in self.layers}

    def output(self, name: str = "logits") -> Layer:
        """Returns the layer of an output."""
        return self.by_name[self.outputs[name]]

    def live(self) -> "Blueprint":
        """Returns a blueprint without the layers that no output needs."""
        needed = set(self.outputs.values())
        for layer in reversed(self.layers):
            if layer.name in needed:
                needed.update(layer.inputs)
        return replace(self, layers=tuple(layer for layer in self.layers if layer.name in needed))

    def decoder(self, taps: Sequence[str]) -> "Blueprint":
        """Returns the layers after the encoder; the taps they read become inputs ``tap0``, …."""
        tap_names = {name: f"tap{n}" for n, name in enumerate(taps)}
        after = [layer for layer in self.live().layers if layer.part != "encoder"]
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
        return replace(self, outputs={"logits": self.outputs["logits"]}).live()


def ceil_div(size: Size, stride: int) -> Size:
    """Returns the size after a layer of that stride with ``same`` padding."""
    return -(-size[0] // stride), -(-size[1] // stride)


class Draft:
    """Builds a blueprint layer by layer; each method appends a layer and returns it.

    A draft belongs to one thread. Layer names must be unique; weights are matched by them.

    ::

        draft = Draft((64, 64))
        draft.start_part("decoder", epsilon=1e-5, momentum=0.9)
        x = draft.conv(draft.image(), "first.conv", 16, kernel=3, stride=2)
        draft.output(draft.relu(x, "first.relu"), "logits")
        blueprint = draft.finish()

    Args:
        input_size: Height and width, or None for a network that takes any size.
    """

    def __init__(self, input_size: Size | None) -> None:
        self.dynamic = input_size is None
        self.input_size = DYNAMIC_NOMINAL if input_size is None else input_size
        self.start_part("encoder", epsilon=1e-3, momentum=0.99)
        self.outputs: dict[str, str] = {}
        self._layers: dict[str, Layer] = {}

    def start_part(self, part: Part, *, epsilon: float, momentum: float) -> None:
        """Sets the part of the layers that follow, and the settings of its batch normalisation."""
        self.part: Part = part
        self._norm = {"epsilon": epsilon, "momentum": momentum}

    def finish(self) -> Blueprint:
        """Returns the blueprint of all layers so far."""
        return Blueprint(
            tuple(self._layers.values()), dict(self.outputs), self.input_size, self.dynamic
        )

    def image(self) -> Layer:
        """Adds the input image."""
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
        """Adds a convolution with ``same`` padding."""
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
        """Adds a depthwise convolution, with a stride and a rate at once where that is possible.

        TensorFlow cannot stride and dilate at once. If the stride divides the rate, all pixels
        that the kernel reads lie on the grid of the stride, so subsampling first and dilating
        less has the same result. Otherwise a ``ConfigError`` is raised.
        """
        if stride > 1 and max(rate) > 1:
            if rate[0] % stride or rate[1] % stride:
                raise ConfigError(f"{name}: stride {stride} does not divide rate {rate}")
            x = self._spatial(x, f"{name}.subsample", "subsample", x.channels, stride, {})
            rate, stride = (rate[0] // stride, rate[1] // stride), 1
        options = dict(kernel=(kernel, kernel), stride=stride, rate=rate, init=init)
        return self._spatial(x, name, "depthwise", x.channels, stride, options)

    def batch_norm(self, x: Layer, name: str) -> Layer:
        """Adds batch normalisation with the settings of the draft's current part."""
        return self._like(x, name, "batch_norm", self._norm)

    def relu(self, x: Layer, name: str, *, most: float | None = None) -> Layer:
        """Adds a ReLU, or a ReLU6 with ``most=6``."""
        return self._like(x, name, "relu", {"most": most})

    def max_pool(self, x: Layer, name: str, *, kernel: int, stride: int) -> Layer:
        """Adds max-pooling with ``same`` padding."""
        options = dict(kernel=(kernel, kernel), stride=stride)
        return self._spatial(x, name, "max_pool", x.channels, stride, options)

    def average_pool(self, x: Layer, name: str, *, kernel: Size, stride: Size) -> Layer:
        """Adds average-pooling over complete windows (``valid`` padding)."""
        size = tuple((n - k) // s + 1 for n, k, s in zip(x.size, kernel, stride, strict=True))
        options = dict(kernel=kernel, stride=stride)
        return self._add(name, "average_pool", (x,), x.channels, size, x.stride, options)

    def global_pool(self, x: Layer, name: str) -> Layer:
        """Adds the mean over height and width, as a global map."""
        return self._add(
            name, "global_pool", (x,), x.channels, (1, 1), x.stride, {"is_global": True}
        )

    def add(self, a: Layer, b: Layer, name: str) -> Layer:
        """Adds the sum of two maps of one stride; global maps are broadcast, zero maps omitted."""
        if a.kind == "zero":
            return b
        if b.kind == "zero":
            return a
        full = b if a.is_global else a
        return self._add(
            name, "add", (a, b), full.channels, full.size, full.stride, _globality(full)
        )

    def concat(self, parts: Iterable[Layer], name: str) -> Layer:
        """Adds a concatenation over channels."""
        parts = tuple(parts)
        channels = sum(part.channels for part in parts)
        first = parts[0]
        return self._add(
            name, "concat", parts, channels, first.size, first.stride, _globality(first)
        )

    def resize(self, x: Layer, like: Layer, name: str, *, corners: bool = False) -> Layer:
        """Adds bilinear resizing to the size of ``like``, unless ``x`` has that size already.

        It uses half-pixel centres, or aligned corner pixels with ``corners``.
        """
        if x.stride == like.stride and x.size == like.size and not x.is_global:
            return x
        options = {"corners": corners}
        return self._add(name, "resize", (x, like), x.channels, like.size, like.stride, options)

    def full(self, x: Layer, like: Layer, name: str) -> Layer:
        """Resizes a global map to the size that it stands for; returns other maps unchanged."""
        return self.resize(x, like, name) if x.is_global else x

    def scale(self, x: Layer, name: str) -> Layer:
        """Adds a learned factor per channel, initially 1."""
        return self._like(x, name, "scale", {})

    def zero(self, x: Layer, name: str) -> Layer:
        """Adds a map of zeros of the same shape."""
        return self._like(x, name, "zero", {})

    def dropout(self, x: Layer, name: str, *, drop: float) -> Layer:
        """Adds dropout, which acts in training only."""
        return self._like(x, name, "dropout", {"drop": drop})

    def output(self, x: Layer, name: str) -> None:
        """Declares an output; it is in float32 under every precision policy."""
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
