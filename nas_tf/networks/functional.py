"""Computes a blueprint without Keras layers, for training.

Tracing six hundred Keras layers costs seconds per candidate; this is the same arithmetic in a
tenth of the operations. The Keras model is what is saved, shipped and tested against.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import tensorflow as tf

from nas_tf.networks.arithmetic import (
    batch_norm,
    conv,
    grouped_conv,
    leaky_relu,
    luma,
    mix_weights,
    mixed,
)
from nas_tf.networks.arrays import Layout, PartLayout, layouts
from nas_tf.networks.blueprint import Blueprint, Layer, Outputs
from nas_tf.networks.deformable import deformable_conv, offsets_and_mask
from nas_tf.networks.group_norm import group_norm

Vectors = Mapping[str, tf.Tensor]


@dataclass(frozen=True, slots=True)
class Precision:
    """The arithmetic of the layers; weights, statistics and losses are always float32.

    ``dense`` computes a depthwise convolution and the pointwise one after it as one dense
    convolution, which is more arithmetic in a faster form where the processor has matrix
    instructions. Depthwise convolutions of a kernel of ``depthwise_from`` or more are computed
    in float32, because their gradient in bfloat16 falls back to a slow kernel.
    """

    compute: tf.DType = tf.float32
    dense: bool = False
    depthwise_from: int = 1


FLOAT32 = Precision()


class Computed(NamedTuple):
    """The results of a forward pass.

    Args:
        outputs: The outputs that ship, by name.
        auxiliaries: The outputs of each auxiliary head, by the same names.
        measured: The vector of batch statistics of each part that normalises by the batch.
    """

    outputs: dict[str, tf.Tensor]
    auxiliaries: dict[str, dict[str, tf.Tensor]]
    measured: dict[str, tf.Tensor]


@dataclass
class Pass:
    """The state of one forward pass: its arguments, all tensors, and the measured statistics."""

    training: frozenset[str]
    arrays: dict[tuple[str, str], tf.Tensor]
    seed: tf.Tensor | None
    tensors: dict[str, tf.Tensor] = field(default_factory=dict)
    measured: dict[tuple[str, str], tf.Tensor] = field(default_factory=dict)


class Functional:
    """A network as a function of its vectors.

    It holds no variables and changes nothing, so it may be called from several threads and
    inside ``tf.function``.

    ::

        network = Functional(blueprint)
        state = from_arrays(network.parts, initial_arrays(blueprint, seed=0))
        logits = network(images, state.trainable, state.statistics).outputs["logits"]

    Args:
        blueprint: The network; dead layers are left out.
        precision: The arithmetic of its layers.
        parts: Layouts of the vectors, if they are those of a larger blueprint that contains
            this one.
    """

    def __init__(
        self,
        blueprint: Blueprint,
        precision: Precision = FLOAT32,
        parts: Mapping[str, PartLayout] | None = None,
    ) -> None:
        self.blueprint = blueprint.live()
        self.parts = layouts(blueprint) if parts is None else parts
        self.precision = precision
        self._dense = self._separable_pairs() if precision.dense else {}
        self._skipped = set(self._dense.values())

    def __call__(
        self,
        inputs: Any,
        trainable: Vectors,
        statistics: Vectors,
        *,
        training: frozenset[str] = frozenset(),
        seed: tf.Tensor | None = None,
    ) -> Computed:
        """Computes all outputs, and the batch statistics of each part in ``training``.

        Args:
            inputs: The image, or a mapping of taps.
            trainable: The trainable vector of each part.
            statistics: The vector of moving means and variances of each part.
            training: Parts that normalise by the batch instead of the moving statistics.
            seed: Two integers that determine the dropout of this pass; None for no dropout.
        """
        state = Pass(training, self._split_vectors(trainable, statistics), seed)
        by_name = inputs if isinstance(inputs, Mapping) else {"image": inputs}
        for layer in self.blueprint.layers:
            if layer.kind == "input":
                state.tensors[layer.name] = self._compute(by_name[layer.name])
            elif layer.name not in self._skipped:
                read = [state.tensors[name] for name in layer.inputs if name in state.tensors]
                state.tensors[layer.name] = getattr(self, f"_{layer.kind}")(layer, read, state)

        def found(outputs: Outputs) -> dict[str, tf.Tensor]:
            return {key: state.tensors[name] for key, name in outputs.items()}

        return Computed(
            found(self.blueprint.outputs),
            {head: found(outputs) for head, outputs in self.blueprint.auxiliaries.items()},
            {part: self._measured_vector(part, state) for part in sorted(training)},
        )

    def _split_vectors(
        self, trainable: Vectors, statistics: Vectors
    ) -> dict[tuple[str, str], tf.Tensor]:
        arrays: dict[tuple[str, str], tf.Tensor] = {}
        for part, layout in self.parts.items():
            arrays |= _split(trainable[part], layout.trainable, self.precision.compute)
            arrays |= _split(statistics[part], layout.statistics, tf.float32)
        return arrays

    def _measured_vector(self, part: str, state: Pass) -> tf.Tensor:
        slots = self.parts[part].statistics.slots
        measured = [state.measured[slot.layer, slot.role] for slot in slots]
        return tf.concat(measured, 0) if measured else tf.zeros(0)

    def _separable_pairs(self) -> dict[str, str]:
        """Maps each pointwise convolution to the depthwise one of stride 1 that it alone reads."""
        readers: dict[str, list[Layer]] = {}
        for layer in self.blueprint.layers:
            for name in layer.inputs:
                readers.setdefault(name, []).append(layer)
        return {
            readers[layer.name][0].name: layer.name
            for layer in self.blueprint.layers
            if layer.kind == "depthwise"
            and layer.options["stride"] == 1
            and [reader.kind for reader in readers[layer.name]] == ["conv"]
            and readers[layer.name][0].options["kernel"] == (1, 1)
            and readers[layer.name][0].options["stride"] == 1
            and "groups" not in readers[layer.name][0].options
        }

    def _compute(self, x: tf.Tensor) -> tf.Tensor:
        return x if x.dtype == self.precision.compute else tf.cast(x, self.precision.compute)

    def _conv(self, layer: Layer, read: list[tf.Tensor], state: Pass) -> tf.Tensor:
        kernel = state.arrays[layer.arrays_of, "kernel"]
        options = layer.options
        if layer.name in self._dense:
            depthwise = self.blueprint.by_name[self._dense[layer.name]]
            read = [state.tensors[depthwise.inputs[0]]]
            kernel = state.arrays[depthwise.arrays_of, "kernel"] * kernel
            options = depthwise.options
        if "groups" in options:
            y = grouped_conv(read[0], kernel, options)
        else:
            y = conv(
                read[0],
                kernel,
                stride=options["stride"],
                padding=options.get("padding", "same").upper(),
                rate=options["rate"],
            )
        return self._with_bias(layer, y, state) if layer.options["bias"] else y

    def _with_bias(self, layer: Layer, y: tf.Tensor, state: Pass) -> tf.Tensor:
        bias = self._compute(state.arrays[layer.arrays_of, "bias"])
        return tf.raw_ops.BiasAdd(value=y, bias=bias)

    def _depthwise(self, layer: Layer, read: list[tf.Tensor], state: Pass) -> tf.Tensor:
        return self._depthwise_by(layer, read[0], state.arrays[layer.arrays_of, "kernel"])

    def _depthwise_by(self, layer: Layer, x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        stride, rate = layer.options["stride"], layer.options["rate"]
        if max(layer.options["kernel"]) >= self.precision.depthwise_from:
            x, kernel = tf.cast(x, tf.float32), tf.cast(kernel, tf.float32)
        dilations = rate if max(rate) > 1 else None
        return self._compute(
            tf.nn.depthwise_conv2d(x, kernel, (1, stride, stride, 1), "SAME", dilations=dilations)
        )

    def _deformable(self, layer: Layer, read: list[tf.Tensor], state: Pass) -> tf.Tensor:
        kernel, groups = state.arrays[layer.arrays_of, "kernel"], layer.options["groups"]
        sampled = offsets_and_mask(read[1], groups)
        y = deformable_conv(read[0], *sampled, kernel, groups=groups)
        return self._with_bias(layer, y, state)

    def _normalise(self, layer: Layer, read: list[tf.Tensor], state: Pass) -> tf.Tensor:
        mean, deviation = layer.options["mean"], layer.options["deviation"]
        return self._compute((tf.cast(read[0], tf.float32) - mean) / deviation)

    def _luma(self, layer: Layer, read: list[tf.Tensor], state: Pass) -> tf.Tensor:
        return self._compute(luma(tf.cast(read[0], tf.float32)))

    def _batch_norm(self, layer: Layer, read: list[tf.Tensor], state: Pass) -> tf.Tensor:
        name, learning = layer.name, layer.part in state.training
        affine = ("gamma", "beta") if layer.options.get("affine", True) else ()
        y, mean, variance = batch_norm(
            read[0],
            {role: state.arrays[name, role] for role in (*affine, "mean", "variance")},
            epsilon=layer.options["epsilon"],
            training=learning,
        )
        if learning:
            state.measured[name, "mean"], state.measured[name, "variance"] = mean, variance
        return y

    def _group_norm(self, layer: Layer, read: list[tf.Tensor], state: Pass) -> tf.Tensor:
        gamma, beta = (state.arrays[layer.arrays_of, role] for role in ("gamma", "beta"))
        groups, epsilon = layer.options["groups"], layer.options["epsilon"]
        return group_norm(read[0], gamma, beta, groups=groups, epsilon=epsilon)

    def _relu(self, layer: Layer, read: list[tf.Tensor], state: Pass) -> tf.Tensor:
        if layer.options["most"] == 6:
            return tf.raw_ops.Relu6(features=read[0])
        return tf.raw_ops.Relu(features=read[0])

    def _leaky_relu(self, layer: Layer, read: list[tf.Tensor], state: Pass) -> tf.Tensor:
        return leaky_relu(read[0], layer.options["slope"])

    def _exp(self, layer: Layer, read: list[tf.Tensor], state: Pass) -> tf.Tensor:
        return self._compute(tf.exp(tf.cast(read[0], tf.float32)))

    def _sigmoid(self, layer: Layer, read: list[tf.Tensor], state: Pass) -> tf.Tensor:
        return self._compute(tf.sigmoid(tf.cast(read[0], tf.float32)))

    def _max_pool(self, layer: Layer, read: list[tf.Tensor], state: Pass) -> tf.Tensor:
        kernel, stride = layer.options["kernel"], layer.options["stride"]
        padding = layer.options.get("padding", "same").upper()
        return tf.nn.max_pool2d(read[0], kernel, stride, padding)

    def _average_pool(self, layer: Layer, read: list[tf.Tensor], state: Pass) -> tf.Tensor:
        return tf.nn.avg_pool2d(read[0], layer.options["kernel"], layer.options["stride"], "VALID")

    def _subsample(self, layer: Layer, read: list[tf.Tensor], state: Pass) -> tf.Tensor:
        stride = layer.options["stride"]
        return read[0][:, ::stride, ::stride]

    def _pad(self, layer: Layer, read: list[tf.Tensor], state: Pass) -> tf.Tensor:
        border = [layer.options["border"]] * 2
        return tf.pad(read[0], [[0, 0], border, border, [0, 0]])

    def _global_pool(self, layer: Layer, read: list[tf.Tensor], state: Pass) -> tf.Tensor:
        return self._compute(tf.reduce_mean(tf.cast(read[0], tf.float32), (1, 2), keepdims=True))

    def _add(self, layer: Layer, read: list[tf.Tensor], state: Pass) -> tf.Tensor:
        return tf.raw_ops.AddV2(x=read[0], y=read[1])

    def _subtract(self, layer: Layer, read: list[tf.Tensor], state: Pass) -> tf.Tensor:
        return read[0] - read[1]

    def _table(self, layer: Layer, read: list[tf.Tensor], state: Pass) -> tf.Tensor:
        return state.arrays[layer.name, "table"]

    def _mix(self, layer: Layer, read: list[tf.Tensor], state: Pass) -> tf.Tensor:
        weights = self._compute(mix_weights(read[0], **layer.options))
        return mixed(weights, read[1:])

    def _concat(self, layer: Layer, read: list[tf.Tensor], state: Pass) -> tf.Tensor:
        return tf.concat(read, -1)

    def _resize(self, layer: Layer, read: list[tf.Tensor], state: Pass) -> tf.Tensor:
        source = self.blueprint.by_name[layer.inputs[0]]
        if not self.blueprint.dynamic and source.size == layer.size:
            return read[0]
        size = tf.shape(read[1])[1:3] if self.blueprint.dynamic else layer.size
        corners = layer.options["corners"]
        resized = tf.raw_ops.ResizeBilinear(
            images=read[0], size=size, align_corners=corners, half_pixel_centers=not corners
        )
        return self._compute(resized)

    def _scale(self, layer: Layer, read: list[tf.Tensor], state: Pass) -> tf.Tensor:
        return read[0] * tf.reshape(state.arrays[layer.arrays_of, "kernel"], (-1,))

    def _zero(self, layer: Layer, read: list[tf.Tensor], state: Pass) -> tf.Tensor:
        return tf.zeros_like(read[0])

    def _dropout(self, layer: Layer, read: list[tf.Tensor], state: Pass) -> tf.Tensor:
        if state.seed is None or layer.part not in state.training:
            return read[0]
        return tf.nn.experimental.stateless_dropout(read[0], layer.options["drop"], state.seed)

    def _output(self, layer: Layer, read: list[tf.Tensor], state: Pass) -> tf.Tensor:
        return tf.cast(read[0], tf.float32)


def _split(
    vector: tf.Tensor, layout: Layout, kernels: tf.DType
) -> dict[tuple[str, str], tf.Tensor]:
    """Splits a vector into arrays by one split, then one unstack per shape."""
    groups = layout.groups
    if not groups:
        return {}
    pieces = tf.split(vector, [sum(slot.size for slot in group) for group in groups])
    arrays = {}
    for group, piece in zip(groups, pieces, strict=True):
        stacked = tf.reshape(piece, (len(group), *group[0].shape))
        if group[0].role == "kernel":
            stacked = tf.cast(stacked, kernels)
        for slot, array in zip(group, tf.unstack(stacked), strict=True):
            arrays[slot.layer, slot.role] = array
    return arrays
