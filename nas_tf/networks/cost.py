"""Counts what a network costs on its blueprint, in milliseconds and without TensorFlow.

Multiply-adds count convolutions only: out_h · out_w · out_c · (in_c / groups) · k_h · k_w.
Normalisation, activation, bias, pooling, sums and resizing are free; the global branch's 1x1
convolution counts on its 1x1 map. Parameters are the trainable ones: no batch-norm statistics.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from nas_tf.networks.blueprint import Blueprint, Layer, counted_as
from nas_tf.networks.kinds import KINDS, STATISTICS
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

    Every part but the encoder counts as decoder; arrays that layers share count once.

    The receptive field is None where a global pooling makes it the entire image. The peak of
    activation memory is for one image at inference in float32, computed in layer order with each
    map freed after its last use. Both are those of the shipped network in either case.
    """
    holders = [layer for layer in blueprint.layers if layer.name in blueprint.array_holders]
    params = _by_part(blueprint, holders, layer_params, counted_as)
    madds = _by_part(blueprint, blueprint.layers, layer_madds, counted_as)
    output = blueprint.output()
    return Cost(
        params_encoder=params.pop("encoder", 0),
        params_aux=params.pop("aux", 0),
        params_decoder=params.total(),
        madds_encoder=madds.pop("encoder", 0),
        madds_aux=madds.pop("aux", 0),
        madds_decoder=madds.total(),
        output=output.size,
        output_stride=output.stride,
        receptive_field=_receptive_field(blueprint.deployed()),
        peak_activation_bytes=_peak_activation_bytes(blueprint.deployed()),
    )


def cost_by_part(
    blueprint: Blueprint, part_of: Callable[[Layer], str]
) -> dict[str, tuple[int, int]]:
    """Counts the parameters and the multiply-adds of the parts that a function names."""
    holders = [layer for layer in blueprint.layers if layer.name in blueprint.array_holders]
    params = _by_part(blueprint, holders, layer_params, part_of)
    madds = _by_part(blueprint, blueprint.layers, layer_madds, part_of)
    return {part: (params[part], madds[part]) for part in madds}


def layer_params(layer: Layer, source: Layer | None) -> int:
    """Counts the trainable parameters of a layer that reads ``source``, shared ones too."""
    if source is None:
        return 0
    slots = KINDS[layer.kind].slots(layer, source)
    return sum(slot.size for slot in slots if slot.role not in STATISTICS)


def layer_madds(layer: Layer, source: Layer | None) -> int:
    """Counts the multiply-adds of a layer that reads ``source``."""
    return 0 if source is None else KINDS[layer.kind].madds(layer, source)


def _by_part(
    blueprint: Blueprint,
    layers: Iterable[Layer],
    count: Callable[[Layer, Layer | None], int],
    part_of: Callable[[Layer], str],
) -> Counter[str]:
    totals: Counter[str] = Counter()
    for layer in layers:
        totals[part_of(layer)] += count(layer, blueprint.source(layer))
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
        read = layer.inputs[KINDS[layer.kind].reads] or layer.inputs
        rows, columns = (max(fields[name][axis] for name in read) for axis in (0, 1))
        step = blueprint.by_name[layer.inputs[0]].stride
        reach = _reach(layer)
        fields[layer.name] = (rows + reach[0] * step, columns + reach[1] * step)
    shipped = [fields[name] for name in blueprint.outputs.values()]
    return max(rows for rows, _ in shipped), max(columns for _, columns in shipped)


def _reach(layer: Layer) -> Size:
    """Returns the input pixels that an output pixel of a layer reads beyond the first."""
    if layer.kind == "resize":
        return 1, 1
    kernel = layer.options.get("kernel", (1, 1))
    rate = layer.options.get("rate", (1, 1))
    return (kernel[0] - 1) * rate[0], (kernel[1] - 1) * rate[1]


def _peak_activation_bytes(blueprint: Blueprint) -> int:
    """Returns the largest total of maps in memory at once; in-place layers need no memory."""
    owner: dict[str, str] = {}
    for layer in blueprint.layers:
        in_place = KINDS[layer.kind].in_place
        owner[layer.name] = owner[layer.inputs[0]] if in_place else layer.name
    last_use = {owner[layer.name]: n for n, layer in enumerate(blueprint.layers)}
    for n, layer in enumerate(blueprint.layers):
        for name in layer.inputs:
            last_use[owner[name]] = n
    last_use |= {owner[name]: len(blueprint.layers) for name in blueprint.outputs.values()}
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
