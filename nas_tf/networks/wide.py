"""Computes layers that do the same to one map as one wide layer, which is faster.

A super-net has dozens of convolutions of ten channels on each map. Those of one kernel become one
convolution of as many times the channels, and what follows them is as wide. The weights of a mix
become the scales of the normalisations before it. The result is that of the layers one by one.
"""

from collections import defaultdict
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import tensorflow as tf

from nas_tf.networks.arithmetic import batch_norm, conv, mix_weights
from nas_tf.networks.arrays import PartLayout
from nas_tf.networks.blueprint import Blueprint, Layer
from nas_tf.networks.functional import FLOAT32, Functional, Pass, Precision

_WIDENED = ("conv", "depthwise", "batch_norm", "relu", "leaky_relu")
_LARGE = 5
_NOT_WIDE = ("groups", "padding", "is_global")


class WideFunctional(Functional):
    """A network as a function of its vectors, like ``Functional``, with wide layers.

    ::

        network = WideFunctional(blueprint)
    """

    def __init__(
        self,
        blueprint: Blueprint,
        precision: Precision = FLOAT32,
        parts: Mapping[str, PartLayout] | None = None,
    ) -> None:
        # The gradient of large depthwise kernels in bfloat16 falls back to a slow one.
        precision = replace(precision, dense=False, depthwise_from=_LARGE)
        super().__init__(blueprint, precision, parts)
        self.blueprint = widened(self.blueprint)

    def _wide_conv(self, layer: Layer, read: list[tf.Tensor], state: Pass) -> tf.Tensor:
        kernels = [state.arrays[name, "kernel"] for name in layer.options["members"]]
        if layer.options["paired"]:
            kernel = _block_diagonal(tf.concat(kernels, 0)[:, 0])
        else:
            kernel = tf.concat(kernels, -1)
        return conv(read[0], kernel, rate=layer.options["rate"])

    def _wide_separable(self, layer: Layer, read: list[tf.Tensor], state: Pass) -> tf.Tensor:
        """Computes depthwise and pointwise convolutions of one map as one dense convolution."""
        kernels = [
            state.arrays[depthwise, "kernel"] * state.arrays[name, "kernel"]
            for depthwise, name in zip(
                layer.options["depthwise"], layer.options["members"], strict=True
            )
        ]
        kernel = tf.concat(kernels, -1)
        return conv(read[0], kernel, rate=layer.options["rate"])

    def _wide_depthwise(self, layer: Layer, read: list[tf.Tensor], state: Pass) -> tf.Tensor:
        kernels = [state.arrays[name, "kernel"] for name in layer.options["members"]]
        x = read[0] if layer.options["paired"] else tf.tile(read[0], (1, 1, 1, len(kernels)))
        return self._depthwise_by(layer, x, tf.concat(kernels, 2))

    def _wide_batch_norm(self, layer: Layer, read: list[tf.Tensor], state: Pass) -> tf.Tensor:
        """Normalises each channel; with a table before it, also weighs each member's channels."""
        members, options = layer.options["members"], layer.options
        scale = tf.ones(layer.channels)
        if "entries" in options:
            weights = mix_weights(read[0], options["entries"], options["masked"])
            scale = tf.ones((len(members), layer.channels // len(members))) * weights[:, None]
            scale = tf.reshape(scale, (-1,))
        learning = layer.part in state.training
        moving = {
            role: tf.concat([state.arrays[name, role] for name in members], 0)
            for role in ("mean", "variance")
        }
        y, *measured = batch_norm(
            read[-1], moving | {"gamma": scale}, epsilon=options["epsilon"], training=learning
        )
        if learning:
            for role, values in zip(moving, measured, strict=True):
                for name, value in zip(members, tf.split(values, len(members)), strict=True):
                    state.measured[name, role] = value
        return y

    def _wide_relu(self, layer: Layer, read: list[tf.Tensor], state: Pass) -> tf.Tensor:
        return self._relu(layer, read, state)

    def _wide_leaky_relu(self, layer: Layer, read: list[tf.Tensor], state: Pass) -> tf.Tensor:
        return self._leaky_relu(layer, read, state)

    def _sum(self, layer: Layer, read: list[tf.Tensor], state: Pass) -> tf.Tensor:
        return tf.add_n(read)

    def _part(self, layer: Layer, read: list[tf.Tensor], state: Pass) -> tf.Tensor:
        key = f"{layer.inputs[0]}:parts"
        if key not in state.tensors:
            state.tensors[key] = tf.split(read[0], read[0].shape[-1] // layer.channels, -1)
        return state.tensors[key][layer.options["number"]]


def _block_diagonal(kernels: tf.Tensor) -> tf.Tensor:
    """Returns the kernel of 1x1 convolutions [count, in, out], each of its own channels."""
    count, fan_in, channels = kernels.shape
    own = tf.eye(count, dtype=kernels.dtype)
    blocks = kernels[:, :, None] * own[:, None, :, None]
    return tf.reshape(blocks, (1, 1, count * fan_in, count * channels))


@dataclass(frozen=True)
class _Group:
    """Layers that do the same to one map, or each to its own of another group.

    ``mixes`` are the mixes that weigh the members, one each, if nothing else reads them.
    """

    members: tuple[Layer, ...]
    before: "_Group | None" = None
    mixes: tuple[Layer, ...] = ()

    @cached_property
    def name(self) -> str:
        """The name of the wide layer."""
        return f"{self.members[0].name}:wide"

    @property
    def depthwise(self) -> "_Group | None":
        """The depthwise convolutions of one map after which these are the pointwise ones."""
        before = self.before if self.members[0].kind == "conv" else None
        is_first = before and before.members[0].kind == "depthwise" and before.before is None
        return before if is_first else None

    def layer(self, source: str) -> Layer:
        """Returns the wide layer, which reads ``source``."""
        first, inputs = self.members[0], (source,)
        options = {
            **first.options,
            "members": tuple(layer.arrays_of for layer in self.members),
            "paired": self.before is not None,
        }
        if self.mixes:
            inputs = (self.mixes[0].inputs[0], *inputs)
            pairs = zip(self.mixes, self.members, strict=True)
            options["entries"] = tuple(_entry(mix, layer.name) for mix, layer in pairs)
            options["masked"] = self.mixes[0].options["masked"]
        channels, kind = first.channels * len(self.members), f"wide_{first.kind}"
        if self.depthwise:
            kind, steps = "wide_separable", self.depthwise.members
            options["depthwise"] = tuple(layer.arrays_of for layer in steps)
            options["rate"] = steps[0].options["rate"]
        changes = dict(name=self.name, kind=kind, inputs=inputs, options=options)
        return replace(first, channels=channels, **changes)


def _entry(mix: Layer, name: str) -> tuple[int, int]:
    """Returns the entry of the table by which a mix weighs a layer."""
    return mix.options["entries"][mix.inputs.index(name) - 1]


def widened(blueprint: Blueprint) -> Blueprint:
    """Returns a blueprint with wide layers, which ``WideFunctional`` alone computes."""
    plan = _Plan(blueprint, _groups(blueprint))
    for layer in blueprint.layers:
        plan.add(layer)
    return replace(blueprint, layers=tuple(plan.layers.values()))


def _groups(blueprint: Blueprint) -> dict[str, _Group]:
    """Returns the group of each layer that has one: chains of the same steps from one map."""
    keys: dict[str, Hashable] = {}
    members_of: dict[Hashable, list[Layer]] = defaultdict(list)
    readers: dict[str, list[Layer]] = defaultdict(list)
    for layer in blueprint.layers:
        for name in layer.inputs:
            readers[name].append(layer)
        if layer.kind in _WIDENED and not set(_NOT_WIDE) & set(layer.options):
            source, options = layer.inputs[0], tuple(sorted(layer.options.items()))
            key = (keys.get(source, source), layer.kind, options, layer.channels, layer.part)
            keys[layer.name] = key
            members_of[key].append(layer)
    found: dict[str, _Group] = {}
    for members in members_of.values():
        if group := _group(tuple(members), found, readers):
            found |= {layer.name: group for layer in members}
    return found


def _group(
    members: tuple[Layer, ...], found: Mapping[str, _Group], readers: Mapping[str, list[Layer]]
) -> _Group | None:
    first, sources = members[0], [layer.inputs[0] for layer in members]
    options = first.options
    if options.get("bias") or options.get("stride", 1) > 1:
        return None
    if first.kind == "batch_norm" and options.get("affine", True):
        return None
    mixes = _mixes(members, readers) if first.kind == "batch_norm" else ()
    before = found.get(sources[0])
    if before is None or [layer.name for layer in before.members] != sources:
        is_wide = len(members) > 1 and first.kind in ("conv", "depthwise")
        is_common = len(set(sources)) == 1
        return _Group(members, None, mixes) if is_common and (is_wide or mixes) else None
    if first.kind == "conv" and first.options["kernel"] != (1, 1):
        return None
    return _Group(members, before, mixes)


def _mixes(members: tuple[Layer, ...], readers: Mapping[str, list[Layer]]) -> tuple[Layer, ...]:
    """Returns the mix that reads each member, nothing if anything else does."""
    read = [readers[layer.name] for layer in members]
    mixes = tuple(layers[0] for layers in read if [layer.kind for layer in layers] == ["mix"])
    tables = {(mix.inputs[0], mix.options["masked"]) for mix in mixes}
    is_each = len({mix.name for mix in mixes}) == len(members) and len(tables) == 1
    return mixes if is_each else ()


@dataclass
class _Plan:
    """The layers of a blueprint with wide ones, added in their order."""

    blueprint: Blueprint
    groups: Mapping[str, _Group]
    layers: dict[str, Layer] = field(default_factory=dict)

    def add(self, layer: Layer) -> None:
        """Adds a layer, or the wide one in which it takes part."""
        group = self.groups.get(layer.name)
        if layer.kind == "mix":
            self._add_mix(layer)
        elif group is None:
            inputs = tuple(self._single(name) for name in layer.inputs)
            self._append(replace(layer, inputs=inputs))
        elif layer.kind != "depthwise" or group.before:
            self._wide(group)

    def _wide(self, group: _Group) -> str:
        """Returns the wide layer; depthwise convolutions of one map are added if they are read."""
        first = group.depthwise or group
        if group.name not in self.layers:
            source = first.members[0].inputs[0]
            self._append(
                group.layer(self._wide(first.before) if first.before else self._single(source))
            )
        return group.name

    def _append(self, layer: Layer) -> str:
        self.layers.setdefault(layer.name, layer)
        return layer.name

    def _single(self, name: str) -> str:
        """Returns the layer that has the values of a layer alone."""
        group = self.groups.get(name)
        return name if group is None else self._part(group, self.blueprint.by_name[name])

    def _part(self, group: _Group, layer: Layer, source: str = "", name: str = "") -> str:
        number = {"number": group.members.index(layer)}
        inputs = (source or self._wide(group),)
        part = replace(layer, name=name or layer.name, kind="part", inputs=inputs, options=number)
        return self._append(part)

    def _add_mix(self, mix: Layer) -> None:
        """Adds the sum of what is weighed already, and of the other maps with their weights."""
        weighed: dict[tuple[str, ...], list[str]] = defaultdict(list)
        others = []
        for name, entry in zip(mix.inputs[1:], mix.options["entries"], strict=True):
            group = self.groups.get(name)
            if group and group.mixes:
                weighed[tuple(other.name for other in group.mixes)].append(name)
            else:
                others.append((name, entry))
        summed = [self._summed(mix, names) for names in weighed.values()]
        if others:
            inputs = (mix.inputs[0], *(self._single(name) for name, _ in others))
            options = {**mix.options, "entries": tuple(entry for _, entry in others)}
            changes = dict(name=f"{mix.name}:others", inputs=inputs, options=options)
            summed.append(self._append(replace(mix, **changes)))
        self._append(replace(mix, kind="sum", inputs=tuple(summed), options={}))

    def _summed(self, mix: Layer, names: list[str]) -> str:
        """Returns a mix's part of the sum of wide layers that the same mixes read."""
        first, *_ = groups = [self.groups[name] for name in names]
        inputs, total = tuple(group.name for group in groups), f"{first.name}:sum"
        wide = self.layers[first.name]
        self._append(replace(wide, name=total, kind="sum", inputs=inputs, options={}))
        layer = self.blueprint.by_name[names[0]]
        return self._part(first, layer, total, f"{mix.name}:{first.name}")
