"""Builds NAS-FCOS detectors from their genotypes: pyramid, towers and predictors (CVPR 2020)."""

import math
from contextlib import AbstractContextManager, nullcontext

from nas_tf.errors import ConfigError
from nas_tf.genotype import Genotype
from nas_tf.networks import ops
from nas_tf.networks.blueprint import Layer
from nas_tf.networks.draft import Draft, ceil_div
from nas_tf.networks.heads import Head
from nas_tf.networks.settings import Builder, Settings
from nas_tf.sizes import Size
from nas_tf.spaces.fcos import AGGREGATIONS, HEAD_OPS, OPS, Block, FcosDesign, FcosSpace
from nas_tf.spaces.fcos import Head as Towers

LEVELS = {"p3": 8, "p4": 16, "p5": 32, "p6": 64, "p7": 128}
"""The levels of a pyramid and their strides."""
_GROUPS, _DEFORMABLE_GROUPS = 32, 2
_PRIOR = f"constant:{-math.log(99)}"
"""The bias of class logits at the start: a probability of 0.01."""
_PLAIN = ("conv3x3",) * 4


def add_network(draft: Draft, genotype: Genotype, head: Head, settings: Settings) -> None:
    """Adds the encoder, the pyramid, its two coarser levels, and a head on each level."""
    design = FcosDesign.of(genotype)
    taps = settings.encoder.add(draft, FcosSpace.taps)
    draft.start_part("decoder", epsilon=1e-5, momentum=0.9)
    levels = add_pyramid(draft, taps, design, settings.width)
    _check_sizes(draft, levels, settings)
    add_heads(draft, levels, design.head, head.channels, settings.head_width or settings.width)


def level_sizes(image_size: Size) -> dict[str, Size]:
    """Returns the size of each level: each layer of stride 2 rounds up."""
    return {name: ceil_div(image_size, stride) for name, stride in LEVELS.items()}


def _check_sizes(draft: Draft, levels: dict[str, Layer], settings: Settings) -> None:
    """Raises ``ConfigError`` unless the levels have the sizes for which targets are made."""
    if {name: x.size for name, x in levels.items()} != level_sizes(draft.input_size):
        height, width = draft.input_size
        raise ConfigError(
            f"input {height}x{width} gives a detector on {settings.encoder} levels that are "
            "smaller than their strides say, expected multiples of 32"
        )


def part_of(layer: Layer) -> str:
    """Returns ``encoder``, ``fpn`` or ``head``."""
    if layer.part == "encoder":
        return layer.part
    return "head" if layer.name.startswith("head.") else "fpn"


BUILDER = Builder(
    add_network=add_network,
    published=Settings(width=256, auxiliary="none"),
    search=Settings(width=96, auxiliary="none"),
    part_of=part_of,
)


def add_pyramid(
    draft: Draft, taps: list[Layer], design: FcosDesign, width: int
) -> dict[str, Layer]:
    """Adds the pyramid and returns its levels by name, from P3 to P7."""
    found = (
        _searched(draft, taps, design, width) if design.blocks else _by_hand(draft, taps, width)
    )
    x = found["p5"]
    for name in ("p6", "p7"):
        if name == "p7":
            x = draft.relu(x, "p7.relu")
        x = draft.conv(x, f"{name}.conv", width, kernel=3, stride=2, bias=True, symmetric=True)
        found[name] = x
    return {name: found[name] for name in LEVELS}


def _by_hand(draft: Draft, taps: list[Layer], width: int) -> dict[str, Layer]:
    """Adds the pyramid of FPN: each level joins its tap to the next coarser level.

    Enlarging is bilinear here, in the original it repeats pixels.
    """
    found: dict[str, Layer] = {}
    coarser = None
    for name, tap in zip(("p5", "p4", "p3"), taps[:0:-1], strict=True):
        x = draft.conv(tap, f"{name}.lateral", width, bias=True)
        if coarser is not None:
            x = draft.add(x, draft.resize(coarser, x, f"{name}.resize"), f"{name}.sum")
        coarser = x
        found[name] = draft.conv(x, f"{name}.conv", width, kernel=3, bias=True)
    return found


def _searched(draft: Draft, taps: list[Layer], design: FcosDesign, width: int) -> dict[str, Layer]:
    features = [
        ops.conv_bn_relu(draft, tap, f"tap{n}.adapter", width) for n, tap in enumerate(taps)
    ]
    for k, block in enumerate(design.blocks, 1):
        features.append(_add_block(draft, features, block, f"block{k}"))
    found: dict[str, Layer] = {}
    for name, tap, number in zip(("p5", "p4", "p3"), taps[:0:-1], design.outputs, strict=True):
        x = features[number]
        for other in design.added:
            enlarged = draft.resize(features[other], x, f"{name}.resize{other}")
            x = draft.add(x, enlarged, f"{name}.sum{other}")
        found[name] = draft.resize(x, tap, f"{name}.resize")
    return found


def _add_block(draft: Draft, features: list[Layer], block: Block, name: str) -> Layer:
    left = _add_operation(draft, features[block.left], OPS[block.left_op], f"{name}.left")
    right = _add_operation(draft, features[block.right], OPS[block.right_op], f"{name}.right")
    larger = max(left, right, key=lambda layer: layer.size)
    left = draft.resize(left, larger, f"{name}.left.resize")
    right = draft.resize(right, larger, f"{name}.right.resize")
    if AGGREGATIONS[block.aggregation] == "weighted_sum":
        return draft.weighted_sum(left, right, f"{name}.sum")
    x = draft.concat([left, right], f"{name}.concat")
    x = draft.relu(draft.batch_norm(x, f"{name}.bn"), f"{name}.relu")
    return draft.conv(x, f"{name}.conv", left.channels, groups=left.channels)


def _add_operation(draft: Draft, x: Layer, op: str, name: str) -> Layer:
    if op != "deformable3x3":
        return ops.apply(draft, op, x, name, x.channels)
    name = f"{name}.{op}"
    x = draft.deformable(x, f"{name}.conv", x.channels, groups=_DEFORMABLE_GROUPS)
    return draft.relu(draft.batch_norm(x, f"{name}.bn"), f"{name}.relu")


def add_heads(
    draft: Draft, levels: dict[str, Layer], towers: Towers | None, classes: int, width: int
) -> None:
    """Adds the towers and predictors of each level; shared layers use the arrays of P3's."""
    operations = _PLAIN if towers is None else tuple(HEAD_OPS[op] for op in towers.ops)
    share = 0 if towers is None else towers.share
    for level, x in levels.items():
        ends = {}
        for tower in ("classes", "boxes"):
            y = x
            for n, op in enumerate(operations):
                layer = f"{tower}.layer{n + 1}"
                with _shared(draft, level, layer, n >= share):
                    name = f"head.{level}.{layer}"
                    y = _add_head_layer(draft, y, op, name, width, bias=towers is None)
            ends[tower] = y
        for name, tower, channels, bias in (
            ("classes", "classes", classes, _PRIOR),
            ("boxes", "boxes", 4, "zeros"),
            ("centerness", "classes", 1, "zeros"),
        ):
            with _shared(draft, level, f"{name}.predictor"):
                conv = f"head.{level}.{name}.predictor"
                y = draft.conv(
                    ends[tower],
                    conv,
                    channels,
                    kernel=3,
                    bias=True,
                    init="truncated_normal:0.01",
                    bias_init=bias,
                )
            if name == "boxes":
                y = draft.scale(y, f"head.{level}.scale", scalar=True)
                y = draft.exp(y, f"head.{level}.exp")
            draft.output(y, f"{level}.{name}")


def _shared(
    draft: Draft, level: str, rest: str, is_shared: bool = True
) -> AbstractContextManager[None]:
    """Lets the layers of a level use the arrays of P3's, unless they have their own."""
    if level == "p3" or not is_shared:
        return nullcontext()
    return draft.sharing(f"head.{level}.{rest}", f"head.p3.{rest}")


def _add_head_layer(
    draft: Draft, x: Layer, op: str, name: str, width: int, *, bias: bool
) -> Layer:
    """Adds a layer with group normalisation and ReLU, or nothing for ``skip``."""
    if op == "skip":
        return x
    if op == "deformable3x3":
        x = draft.deformable(x, f"{name}.conv", width, groups=_DEFORMABLE_GROUPS)
    elif op.startswith("sep"):
        rate = 3 if op.endswith("rate3") else 1
        x = draft.depthwise(x, f"{name}.depthwise", kernel=3, rate=(rate, rate))
        x = draft.conv(x, f"{name}.pointwise", width)
    else:
        x = draft.conv(x, f"{name}.conv", width, kernel=3 if op == "conv3x3" else 1, bias=bias)
    return draft.relu(draft.group_norm(x, f"{name}.gn", groups=_GROUPS), f"{name}.relu")
