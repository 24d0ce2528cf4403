"""Routes arrows and draws a genotype in the papers' style: connectivity on top, cells below."""

import itertools
from collections import defaultdict
from pathlib import Path
from typing import TypeAlias

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from matplotlib.path import Path as MplPath

from nas_tf.genotype import Genotype
from nas_tf.report.diagrams import Node, Panel, panels

HALF_WIDTH, HALF_HEIGHT, SUM_HALF_WIDTH = 0.33, 0.26, 0.14
Route: TypeAlias = list[tuple[float, float]]
_CLEARANCE, _LANE, _PORT = 0.13, 0.075, 0.11


def half_width(node: Node) -> float:
    """Returns half the width of a node's box."""
    return SUM_HALF_WIDTH if node.kind == "sum" else HALF_WIDTH


def routes(panel: Panel) -> list[Route]:
    """Returns the waypoints of every arrow, in the panel's order; curves join consecutive ones."""
    where = {node.name: node for node in panel.nodes}
    ports = _ports(panel, where)
    taken: dict[tuple[float, float], int] = defaultdict(int)
    columns = sorted({node.x for node in panel.nodes})
    paths: list[Route] = []
    for n, (start_name, end_name) in enumerate(panel.arrows):
        start, end = where[start_name], where[end_name]
        last = (end.x - half_width(end) - 0.02, end.y + ports[n])
        path: Route = [(start.x + half_width(start), start.y)]
        for x in columns:
            if start.x < x < end.x:
                goal = path[-1][1] + (last[1] - path[-1][1]) * (x - path[-1][0]) / (
                    last[0] - path[-1][0]
                )
                y = _free(goal, [node for node in panel.nodes if node.x == x])
                if y != goal:
                    lane = (x, round(y, 3))
                    taken[lane] += 1
                    y += _LANE * (taken[lane] - 1) * (1 if y > goal else -1)
                path += [(x - 0.3, y), (x + 0.3, y)]
        paths.append([*path, last])
    return paths


def _free(y: float, nodes: list[Node]) -> float:
    """Returns the nearest height at which an arrow passes all boxes of a column."""
    margin = HALF_HEIGHT + _CLEARANCE
    candidates = [y, *(node.y + side * margin for node in nodes for side in (-1, 1))]
    clear = [c for c in candidates if all(abs(c - node.y) >= margin - 1e-9 for node in nodes)]
    return min(clear, key=lambda c: abs(c - y))


def _ports(panel: Panel, where: dict[str, Node]) -> dict[int, float]:
    """Returns offsets that spread the arrows into one box, in the order of their origins."""
    ends = defaultdict(list)
    for n, (start, end) in enumerate(panel.arrows):
        ends[end].append((where[start].y, n))
    offsets = {}
    for arrivals in ends.values():
        arrivals.sort()
        step = min(_PORT, 2 * (HALF_HEIGHT - 0.05) / len(arrivals))
        for place, (_, n) in enumerate(arrivals):
            offsets[n] = step * (place - (len(arrivals) - 1) / 2)
    return offsets


_COLOURS = {
    "tap": "#d9dee5",
    "block": "#bcd4ee",
    "conv": "#f6c9a8",
    "sep": "#bfe0c0",
    "pool": "#d9c7ea",
    "skip": "#f3f0cf",
    "zero": "#f2f2f2",
    "sum": "#ffffff",
    "output": "#f3b8b8",
}
_INK = "#30343b"


def figure(genotype: Genotype, *, title: str) -> Figure:
    """Draws the picture of a genotype."""
    above, *below = panels(genotype)
    heights = [_extent(above)[1], *([max(_extent(p)[1] for p in below)] if below else [])]
    widths = sum(_extent(p)[0] for p in below)
    picture = Figure(
        figsize=(1.5 * max(_extent(above)[0], widths, 4.0), 0.8 * sum(heights)),
        layout="constrained",
    )
    FigureCanvasAgg(picture)
    picture.suptitle(title, fontsize=13, color=_INK, fontweight="bold")
    rows = picture.add_gridspec(len(heights), 1, height_ratios=heights)
    _draw(picture.add_subplot(rows[0]), above)
    if below:
        inner = rows[1].subgridspec(1, len(below), width_ratios=[_extent(p)[0] for p in below])
        for n, panel in enumerate(below):
            _draw(picture.add_subplot(inner[n]), panel)
    return picture


def save(genotype: Genotype, stem: Path, *, title: str) -> list[Path]:
    """Writes the picture as SVG and PNG, and the graph as Graphviz text."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    picture = figure(genotype, title=title)
    paths = [stem.with_name(stem.name + suffix) for suffix in (".svg", ".png", ".dot")]
    with rc_context({"svg.hashsalt": "nas_tf"}):  # the same bytes for the same drawing
        picture.savefig(paths[0], metadata={"Date": None})
    picture.savefig(paths[1], dpi=150)
    paths[2].write_text(dot(genotype, title=title), encoding="utf-8")
    return paths


def dot(genotype: Genotype, *, title: str) -> str:
    """Returns the graph as Graphviz text."""
    lines = [
        f'digraph "{title}" {{',
        "  rankdir=LR;",
        '  node [shape=box, style="rounded,filled"];',
    ]
    for n, panel in enumerate(panels(genotype)):
        lines += [f"  subgraph cluster_{n} {{", f'    label="{panel.title}";']
        for node in panel.nodes:
            label = node.label.replace("\n", "\\n")
            colour = _COLOURS[node.kind]
            lines.append(f'    "{n}.{node.name}" [label="{label}", fillcolor="{colour}"];')
        lines += [f'    "{n}.{start}" -> "{n}.{end}";' for start, end in panel.arrows]
        lines.append("  }")
    return "\n".join([*lines, "}", ""])


def _extent(panel: Panel) -> tuple[float, float]:
    xs, ys = ([getattr(node, axis) for node in panel.nodes] for axis in "xy")
    return max(xs) - min(xs) + 1.2, max(ys) - min(ys) + 1.4


def _draw(axes: Axes, panel: Panel) -> None:
    xs, ys = ([getattr(node, axis) for node in panel.nodes] for axis in "xy")
    for y, label in panel.rows.items():
        axes.axhline(y, color="#eef0f3", linewidth=12, zorder=0)
        axes.text(min(xs) - 0.48, y, label, ha="right", va="center", fontsize=8, color="#7a818c")
    for route in routes(panel):
        _arrow(axes, route)
    for node in panel.nodes:
        _box(axes, node)
    axes.set_title(panel.title, fontsize=10, color="#5a616b", loc="left")
    axes.set_xlim(min(xs) - 0.75, max(xs) + 0.5)
    axes.set_ylim(min(ys) - 0.65, max(ys) + 0.65)
    axes.axis("off")


def _box(axes: Axes, node: Node) -> None:
    across = half_width(node)
    upwards = HALF_HEIGHT if node.kind != "sum" else 0.18
    axes.add_patch(
        FancyBboxPatch(
            (node.x - across, node.y - upwards),
            2 * across,
            2 * upwards,
            boxstyle="round,pad=0,rounding_size=0.08",
            facecolor=_COLOURS[node.kind],
            edgecolor=_INK,
            linewidth=0.9,
            zorder=3,
        )
    )
    label = node.label.replace("_rate", "\nrate ")
    axes.text(node.x, node.y, label, ha="center", va="center", fontsize=7.5, color=_INK, zorder=4)


def _arrow(axes: Axes, route: Route) -> None:
    """Draws an arrow that leaves and arrives horizontally and bends between its waypoints."""
    points, codes = [route[0]], [MplPath.MOVETO]
    for (x0, y0), (x1, y1) in itertools.pairwise(route):
        middle = (x0 + x1) / 2
        points += [(middle, y0), (middle, y1), (x1, y1)]
        codes += [MplPath.CURVE4] * 3
    axes.add_patch(
        FancyArrowPatch(
            path=MplPath(points, codes),
            arrowstyle="-|>",
            mutation_scale=8,
            color="#7a818c",
            linewidth=1.0,
            zorder=2,
        )
    )
