"""Ways for the arrows of a panel: around boxes, each ending at a place of its own."""

from collections import defaultdict
from typing import TypeAlias

from nas_tf.report.panels import Node, Panel

HALF_WIDTH, HALF_HEIGHT, SUM_HALF_WIDTH = 0.33, 0.26, 0.14
Route: TypeAlias = list[tuple[float, float]]
_CLEARANCE, _LANE, _PORT = 0.13, 0.075, 0.11


def half_width(node: Node) -> float:
    """Half the width of a node's box."""
    return SUM_HALF_WIDTH if node.kind == "sum" else HALF_WIDTH


def routes(panel: Panel) -> list[Route]:
    """Waypoints of every arrow, in the panel's order; consecutive ones are joined smoothly."""
    where = {node.name: node for node in panel.nodes}
    ports = _ports(panel, where)
    taken: dict[tuple[float, float], int] = defaultdict(int)
    columns = sorted({node.x for node in panel.nodes})
    ways: list[Route] = []
    for n, (start_name, end_name) in enumerate(panel.arrows):
        start, end = where[start_name], where[end_name]
        last = (end.x - half_width(end) - 0.02, end.y + ports[n])
        way: Route = [(start.x + half_width(start), start.y)]
        for x in columns:
            if start.x < x < end.x:
                goal = way[-1][1] + (last[1] - way[-1][1]) * (x - way[-1][0]) / (
                    last[0] - way[-1][0]
                )
                y = _free(goal, [node for node in panel.nodes if node.x == x])
                if y != goal:
                    lane = (x, round(y, 3))
                    taken[lane] += 1
                    y += _LANE * (taken[lane] - 1) * (1 if y > goal else -1)
                way += [(x - 0.3, y), (x + 0.3, y)]
        ways.append([*way, last])
    return ways


def _free(y: float, nodes: list[Node]) -> float:
    """The nearest height that passes all boxes of a column."""
    margin = HALF_HEIGHT + _CLEARANCE
    candidates = [y, *(node.y + side * margin for node in nodes for side in (-1, 1))]
    clear = [c for c in candidates if all(abs(c - node.y) >= margin - 1e-9 for node in nodes)]
    return min(clear, key=lambda c: abs(c - y))


def _ports(panel: Panel, where: dict[str, Node]) -> dict[int, float]:
    """Offsets that spread the arrows that end at one box, in the order of their origins."""
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
