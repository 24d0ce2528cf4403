"""Builds decoders with auxiliary cells from their genotypes (CVPR 2019, section 3)."""

from nas_tf.genotype import Genotype
from nas_tf.networks import ops
from nas_tf.networks.blueprint import Layer
from nas_tf.networks.draft import Draft
from nas_tf.networks.heads import Head, classifier, decoder_output
from nas_tf.networks.settings import Builder, Settings
from nas_tf.spaces.auxcell import OPS, AuxCellDesign, AuxCellSpace


def add_network(draft: Draft, genotype: Genotype, head: Head, settings: Settings) -> None:
    """Adds the encoder, the decoder and the auxiliary heads."""
    design = AuxCellDesign.of(genotype)
    taps = settings.encoder.add(draft, AuxCellSpace.taps)
    draft.start_part("decoder", epsilon=1e-5, momentum=0.9)
    layers = [
        ops.conv_bn_relu(draft, tap, f"tap{n}.adapter", settings.width)
        for n, tap in enumerate(taps)
    ]
    for k, (left, right) in enumerate(design.blocks, 1):
        name = f"block{k}"
        a = _add_block_side(draft, layers[left], design, f"{name}.left", settings)
        b = _add_block_side(draft, layers[right], design, f"{name}.right", settings)
        larger = min(a, b, key=lambda layer: layer.stride)
        a = draft.resize(a, larger, f"{name}.left.resize")
        b = draft.resize(b, larger, f"{name}.right.resize")
        layers.append(draft.add(a, b, f"{name}.sum"))
        if settings.auxiliary != "none":
            _add_auxiliary(draft, layers[-1], design, k, head, settings)
    decoder_output(draft, [layers[n] for n in design.loose_blocks], settings.width, head)


BUILDER = Builder(
    add_network=add_network,
    published=Settings(),
    search=Settings(width=48, sep_repeats=1),
)


def _add_block_side(
    draft: Draft, x: Layer, design: AuxCellDesign, name: str, settings: Settings
) -> Layer:
    x = _add_cell(draft, x, design, name, settings)
    return ops.conv_bn_relu(draft, x, f"{name}.join", settings.width)


def _add_auxiliary(
    draft: Draft, x: Layer, design: AuxCellDesign, k: int, head: Head, settings: Settings
) -> None:
    name = f"aux{k}"
    with draft.auxiliary(name):
        if settings.auxiliary == "cell":
            x = _add_cell(draft, x, design, name, settings)
        draft.output(classifier(draft, x, f"{name}.classifier", head), "logits")


def _add_cell(
    draft: Draft, x: Layer, design: AuxCellDesign, name: str, settings: Settings
) -> Layer:
    """Adds one cell: its positions in the order of the genotype, then the sum of the loose ones.

    A loose position is one that no later branch reads.
    """
    positions = [x]
    spread: dict[int, Layer] = {}

    def source_of(op: str, position: int) -> Layer:
        if op == "zero":
            return x
        if op in ("skip", "gap"):
            return positions[position]
        if position not in spread:
            layer_name = f"{name}.position{position}.spread"
            spread[position] = draft.full(positions[position], x, layer_name)
        return spread[position]

    def add_operation(number: int, position: int, suffix: str) -> Layer:
        op, source = OPS[number], source_of(OPS[number], position)
        repeats = settings.sep_repeats
        return ops.apply(
            draft, op, source, f"{name}.{suffix}", settings.width, sep_repeats=repeats
        )

    positions.append(add_operation(design.first_op, 0, "op1"))
    for b, branch in enumerate(design.branches, 1):
        left = add_operation(branch.left_op, branch.left, f"branch{b}.left")
        right = add_operation(branch.right_op, branch.right, f"branch{b}.right")
        positions += [left, right, draft.add(left, right, f"{name}.branch{b}.sum")]
    loose = design.loose_positions
    total = positions[loose[0]]
    for position in loose[1:]:
        total = draft.add(total, positions[position], f"{name}.sum{position}")
    return draft.full(total, x, f"{name}.spread")
