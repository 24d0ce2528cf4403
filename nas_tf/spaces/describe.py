"""Describes genotypes in words."""

from nas_tf.genotype import Genotype
from nas_tf.spaces import auxcell, dpc, template

_TAP_STRIDES = (4, 8, 16, 32)


def describe(genotype: Genotype) -> str:
    """Describes line by line which layers the genotype joins and with which operations."""
    lines = {"auxcell": _auxcell, "template": _template, "dpc": _dpc}[genotype.space](genotype)
    return "\n".join(lines)


def layer(number: int, taps: int) -> str:
    """Names a layer of a decoder: a tap by its stride, or a block by its number."""
    if number < taps:
        return f"stride-{_TAP_STRIDES[number]} tap"
    return f"block {number - taps + 1}"


def position(number: int) -> str:
    """Names a position inside an auxiliary cell."""
    if number < 2:
        return ("the input", "op1")[number]
    branch, part = divmod(number - 2, 3)
    return f"branch {branch + 1}" + (" left", " right", "")[part]


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]


def _auxcell(genotype: Genotype) -> list[str]:
    design = auxcell.AuxCellDesign.of(genotype)
    lines = [
        f"block {k}: a cell on the {layer(a, 4)} + a cell on the {layer(b, 4)}".replace(
            "the block", "block"
        )
        for k, (a, b) in enumerate(design.blocks, 1)
    ]
    lines.append(f"output: {_listed([layer(n, 4) for n in design.loose_blocks])}")
    lines.append(f"cell op1: {auxcell.OPS[design.first_op]} of the input")
    for b, branch in enumerate(design.branches, 1):
        lines.append(
            f"cell branch {b}: {auxcell.OPS[branch.left_op]} of {position(branch.left)} + "
            f"{auxcell.OPS[branch.right_op]} of {position(branch.right)}"
        )
    lines.append(f"cell output: {_listed([position(n) for n in design.loose_positions])}")
    return lines


def _template(genotype: Genotype) -> list[str]:
    design = template.TemplateDesign.of(genotype)
    lines = []
    for m, (left, right, aggregation) in enumerate(design.templates, 1):
        used = sum(block.template == m - 1 for block in design.blocks)
        joined = template.AGGREGATIONS[aggregation]
        lines.append(
            f"template {m}: {joined} of {template.OPS[left]} and {template.OPS[right]}, "
            f"used by {used} block{'s' * (used != 1)}"
        )
    for k, block in enumerate(design.blocks, 1):
        text = f"block {k}: template {block.template + 1} on the {layer(block.left, 2)}"
        text += f" and the {layer(block.right, 2)}"
        text += f", {block.repeats} times" if block.repeats > 1 else ""
        text += f", stride {block.stride}" if block.stride > 1 else ""
        lines.append(text.replace("the block", "block"))
    lines.append(f"output: {_listed([layer(n, 2) for n in design.loose_blocks])}")
    return lines


def _dpc(genotype: Genotype) -> list[str]:
    lines = []
    for k, branch in enumerate(dpc.branches_of(genotype), 1):
        source = "the feature map" if branch.source == 0 else f"branch {branch.source}"
        lines.append(f"branch {k}: {branch.operator} of {source}")
    return [*lines, "output: all branches concatenated"]
