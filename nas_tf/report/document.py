"""Writes pages from templates, saves figures and embeds them, and defines the style of both."""

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

from nas_tf import files

BLUE, ORANGE, GREEN, RED = "#0072b2", "#d55e00", "#009e73", "#b2182b"
GREY, INK = "#9aa3ad", "#30343b"
CYCLE = (BLUE, ORANGE, GREEN, "#cc79a7", "#e69f00", "#56b4e9")
MOST_POINTS = 500
"""The number of points above which they are rasterised, to bound the size of a vector file."""

_STYLE = {
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
    """Applies the style to what the block draws or writes."""
    with rc_context(_STYLE):
        yield


def sheet(
    rows: int = 1, columns: int = 1, *, size: tuple[float, float] = (8.0, 3.6), share: bool = False
) -> tuple[Figure, list[Axes]]:
    """Returns an empty figure and its axes in reading order."""
    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, columns, squeeze=False, sharey=share)
    return figure, list(axes.flat)


def write(path: Path, template: str, content: dict[str, Any]) -> Path:
    """Fills in a template of this package and writes the page atomically."""
    from jinja2 import Environment, PackageLoader

    environment = Environment(loader=PackageLoader("nas_tf.report", "."), autoescape=True)
    files.write(path, environment.get_template(template).render(**content))
    return path


def save_figure(figure: Figure, stem: Path) -> str:
    """Writes a figure as SVG and PNG, and returns the SVG as a data URI for the page."""
    content = svg(figure)
    with paper():
        figure.savefig(stem.with_suffix(".png"), dpi=120)
    stem.with_suffix(".svg").write_bytes(content)
    return uri(content, "svg+xml")


def svg(figure: Figure) -> bytes:
    """Returns a figure as SVG, and fixes its layout for a later file of another kind."""
    content = io.BytesIO()
    with paper():
        figure.draw_without_rendering()
        figure.set_layout_engine("none")  # the layout is computed once for both files
        for axes in figure.axes:  # its last digits differ between calls
            axes.set_position([round(edge, 4) for edge in axes.get_position().bounds])
        figure.savefig(content, format="svg", metadata={"Date": None})
    return content.getvalue()


def uri(content: bytes, kind: str) -> str:
    """Returns a picture's bytes as a data URI."""
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
