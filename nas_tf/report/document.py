"""How pages come to paper: a template filled in, a figure kept beside it and within it."""

import base64
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from nas_tf.runs import files

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


def write(path: Path, template: str, content: dict[str, Any]) -> Path:
    """Fills a template of this package in and writes it whole."""
    from jinja2 import Environment, PackageLoader

    environment = Environment(loader=PackageLoader("nas_tf.report", "."), autoescape=True)
    files.write_atomically(path, environment.get_template(template).render(**content))
    return path


def save_figure(figure: Figure, stem: Path) -> str:
    """Writes a figure as SVG and PNG, and returns the SVG for the page."""
    text = io.BytesIO()
    with paper():
        figure.draw_without_rendering()
        figure.set_layout_engine("none")  # the layout is computed once for both files
        figure.savefig(text, format="svg", metadata={"Date": None})
        figure.savefig(stem.with_suffix(".png"), dpi=120)
    stem.with_suffix(".svg").write_bytes(text.getvalue())
    return uri(text.getvalue(), "svg+xml")


def uri(content: bytes, kind: str) -> str:
    """A picture's bytes as they stand in a page."""
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
