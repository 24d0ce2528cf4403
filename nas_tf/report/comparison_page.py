"""One self-contained HTML page of a comparison, with its pictures beside it as SVG and PNG."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nas_tf.report import comparison_plots, document
from nas_tf.report.comparison import Comparison, Row
from nas_tf.runs.statistics import told

PAGE = "comparison.html"


def write(comparison: Comparison, folder: Path) -> Path:
    """Writes the page and its pictures into a folder; returns the page's path."""
    folder.mkdir(parents=True, exist_ok=True)
    return document.write(folder / PAGE, "comparison.html", _content(comparison, folder))


def cells(row: Row) -> dict[str, str]:
    """A row as it is written, here and in the terminal."""
    against, pairs = row.against, row.pairs
    return {
        "run": row.run,
        "trials": str(len(row.rewards)),
        "best": f"{row.best:.4f}",
        "mean": f"{row.mean:.4f}",
        "median": f"{row.median:.4f}",
        "top 10": f"{row.top:.4f}",
        "beats the first": f"{against.superiority:.0%}, {told(against.p)}" if against else "",
        "same genotypes": str(pairs or ""),
    }


def _content(comparison: Comparison, folder: Path) -> dict[str, Any]:
    about = comparison.runs[0].about
    rows = {
        stage: [cells(row) for row in comparison.rows if row.stage == stage]
        for stage in comparison.stages
    }
    return {
        "title": f"{len(comparison.runs)} runs on {about['data']}",
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
                "data": document.keep(comparison_plots.draw(name, comparison), folder / name),
            }
            for name, (title, caption, _) in comparison_plots.PLOTS.items()
        ],
    }


def _runs(comparison: Comparison) -> Iterator[dict[str, str]]:
    for name, facts in zip(comparison.names, comparison.facts, strict=True):
        about = facts.run.about
        yield {
            "name": name,
            "oracle": f"{about['oracle']}, seed {about['seed']}",
            "trials": f"{len(facts.trials)} of {about['max_trials']}",
            "gated": str(len(facts.gated)) if facts.run.has_gate else "–",
            "failed": str(len(facts.failed)),
            "command": about["command"],
        }
