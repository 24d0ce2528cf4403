"""What a genotype has chosen, in the words of its space: for counting over many trials."""

from nas_tf.genotype import Genotype
from nas_tf.spaces import auxcell, dpc, template

_STRIDES = (4, 8, 16, 32)


def choices(genotype: Genotype) -> dict[str, list[str]]:
    """Every choice of a genotype, by kind: operations, connections and the like."""
    return {"auxcell": _auxcell, "template": _template, "dpc": _dpc}[genotype.space](genotype)


def vocabulary(space: str) -> dict[str, list[str]]:
    """The words of each kind that have an order of their own; others are sorted."""
    if space == "dpc":
        rates = [f"rate {rate}" for rate in dpc.RATES]
        return {"operations": ["conv1x1", "sep3x3", "pool"], "rates": rates}
    taps, operations = {
        "auxcell": (auxcell.TAPS, auxcell.OPS),
        "template": (template.TAPS, template.OPS),
    }[space]
    return {"operations": list(operations), "connections": [_layer(n, taps) for n in range(taps)]}


def _auxcell(genotype: Genotype) -> dict[str, list[str]]:
    design = auxcell.AuxCellDesign.of(genotype)
    ops = [design.first_op]
    for branch in design.branches:
        ops += [branch.left_op, branch.right_op]
    joined = [layer for block in design.blocks for layer in block]
    return {
        "operations": [auxcell.OPS[op] for op in ops],
        "connections": [_layer(layer, auxcell.TAPS) for layer in joined],
    }


def _template(genotype: Genotype) -> dict[str, list[str]]:
    design = template.TemplateDesign.of(genotype)
    used = [design.templates[block.template] for block in design.blocks]
    ops = [op for one in used for op in (one.left_op, one.right_op)]
    joined = [layer for block in design.blocks for layer in block[:2]]
    return {
        "operations": [template.OPS[op] for op in ops],
        "connections": [_layer(layer, template.TAPS) for layer in joined],
        "aggregations": [template.AGGREGATIONS[one.aggregation] for one in used],
        "repeats": [f"{block.repeats} times" for block in design.blocks],
    }


def _dpc(genotype: Genotype) -> dict[str, list[str]]:
    branches = dpc.branches_of(genotype)
    operators = [branch.operator for branch in branches]
    dilated = [one for one in operators if one.kind == "sep3x3"]
    return {
        "operations": [one.kind for one in operators],
        "rates": [f"rate {rate}" for one in dilated for rate in (one.rows, one.columns)],
        "connections": [
            f"branch {branch.source}" if branch.source else "feature map" for branch in branches
        ],
    }


def _layer(layer: int, taps: int) -> str:
    return f"stride {_STRIDES[layer]}" if layer < taps else f"block {layer - taps + 1}"
