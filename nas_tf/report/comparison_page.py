"""Writes a comparison as one self-contained HTML page, and its figures as SVG and PNG."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nas_tf.report import document
from nas_tf.report.comparison import Comparison, Row, spent, values_at
from nas_tf.report.document import CYCLE, paper, sheet
from nas_tf.report.formatting import score
from nas_tf.report.plots import density
from nas_tf.runs.statistics import format_p

PAGE = "comparison.html"


def write(comparison: Comparison, folder: Path) -> Path:
    """Writes the page and its figures into a folder; returns the page's path."""
    folder.mkdir(parents=True, exist_ok=True)
    return document.write(folder / PAGE, "comparison.html", _content(comparison, folder))


def cells(row: Row) -> dict[str, str]:
    """Returns the cells of a row, for the page and the terminal."""
    against, pairs = row.against, row.pairs
    return {
        "run": row.run,
        "trials": str(len(row.values)),
        "best": score(row.best),
        "mean": score(row.mean),
        "median": score(row.median),
        "top 10": score(row.top),
        "beats the first": f"{against.superiority:.0%}, {format_p(against.p)}" if against else "",
        "same genotypes": str(pairs or ""),
    }


def _content(comparison: Comparison, folder: Path) -> dict[str, Any]:
    rows = {
        stage: [cells(row) for row in comparison.rows if row.stage == stage]
        for stage in comparison.stages
    }
    return {
        "title": f"{len(comparison.runs)} runs on {comparison.runs[0].info.data}",
        "subtitle": ", ".join(comparison.names),
        "runs": list(_runs(comparison)),
        "names": comparison.names,
        "differences": comparison.differences,
        "warnings": comparison.warnings,
        "tables": rows,
        "plots": [
            {
                "title": title,
                "caption": caption,
                "data": document.save_figure(draw(name, comparison), folder / name),
            }
            for name, (title, caption, _) in PLOTS.items()
        ],
    }


def _runs(comparison: Comparison) -> Iterator[dict[str, str]]:
    for name, statistics in zip(comparison.names, comparison.statistics, strict=True):
        info = statistics.run.info
        yield {
            "name": name,
            "oracle": f"{info.oracle}, seed {info.seed}",
            "trials": f"{len(statistics.trials)} of {info.max_trials}",
            "gated": str(len(statistics.gated)) if statistics.run.has_gate else "–",
            "failed": str(len(statistics.failed)),
            "command": info.command,
        }


_LINES = ("-", "--", ":")


def densities(comparison: Comparison) -> Figure:
    """Draws the density of scores at each stage, one colour per run."""
    return _by_stage(
        comparison, "density", lambda axes, values, style: density(axes, values, *style)
    )


def distributions(comparison: Comparison) -> Figure:
    """Draws the share of trials up to each score: a curve further right is the better run."""

    def draw(axes: Axes, values: Sequence[float], style: tuple[str, str]) -> None:
        ordered = np.sort([min(values), *values])
        shares = np.arange(len(ordered)) / len(values)
        axes.step(ordered, shares, where="post", color=style[0], label=style[1])

    return _by_stage(comparison, "share of trials", draw)


def curves(comparison: Comparison) -> Figure:
    """Draws the best so far and the running mean, over trials and over the time spent in them."""
    figure, axes = sheet(2, 2, size=(8.0, 5.6))
    longest = max(float(spent(statistics)[-1]) for statistics in comparison.statistics)
    unit, seconds = ("hours", 3600) if longest >= 7200 else ("minutes", 60)
    for number, (name, statistics) in enumerate(
        zip(comparison.names, comparison.statistics, strict=True)
    ):
        colour, line = _line_style(number)
        over = statistics.x(statistics.completed), spent(statistics) / seconds
        lines = statistics.best_so_far, statistics.running_mean()
        for panel, (y, x) in zip(axes, [(y, x) for y in lines for x in over], strict=True):
            steps = "steps-post" if y is lines[0] else "default"
            panel.plot(x, y, color=colour, linestyle=line, drawstyle=steps, label=name)
    axes[0].set(ylabel="best reward so far")
    axes[2].set(ylabel="mean of the last 20", xlabel="trials")
    axes[3].set(xlabel=f"{unit} in trials")
    _legend(figure, axes[0], len(comparison.runs))
    return figure


PLOTS: dict[str, tuple[str, str, Callable[[Comparison], Figure]]] = {
    "densities": (
        "Distribution of scores",
        "Kernel densities, with one mark per trial. Stage 2 has only trials that passed the gate.",
        densities,
    ),
    "distributions": (
        "Share of trials below a score",
        "Empirical distribution functions: the curve further right is the better run.",
        distributions,
    ),
    "curves": (
        "Rewards over the search",
        "Left: over trials. Right: over the total time of all trials so far, failed ones "
        "included, which does not depend on the number of workers.",
        curves,
    ),
}


def draw(name: str, comparison: Comparison) -> Figure:
    """Draws the figure of a name."""
    with paper():
        return PLOTS[name][2](comparison)


def _by_stage(
    comparison: Comparison,
    ylabel: str,
    draw_run: Callable[[Axes, Sequence[float], tuple[str, str]], None],
) -> Figure:
    stages = comparison.stages[1:] or comparison.stages
    figure, axes = sheet(1, len(stages), size=(8.0, 3.2))
    for stage, panel in zip(stages, axes, strict=True):
        for number, statistics in enumerate(comparison.statistics):
            values = values_at(statistics, stage)
            if values:
                draw_run(panel, values, (_line_style(number)[0], comparison.names[number]))
        panel.set(xlabel="reward" if stage == "reward" else f"score after {stage}")
    axes[0].set(ylabel=ylabel)
    _legend(figure, axes[0], len(comparison.runs))
    return figure


def _legend(figure: Figure, axes: Axes, runs: int) -> None:
    handles = axes.get_legend_handles_labels()
    figure.legend(*handles, loc="outside upper left", ncols=min(runs, 3))


def _line_style(number: int) -> tuple[str, str]:
    return CYCLE[number % len(CYCLE)], _LINES[number // len(CYCLE) % len(_LINES)]
