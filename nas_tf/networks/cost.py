"""Counts what a network costs on its blueprint, in milliseconds and without TensorFlow.

Multiply-adds count convolutions only: out_h · out_w · out_c · (in_c / groups) · k_h · k_w.
Normalisation, activation, bias, pooling, sums and resizing are free; the global branch's 1x1
convolution counts on its 1x1 map. Parameters are the trainable ones: no batch-norm statistics.
"""

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from nas_tf.networks.blueprint import Blueprint, Layer
from nas_tf.sizes import Size

CONVENTION = (
    "multiply-adds of convolutions only (out_h·out_w·out_c·in_c/groups·k_h·k_w); "
    "no batch norm, bias, activation, pooling, sum or resizing"
)


@dataclass(frozen=True, slots=True)
class Cost:
    """The counts of one blueprint, by part where they differ between parts."""

    params_encoder: int
    params_decoder: int
    params_aux: int
    madds_encoder: int
    madds_decoder: int
    madds_aux: int
    output: Size
    output_stride: int
    receptive_field: Size | None
    peak_activation_bytes: int

    @property
    def params(self) -> int:
        """The trainable parameters without auxiliaries."""
        return self.params_encoder + self.params_decoder

    @property
    def madds(self) -> int:
        """The multiply-adds without auxiliaries."""
        return self.madds_encoder + self.madds_decoder


def cost(blueprint: Blueprint) -> Cost:
    """Counts all layers of a blueprint; pass ``deployed()`` to count the shipped network.

    The receptive field is None where a global pooling makes it the entire image. The peak of
    activation memory is for one image at inference in float32, computed in layer order with each
    map freed after its last use. Both are those of the shipped network in either case.
    """
    params = _by_part(blueprint, layer_params)
    madds = _by_part(blueprint, layer_madds)
    output = blueprint.output()
    return Cost(
        params_encoder=params["encoder"],
        params_decoder=params["decoder"],
        params_aux=params["aux"],
        madds_encoder=madds["encoder"],
        madds_decoder=madds["decoder"],
        madds_aux=madds["aux"],
        output=output.size,
        output_stride=output.stride,
        receptive_field=_receptive_field(blueprint.deployed()),
        peak_activation_bytes=_peak_activation_bytes(blueprint.deployed()),
    )


def layer_params(layer: Layer, source: Layer | None) -> int:
    """Counts the trainable parameters of a layer that reads ``source``."""
    if layer.kind == "conv":
        kernel = math.prod(layer.options["kernel"]) * source.channels * layer.channels
        return kernel + layer.channels * layer.options["bias"]
    if layer.kind == "depthwise":
        return math.prod(layer.options["kernel"]) * layer.channels
    return {"batch_norm": 2, "scale": 1}.get(layer.kind, 0) * layer.channels


def layer_madds(layer: Layer, source: Layer | None) -> int:
    """Counts the multiply-adds of a layer that reads ``source``."""
    if layer.kind not in ("conv", "depthwise"):
        return 0
    fan_in = source.channels if layer.kind == "conv" else 1
    return math.prod((*layer.size, layer.channels, fan_in, *layer.options["kernel"]))


def _by_part(blueprint: Blueprint, count: Callable[[Layer, Layer | None], int]) -> Counter[str]:
    totals: Counter[str] = Counter()
    for layer in blueprint.layers:
        source = blueprint.by_name[layer.inputs[0]] if layer.inputs else None
        totals[layer.part] += count(layer, source)
    return totals


def _receptive_field(blueprint: Blueprint) -> Size | None:
    """Returns the input rows and columns that one output depends on, ignoring the border."""
    fields: dict[str, Size] = {}
    for layer in blueprint.layers:
        if layer.kind == "global_pool":
            return None
        if not layer.inputs:
            fields[layer.name] = (1, 1)
            continue
        read = layer.inputs[:1] if layer.kind == "resize" else layer.inputs
        rows, columns = (max(fields[name][axis] for name in read) for axis in (0, 1))
        step = blueprint.by_name[layer.inputs[0]].stride
        reach = _reach(layer)
        fields[layer.name] = (rows + reach[0] * step, columns + reach[1] * step)
    return fields[blueprint.outputs["logits"]]


def _reach(layer: Layer) -> Size:
    """Returns the input pixels that an output pixel of a layer reads beyond the first."""
    if layer.kind == "resize":
        return 1, 1
    kernel = layer.options.get("kernel", (1, 1))
    rate = layer.options.get("rate", (1, 1))
    return (kernel[0] - 1) * rate[0], (kernel[1] - 1) * rate[1]


def _peak_activation_bytes(blueprint: Blueprint) -> int:
    """Returns the largest total of maps in memory at once; in-place layers need no memory."""
    in_place = {"batch_norm", "relu", "dropout", "output", "scale"}
    owner: dict[str, str] = {}
    for layer in blueprint.layers:
        owner[layer.name] = owner[layer.inputs[0]] if layer.kind in in_place else layer.name
    last_use = {owner[layer.name]: n for n, layer in enumerate(blueprint.layers)}
    for n, layer in enumerate(blueprint.layers):
        for name in layer.inputs:
            last_use[owner[name]] = n
    ends: dict[int, list[int]] = {}
    alive = peak = 0
    for n, layer in enumerate(blueprint.layers):
        if owner[layer.name] == layer.name:
            size = 4 * layer.channels * math.prod(layer.size)
            alive += size
            ends.setdefault(last_use[layer.name], []).append(size)
        peak = max(peak, alive)
        alive -= sum(ends.pop(n, ()))
    return peak
