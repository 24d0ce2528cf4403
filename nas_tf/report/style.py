"""How the pictures of a run look: one set of colours, one paper."""

from collections.abc import Iterator
from contextlib import contextmanager

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

BLUE, ORANGE, GREEN, RED = "#0072b2", "#d55e00", "#009e73", "#b2182b"
GREY, INK = "#9aa3ad", "#30343b"
CYCLE = (BLUE, ORANGE, GREEN, "#cc79a7", "#e69f00", "#56b4e9")
MOST_POINTS = 500
"""Above so many, points are drawn as pixels even in a vector file, which bounds its size."""

_PAPER = {
    "svg.hashsalt": "nas_tf",
    "svg.fonttype": "path",
    "font.size": 10,
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
}


@contextmanager
def paper() -> Iterator[None]:
    """The look, while the block draws or writes."""
    with rc_context(_PAPER):
        yield


def sheet(
    rows: int = 1, columns: int = 1, *, size: tuple[float, float] = (8.0, 3.6), share: bool = False
) -> tuple[Figure, list[Axes]]:
    """An empty picture with its axes in reading order."""
    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, columns, squeeze=False, sharey=share)
    return figure, list(axes.flat)
