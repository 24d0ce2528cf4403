"""Shows genotypes, blueprints and runs in a notebook as drawings and tables.

After ``%load_ext nas_tf.notebook``, a cell that ends with such an object displays it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from html import escape
from typing import Any

from matplotlib.figure import Figure

from nas_tf import spaces
from nas_tf.genotype import Genotype
from nas_tf.networks.blueprint import Blueprint, counted_as
from nas_tf.networks.cost import cost, cost_by_part
from nas_tf.report import document, graph, page, plots
from nas_tf.report.run_statistics import RunStatistics
from nas_tf.runs import Run

_BEST = 5


def load_ipython_extension(shell: Any) -> None:
    """Registers the displays in IPython, which calls this for ``%load_ext``."""
    formatter = shell.display_formatter.formatters["text/html"]
    for kind, display in _DISPLAYS.items():
        formatter.for_type(kind, display)


def unload_ipython_extension(shell: Any) -> None:
    """Removes the displays, for ``%unload_ext``."""
    formatter = shell.display_formatter.formatters["text/html"]
    for kind in _DISPLAYS:
        formatter.pop(kind, None)


def genotype_html(genotype: Genotype) -> str:
    """Returns the drawing of a genotype, with its brackets and its description."""
    published = (item for item in spaces.PUBLISHED.values() if item.genotype == genotype)
    title = next((item.name for item in published), genotype.space)
    lines = spaces.space_of(genotype).describe(genotype)
    return "".join(
        (
            _picture(graph.figure(genotype, title=title)),
            f"<p><code>{escape(str(genotype))}</code></p>",
            f"<ul>{''.join(f'<li>{escape(line)}</li>' for line in lines)}</ul>",
        )
    )


def blueprint_html(blueprint: Blueprint) -> str:
    """Returns a table of the parts of a network, and what they cost."""
    live = blueprint.live()
    rows = [
        {"part": part, "parameters": f"{params:,}", "multiply-adds": f"{madds / 1e9:.3f} B"}
        for part, (params, madds) in cost_by_part(live, counted_as).items()
    ]
    total, output = cost(blueprint.deployed()), blueprint.output()
    height, width = blueprint.input_size
    size = "any size" if blueprint.dynamic else f"{height}x{width} pixels"
    sentence = (
        f"{len(live.layers)} layers for pictures of {size}; the network that ships has "
        f"{total.params:,} parameters and {total.madds / 1e9:.3f} B multiply-adds, and "
        f"{output.channels} output channels at stride {output.stride}."
    )
    return f"<p>{escape(sentence)}</p>{_table(rows)}"


def run_html(run: Run) -> str:
    """Returns the figures of a search, its curve, its best trials and the best genotype."""
    statistics = RunStatistics(run)
    about = f"{run.info.space} on {run.info.data} by {run.info.oracle}"
    figures = ", ".join(f"{value} {name}" for value, name in page.tiles(statistics))
    return "".join((f"<p><b>{escape(about)}</b>: {escape(figures)}</p>", *_found(statistics)))


def _found(statistics: RunStatistics) -> Iterator[str]:
    if best := statistics.run.best(_BEST):
        yield _picture(plots.search_curve(statistics))
        yield _table([page.row(trial) for trial in best])
        yield _picture(graph.figure(best[0].parsed, title=f"trial {best[0].trial}"))


def _table(rows: Sequence[Mapping[str, str]]) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in rows[0])
    lines = (
        f"<tr>{''.join(f'<td>{escape(value)}</td>' for value in row.values())}</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>"


def _picture(figure: Figure) -> str:
    return f'<img src="{document.uri(document.svg(figure), "svg+xml")}" style="max-width: 100%">'


_DISPLAYS: Mapping[type, Callable[[Any], str]] = {
    Genotype: genotype_html,
    Blueprint: blueprint_html,
    Run: run_html,
}
