"""How pages come to paper: a template filled in, a figure kept beside it and within it."""

import base64
import io
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from nas_tf.report.style import paper
from nas_tf.runs import layout


def write(path: Path, template: str, content: dict[str, Any]) -> Path:
    """Fills a template of this package in and writes it whole."""
    from jinja2 import Environment, PackageLoader

    environment = Environment(loader=PackageLoader("nas_tf.report", "."), autoescape=True)
    layout.write_whole(path, environment.get_template(template).render(**content))
    return path


def keep(figure: Figure, stem: Path) -> str:
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
