"""Builds a blueprint layer by layer."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from nas_tf.errors import ConfigError
from nas_tf.networks.blueprint import Blueprint, Layer
from nas_tf.networks.kinds import KINDS
from nas_tf.sizes import Size

DYNAMIC_NOMINAL: Size = (512, 512)


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
        self.auxiliaries: dict[str, dict[str, str]] = {}
        self._layers: dict[str, Layer] = {}
        self._auxiliary = ""
        self._sharing: tuple[str, str] | None = None

    def start_part(self, part: str, *, epsilon: float, momentum: float) -> None:
        """Sets the part of the layers that follow, and the settings of its normalisation."""
        self.part = part
        self._norm = {"epsilon": epsilon, "momentum": momentum}

    @contextmanager
    def auxiliary(self, name: str) -> Iterator[None]:
        """Puts the layers and outputs that are added inside into an auxiliary head."""
        before, self._auxiliary = self._auxiliary, name
        try:
            yield
        finally:
            self._auxiliary = before

    @contextmanager
    def sharing(self, prefix: str, owners: str) -> Iterator[None]:
        """Lets layers whose names begin with ``prefix`` use the arrays of those of ``owners``.

        The arrays are counted, trained and saved once. A batch normalisation has its own, since
        its statistics are those of one map::

            draft = Draft((64, 64))
            x = draft.conv(draft.image(), "head.p3.conv", 3)
            with draft.sharing("head.p4", "head.p3"):
                draft.conv(x, "head.p4.conv", 3)
        """
        before, self._sharing = self._sharing, (prefix, owners)
        try:
            yield
        finally:
            self._sharing = before

    def finish(self) -> Blueprint:
        """Returns the blueprint of all layers so far."""
        return Blueprint(
            tuple(self._layers.values()),
            dict(self.outputs),
            self.input_size,
            self.dynamic,
            dict(self.auxiliaries),
        )

    def layer(self, name: str) -> Layer:
        """Returns a layer that was added before."""
        return self._layers[name]

    def image(self, channels: int = 3) -> Layer:
        """Adds the input image."""
        return self._append(
            Layer("image", "input", (), self.part, channels, self.input_size, stride=1)
        )

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
        bias_init: str = "zeros",
        groups: int = 1,
        symmetric: bool = False,
        valid: bool = False,
    ) -> Layer:
        """Adds a convolution with ``same`` padding, or without any with ``valid``.

        At a stride, TensorFlow's ``same`` pads even sizes less on the top and left. With
        ``symmetric``, a layer before it pads all sides by the same width, as PyTorch does.
        """
        if symmetric and kernel % 2 == 0:
            raise ConfigError(f"{name}: kernel is {kernel}, expected an odd one with symmetric")
        if x.channels % groups or channels % groups:
            raise ConfigError(f"{name}: {groups} groups do not divide {x.channels} and {channels}")
        options: dict[str, Any] = dict(kernel=(kernel, kernel), stride=stride, rate=(rate, rate))
        options |= {"bias": bias, "init": init} | ({"groups": groups} if groups > 1 else {})
        if bias_init != "zeros":
            options["bias_init"] = bias_init
        if symmetric and stride > 1 and kernel > 1:
            x, valid = self.pad(x, f"{name}.pad", rate * (kernel // 2)), True
        if valid:
            options["padding"] = "valid"
        return self._strided(x, name, "conv", options, channels=channels)

    def pad(self, x: Layer, name: str, border: int) -> Layer:
        """Adds a border of zeros on all sides."""
        size = x.size[0] + 2 * border, x.size[1] + 2 * border
        return self._like(x, name, "pad", {"border": border}, size=size)

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
            x = self._strided(x, f"{name}.subsample", "subsample", {"stride": stride})
            rate, stride = (rate[0] // stride, rate[1] // stride), 1
        options = dict(kernel=(kernel, kernel), stride=stride, rate=rate, init=init)
        return self._strided(x, name, "depthwise", options)

    def deformable(self, x: Layer, name: str, channels: int, *, groups: int = 1) -> Layer:
        """Adds a modulated deformable 3x3 convolution with bias (DCNv2).

        A convolution ``<name>.offsets`` computes offsets and mask of each tap and group; it
        starts at zero, with which the taps stand on the grid.
        """
        offsets = self.conv(x, f"{name}.offsets", 27 * groups, kernel=3, bias=True, init="zeros")
        options = dict(kernel=(3, 3), groups=groups, init="glorot_uniform")
        inputs = x, offsets
        return self._like(x, name, "deformable", options, inputs=inputs, channels=channels)

    def normalise(
        self, x: Layer, name: str, *, mean: Iterable[float], deviation: Iterable[float]
    ) -> Layer:
        """Subtracts a constant from each channel, then divides by another; neither trains."""
        constants = {"mean": tuple(mean), "deviation": tuple(deviation)}
        return self._like(x, name, "normalise", constants)

    def batch_norm(self, x: Layer, name: str, *, affine: bool = True) -> Layer:
        """Adds batch normalisation with the settings of the draft's current part."""
        options = self._norm if affine else {**self._norm, "affine": False}
        return self._like(x, name, "batch_norm", options)

    def group_norm(self, x: Layer, name: str, *, groups: int) -> Layer:
        """Adds group normalisation with the epsilon of the draft's current part."""
        if x.channels % groups:
            raise ConfigError(f"{name}: {groups} groups do not divide {x.channels} channels")
        options = {"groups": groups, "epsilon": self._norm["epsilon"]}
        return self._like(x, name, "group_norm", options)

    def relu(self, x: Layer, name: str, *, most: float | None = None) -> Layer:
        """Adds a ReLU, or a ReLU6 with ``most=6``."""
        return self._like(x, name, "relu", {"most": most})

    def leaky_relu(self, x: Layer, name: str, *, slope: float) -> Layer:
        """Adds a ReLU that multiplies negative values by ``slope``."""
        return self._like(x, name, "leaky_relu", {"slope": slope})

    def luma(self, x: Layer, name: str) -> Layer:
        """Adds the brightness of three channels: 0.299 red, 0.587 green, 0.114 blue."""
        return self._like(x, name, "luma", channels=1)

    def exp(self, x: Layer, name: str) -> Layer:
        """Adds the exponential function."""
        return self._like(x, name, "exp")

    def sigmoid(self, x: Layer, name: str) -> Layer:
        """Adds the logistic function."""
        return self._like(x, name, "sigmoid")

    def max_pool(
        self, x: Layer, name: str, *, kernel: int, stride: int, symmetric: bool = False
    ) -> Layer:
        """Adds max-pooling with ``same`` padding.

        With ``symmetric``, a layer before it adds zeros on all sides by the same width, which is
        the same if no value is negative.
        """
        options: dict[str, Any] = dict(kernel=(kernel, kernel), stride=stride)
        if symmetric:
            x, options["padding"] = self.pad(x, f"{name}.pad", kernel // 2), "valid"
        return self._strided(x, name, "max_pool", options)

    def average_pool(self, x: Layer, name: str, *, kernel: Size, stride: Size) -> Layer:
        """Adds average-pooling over complete windows (``valid`` padding)."""
        size = tuple((n - k) // s + 1 for n, k, s in zip(x.size, kernel, stride, strict=True))
        options = dict(kernel=kernel, stride=stride)
        return self._like(x, name, "average_pool", options, size=size)

    def global_pool(self, x: Layer, name: str) -> Layer:
        """Adds the mean over height and width, as a global map."""
        return self._like(x, name, "global_pool", {"is_global": True}, size=(1, 1))

    def add(self, a: Layer, b: Layer, name: str) -> Layer:
        """Adds the sum of two maps of one stride; global maps are broadcast, zero maps omitted."""
        if a.kind == "zero":
            return b
        if b.kind == "zero":
            return a
        return self._like(b if a.is_global else a, name, "add", inputs=(a, b))

    def subtract(self, a: Layer, b: Layer, name: str) -> Layer:
        """Adds the difference of two maps of one size."""
        return self._like(a, name, "subtract", inputs=(a, b))

    def weighted_sum(self, a: Layer, b: Layer, name: str) -> Layer:
        """Adds the sum of two maps, each with a learned factor per channel, initially 1."""
        return self.add(self.scale(a, f"{name}.first"), self.scale(b, f"{name}.second"), name)

    def table(self, x: Layer, name: str, part: str, shape: Size) -> Layer:
        """Adds a table of architecture weights, initially 1, in a part of its own.

        ``x`` is any layer before it; its values are unused.
        """
        changes = dict(part=part, channels=shape[1], size=(1, 1), stride=1)
        return self._like(x, name, "table", {"rows": shape[0]}, **changes)

    def mix(
        self,
        table: Layer,
        maps: Iterable[Layer],
        name: str,
        *,
        entries: Iterable[tuple[int, int]],
        masked: Iterable[tuple[int, int]] = (),
    ) -> Layer:
        """Adds a sum of maps, weighted by entries (row, column) of the softmax over table rows.

        Columns without a map take their share of the softmax, as the operation ``none`` does;
        ``masked`` entries have none.
        """
        maps, options = tuple(maps), {"entries": tuple(entries), "masked": tuple(masked)}
        if len(maps) != len(options["entries"]):
            raise ValueError(f"{name} has {len(maps)} maps and {len(options['entries'])} entries")
        return self._like(maps[0], name, "mix", options, inputs=(table, *maps))

    def concat(self, parts: Iterable[Layer], name: str) -> Layer:
        """Adds a concatenation over channels."""
        parts = tuple(parts)
        channels = sum(part.channels for part in parts)
        return self._like(parts[0], name, "concat", inputs=parts, channels=channels)

    def resize(self, x: Layer, like: Layer, name: str, *, corners: bool = False) -> Layer:
        """Adds bilinear resizing to the size of ``like``, unless ``x`` has that size already.

        It uses half-pixel centres, or aligned corner pixels with ``corners``.
        """
        if x.stride == like.stride and x.size == like.size and not x.is_global:
            return x
        inputs, options = (x, like), {"corners": corners}
        return self._like(like, name, "resize", options, inputs=inputs, channels=x.channels)

    def full(self, x: Layer, like: Layer, name: str) -> Layer:
        """Resizes a global map to the size that it stands for; returns other maps unchanged."""
        return self.resize(x, like, name) if x.is_global else x

    def scale(self, x: Layer, name: str, *, scalar: bool = False) -> Layer:
        """Adds a learned factor per channel, or a ``scalar`` for all of them, initially 1."""
        return self._like(x, name, "scale", {"scalar": True} if scalar else {})

    def zero(self, x: Layer, name: str) -> Layer:
        """Adds a map of zeros of the same shape."""
        return self._like(x, name, "zero")

    def dropout(self, x: Layer, name: str, *, drop: float) -> Layer:
        """Adds dropout, which acts in training only."""
        return self._like(x, name, "dropout", {"drop": drop})

    def output(self, x: Layer, name: str) -> None:
        """Declares an output; it is in float32 under every precision policy.

        Inside ``auxiliary`` it is the auxiliary head's, and its layer is named after both.
        """
        if not self._auxiliary:
            self.outputs[name] = self._like(x, name, "output").name
            return
        head = self._auxiliary
        layer = self._like(x, head if name == "logits" else f"{head}.{name}", "output")
        self.auxiliaries.setdefault(head, {})[name] = layer.name

    def _like(
        self,
        x: Layer,
        name: str,
        kind: str,
        options: Mapping[str, Any] | None = None,
        *,
        inputs: tuple[Layer, ...] = (),
        **changes: Any,
    ) -> Layer:
        """Adds a layer of the shape of ``x`` with some changes; it reads ``x`` by default."""
        options = {**(options or {}), **({"is_global": True} if x.is_global else {})}
        read = tuple(source.name for source in inputs or (x,))
        layer = Layer(name, kind, read, self.part, x.channels, x.size, x.stride, options)
        return self._append(replace(layer, auxiliary=bool(self._auxiliary), **changes))

    def _strided(
        self, x: Layer, name: str, kind: str, options: Mapping[str, Any], **changes: Any
    ) -> Layer:
        stride, size = options["stride"], x.size
        if options.get("padding") == "valid":
            rates = options.get("rate", (1, 1))
            reach = [rate * (k - 1) for rate, k in zip(rates, options["kernel"], strict=True)]
            size = size[0] - reach[0], size[1] - reach[1]
        changes = {"size": ceil_div(size, stride), **changes}
        return self._like(x, name, kind, options, stride=x.stride * stride, **changes)

    def _append(self, layer: Layer) -> Layer:
        if layer.name in self._layers:
            raise ValueError(f"two layers are named {layer.name}")
        if self._sharing is not None:
            prefix, owners = self._sharing
            rest = layer.name.removeprefix(prefix)
            if layer.name.startswith(prefix) and not rest[:1].isalnum():
                layer = replace(layer, owner=self._owner(layer, owners + rest))
        self._layers[layer.name] = layer
        return layer

    def _owner(self, layer: Layer, name: str) -> str:
        """Returns the layer whose arrays a shared layer uses, nothing for its own or none."""
        shapes = self._shapes(layer)
        if not shapes or layer.kind == "batch_norm":
            return ""
        if layer.kind == "table":
            raise ValueError(f"{layer.name} cannot share its arrays, it is a table")
        owner = self._layers.get(name)
        if owner is None:
            raise ValueError(f"{layer.name} shares the arrays of {name}, which is not there")
        for what in ("kind", "options", "part", "auxiliary"):
            if (own := getattr(layer, what)) != (other := getattr(owner, what)):
                raise ValueError(f"{layer.name} and {name} differ in {what}: {own} and {other}")
        if (others := self._shapes(owner)) != shapes:
            raise ValueError(f"{layer.name} and {name} have arrays of {shapes} and {others}")
        return owner.arrays_of

    def _shapes(self, layer: Layer) -> list[tuple[int, ...]]:
        source = self._layers[layer.inputs[0]]
        return [slot.shape for slot in KINDS[layer.kind].slots(layer, source)]
