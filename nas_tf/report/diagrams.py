"""Lays a genotype out as nodes and arrows with positions; ``graph`` draws them."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from nas_tf import spaces
from nas_tf.genotype import Genotype
from nas_tf.spaces import auxcell, baseline, dpc, fcos, restoration, template


@dataclass(frozen=True, slots=True)
class Node:
    """A box: its name among the network's layers, its label, and its position."""

    name: str
    label: str
    kind: str
    x: float = 0.0
    y: float = 0.0


@dataclass(frozen=True, slots=True)
class Panel:
    """The layout of one drawing: a decoder, a cell, or a template."""

    title: str
    nodes: tuple[Node, ...]
    arrows: tuple[tuple[str, str], ...]
    rows: dict[float, str] = field(default_factory=dict)


def panels(genotype: Genotype) -> list[Panel]:
    """Returns the panels of a genotype: its connectivity first, then the inside of blocks."""
    return DIAGRAMS.get(genotype.space, _plain)(genotype)


def op_kind(op: str) -> str:
    """Returns the family of an operation, which determines its colour."""
    return next((k for k in ("conv", "sep", "skip", "zero") if op.startswith(k)), "pool")


def _plain(genotype: Genotype) -> list[Panel]:
    """Returns the panel of a space without a diagram of its own."""
    first = "encoder" if spaces.get(genotype.space).taps else "image"
    nodes = [Node(first, first, "tap"), Node("decoder", genotype.space, "block")]
    nodes.append(Node("output", "output", "output"))
    return [_layered("network", nodes, [(first, "decoder"), ("decoder", "output")])]


def _auxcell(genotype: Genotype) -> list[Panel]:
    design = auxcell.AuxCellDesign.of(genotype)
    levels = [2, 3, 4, 5]
    for left, right in design.blocks:
        levels.append(min(levels[left], levels[right]))
    decoder = _connectivity(
        [(block, "") for block in design.blocks], levels, 4, design.loose_blocks
    )
    return [decoder, _cell(design)]


def _template(genotype: Genotype) -> list[Panel]:
    design = template.TemplateDesign.of(genotype)
    levels = _template_levels(design)
    items = []
    for block in design.blocks:
        times = f" ×{block.repeats}" if block.repeats > 1 else ""
        stride = " ↓2" if block.stride > 1 else ""
        items.append((block[:2], f"\nT{block.template + 1}{times}{stride}"))
    decoder = _connectivity(items, levels, 2, design.loose_blocks)
    used = sorted({block.template for block in design.blocks})
    return [decoder, *(_template_panel(m + 1, design.templates[m]) for m in used)]


def _template_levels(design: template.TemplateDesign) -> list[int]:
    """Returns log2 of each layer's stride; published networks apply a stride twice in ``sep``."""
    halvings = {"sep": 2, "max": 1}
    levels = [2, 3]
    for k, block in enumerate(design.blocks):
        choose = max if k < design.first_half else min
        ops = design.templates[block.template][:2]
        steps = [block.stride_token * halvings.get(template.OPS[op][:3], 0) for op in ops]
        first, second = levels[block.left], levels[block.right]
        for _ in range(block.repeats):
            first, second = second, choose(first + steps[0], second + steps[1])
        levels.append(second)
    return levels


def _dpc(genotype: Genotype) -> list[Panel]:
    nodes = [Node("features", "features", "tap")]
    arrows = []
    for k, branch in enumerate(dpc.branches_of(genotype), 1):
        op = branch.operator
        label = op.kind if op.kind == "conv1x1" else f"{op.kind}\n{op.rows}x{op.columns}"
        nodes.append(Node(f"branch{k}", label, op_kind(op.kind)))
        source = "features" if branch.source == 0 else f"branch{branch.source}"
        arrows += [(source, f"branch{k}"), (f"branch{k}", "cell.concat")]
    nodes.append(Node("cell.concat", "concat", "output"))
    return [_layered("dense prediction cell", nodes, arrows)]


def _fcos(genotype: Genotype) -> list[Panel]:
    design = fcos.FcosDesign.of(genotype)
    levels = [2, 3, 4, 5]
    for block in design.blocks:
        levels.append(min(levels[block.left], levels[block.right]))
    items = [(block[:2], _pyramid_label(block, levels)) for block in design.blocks]
    features = [[*design.added, feature] for feature in design.outputs] or [[3], [2, 3], [1, 2, 3]]
    ends = {f"P{5 - n}": (5 - n, read) for n, read in enumerate(features)}
    pyramid = _connectivity(items, levels, 4, ends)
    return [replace(pyramid, title="pyramid"), _towers(design.head)]


def _pyramid_label(block: fcos.Block, levels: list[int]) -> str:
    """Returns a block's aggregation, then its operations in the order of the arrows, top first."""
    sides = sorted((0, 1), key=lambda side: (levels[block[side]], -side))
    ops = [_short(fcos.OPS[block[2 + side]]) for side in sides]
    return "\n".join([" concat" if block.aggregation else " sum", *ops])


def _short(op: str) -> str:
    return op.replace("_rate", " r")


def _towers(head: fcos.Head | None) -> Panel:
    """Returns the layers of a tower, by default those of FCOS, each with own or shared weights."""
    share, ops = head or (0, [fcos.HEAD_OPS.index("conv3x3")] * 4)
    nodes, arrows = [Node("level", "each level", "tap")], []
    for n, op in enumerate(ops):
        name = fcos.HEAD_OPS[op]
        weights = "own" if n < share else "shared"
        nodes.append(Node(f"layer{n + 1}", f"{_short(name)}\n{weights}", op_kind(name)))
        arrows.append((nodes[-2].name, nodes[-1].name))
    nodes.append(Node("output", "output", "output"))
    arrows.append((nodes[-2].name, "output"))
    return _layered("towers of the head", nodes, arrows)


def _restoration(genotype: Genotype) -> list[Panel]:
    """Returns the path through the widths, a row a level, and each distinct cell."""
    design = restoration.RestorationDesign.of(genotype)
    factors = design.variant.factors
    cells = list(dict.fromkeys(design.cells))
    nodes, arrows = [Node("stem", "stem", "tap")], []
    for n, (cell, level) in enumerate(zip(design.cells, design.levels, strict=True), 1):
        label = f"layer {n}\ncell {cells.index(cell) + 1}" if len(cells) > 1 else f"layer {n}"
        nodes.append(Node(f"cell{n}", label, "block", float(n), -float(level)))
        arrows.append((nodes[-2].name, nodes[-1].name))
    nodes.append(Node("output", "decoder", "output", float(len(nodes))))
    narrow = 0 if design.skip_layer is None else design.skip_layer + 1
    arrows += [(nodes[-2].name, "output"), (nodes[narrow].name, "output")]
    rows = {-float(level): f"x{factor:g}" for level, factor in enumerate(factors)}
    path = Panel("path", tuple(nodes), tuple(arrows), rows)
    names = [f"cell {n + 1}" for n in range(len(cells))] if len(cells) > 1 else ["cell"]
    ops = design.variant.ops
    return [path, *(_nodes_of(name, cell, ops) for name, cell in zip(names, cells, strict=True))]


def _nodes_of(title: str, cell: restoration.Cell, ops: Sequence[str]) -> Panel:
    """Lays out the nodes of a cell: an operation a box, a sum a node."""
    names = ["source0", "source1"]
    nodes = [Node("source0", "layer before\nlast", "tap"), Node("source1", "last layer", "tap")]
    arrows = []
    for i, node in enumerate(cell, 1):
        total = f"node{i}.sum"
        for side, (op, source) in zip(("first", "second"), node, strict=True):
            name = f"node{i}.{side}"
            nodes.append(Node(name, ops[op], op_kind(ops[op])))
            arrows += [(names[source], name), (name, total)]
        nodes.append(Node(total, "+", "sum"))
        names.append(total)
    nodes.append(Node("concat", "concat", "output"))
    arrows += [(name, "concat") for name in names[2:]]
    return _layered(title, nodes, arrows)


def _connectivity(
    blocks: list[tuple[tuple[int, int], str]],
    levels: list[int],
    taps: int,
    ends: list[int] | dict[str, tuple[int, list[int]]],
) -> Panel:
    """Lays out the decoder: rows are resolutions, finest on top; columns the order of blocks.

    ``ends`` are the features that the output reads, or the levels and features of several.
    """
    if isinstance(ends, list):
        ends = {"output": (min(levels[n] for n in ends), ends)}
    row = {level: -float(n) for n, level in enumerate(sorted(set(levels)))}
    heights = [row[level] for level in levels]
    names = [f"tap{n}" for n in range(taps)] + [f"block{k}" for k in range(1, len(blocks) + 1)]
    nodes = [Node(f"tap{n}", f"tap {n}", "tap", 0.0, heights[n]) for n in range(taps)]
    arrows = []
    for k, (pair, label) in enumerate(blocks, 1):
        text = f"block {k}{label}"
        nodes.append(Node(f"block{k}", text, "block", float(k), heights[taps + k - 1]))
        arrows += [(names[source], f"block{k}") for source in pair]
    for name, (level, features) in ends.items():
        nodes.append(Node(name, name, "output", float(len(blocks) + 1), row[level]))
        arrows += [(names[n], name) for n in features]
    rows = {height: f"1/{1 << level}" for level, height in row.items()}
    return Panel("decoder", tuple(nodes), tuple(arrows), rows)


def _cell(design: auxcell.AuxCellDesign) -> Panel:
    first = auxcell.OPS[design.first_op]
    nodes = [Node("input", "input", "tap"), Node("op1", first, op_kind(first))]
    names, arrows = ["input", "op1"], [("input", "op1")]
    for b, branch in enumerate(design.branches, 1):
        total = f"branch{b}.sum"
        for side, op, position in (
            ("left", branch.left_op, branch.left),
            ("right", branch.right_op, branch.right),
        ):
            name = f"branch{b}.{side}"
            nodes.append(Node(name, auxcell.OPS[op], op_kind(auxcell.OPS[op])))
            arrows += [(names[position], name), (name, total)]
        nodes.append(Node(total, "+", "sum"))
        names += [f"branch{b}.left", f"branch{b}.right", total]
    nodes.append(Node("output", "sum", "output"))
    arrows += [(names[position], "output") for position in design.loose_positions]
    return _layered("cell", nodes, arrows)


def _template_panel(number: int, design: template.Template) -> Panel:
    aggregation = template.AGGREGATIONS[design.aggregation]
    nodes = [Node("in1", "in 1", "tap"), Node("in2", "in 2", "tap")]
    for side, op in (("left", design.left_op), ("right", design.right_op)):
        nodes.append(Node(side, template.OPS[op], op_kind(template.OPS[op])))
    nodes.append(Node("join", aggregation, "output"))
    arrows = [("in1", "left"), ("in2", "right"), ("left", "join"), ("right", "join")]
    return _layered(f"template {number}", nodes, arrows)


def _baseline(genotype: Genotype) -> list[Panel]:
    """Returns a row for each stride: a tap, and the step of the decoder at that size."""
    strides = spaces.BaselineSpace.taps
    steps = {"lw-refinenet": strides, "unet-mnv2": strides[:-1]}[baseline.network_of(genotype)]
    label = {"lw-refinenet": "sum\n4 poolings", "unet-mnv2": "concat\n2 conv3x3"}
    nodes, arrows = [], []
    for y, stride in enumerate(reversed(strides)):
        nodes.append(Node(f"tap{stride}", f"stride {stride}", "tap", 0.0, float(y)))
        if stride in steps:
            text = label[baseline.network_of(genotype)]
            nodes.append(Node(f"step{stride}", text, "block", 1.0 + y, float(y)))
            arrows.append((f"tap{stride}", f"step{stride}"))
    chain = [f"step{stride}" if stride in steps else f"tap{stride}" for stride in strides]
    arrows += list(zip(chain[:0:-1], chain[-2::-1], strict=True))
    nodes.append(Node("output", "output", "output", 1.0 + len(strides), len(strides) - 1.0))
    arrows.append((chain[0], "output"))
    return [Panel("decoder", tuple(nodes), tuple(arrows))]


def _layered(title: str, nodes: list[Node], arrows: list[tuple[str, str]]) -> Panel:
    """Lays nodes out in columns by longest path from the input, each near the nodes it reads."""
    depth: dict[str, int] = {}
    sources = defaultdict(list)
    for start, end in arrows:
        sources[end].append(start)
    for node in nodes:
        depth[node.name] = 1 + max((depth[s] for s in sources[node.name]), default=-1)
    columns = defaultdict(list)
    for node in nodes:
        columns[depth[node.name]].append(node)
    height: dict[str, float] = {}
    placed = []
    for x in sorted(columns):
        column = columns[x]
        wanted = {
            node.name: sum(height[s] for s in sources[node.name]) / max(1, len(sources[node.name]))
            for node in column
        }
        order = sorted(column, key=lambda node: -wanted[node.name])
        middle = (len(order) - 1) / 2
        centre = sum(wanted.values()) / len(wanted) / 2
        for place, node in enumerate(order):
            height[node.name] = centre + middle - place
            placed.append(replace(node, x=float(x), y=height[node.name]))
    return Panel(title, tuple(placed), tuple(arrows))


DIAGRAMS: dict[str, Callable[[Genotype], list[Panel]]] = {
    spaces.AuxCellSpace.name: _auxcell,
    spaces.TemplateSpace.name: _template,
    spaces.DPCSpace.name: _dpc,
    spaces.FcosSpace.name: _fcos,
    spaces.RestorationSpace.name: _restoration,
    spaces.BaselineSpace.name: _baseline,
}
"""The functions that lay out the genotypes of a space; another space has a plain panel."""
