"""Draws a genotype in the style of the papers: connectivity above, cell or templates below."""

import itertools
from pathlib import Path

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from matplotlib.path import Path as MplPath

from nas_tf.genotype import Genotype
from nas_tf.report.panels import Node, Panel, panels
from nas_tf.report.routes import HALF_HEIGHT, Route, half_width, routes

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
    """The picture of a genotype."""
    drawn = panels(genotype)
    above, below = drawn[0], drawn[1:]
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
    with rc_context({"svg.hashsalt": "nas_tf"}):  # the same drawing, byte for byte
        picture.savefig(paths[0], metadata={"Date": None})
    picture.savefig(paths[1], dpi=150)
    paths[2].write_text(dot(genotype, title=title), encoding="utf-8")
    return paths


def dot(genotype: Genotype, *, title: str) -> str:
    """The same graph as text for Graphviz."""
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
    """A line that leaves and arrives level and bends between its waypoints."""
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
