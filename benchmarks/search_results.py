"""Writes a page of results of real searches: commands, figures, the best, and a comparison.

python benchmarks/search_results.py --title "Searching on CamVid" --machine "2 cores, no GPU" \
    --out docs/results/camvid_search runs/camvid_ppo runs/camvid_random

Writes OUT.md and, in the folder OUT, each run's table of trials and pictures.
"""

import argparse
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from nas_tf.report import comparison_page, page, plots, reranked, supernet
from nas_tf.report.comparison import Comparison
from nas_tf.report.run_statistics import RunStatistics
from nas_tf.runs import Run, filenames

SHOWN = 5
COLUMNS = {
    **{"reward": "reward", "stage_one": "stage 1", "stage_two": "stage 2"},
    **{"params": "parameters", "madds": "multiply-adds", "trial": "trial", "genotype": "genotype"},
}


def main() -> None:
    """Writes the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--title", required=True)
    parser.add_argument("--machine", required=True, help="The machine, and what else ran on it.")
    parser.add_argument("--out", type=Path, required=True, help="Without a suffix.")
    arguments = parser.parse_args()
    lines = write(
        [Run(folder) for folder in arguments.runs],
        arguments.out,
        title=arguments.title,
        machine=arguments.machine,
    )
    arguments.out.with_suffix(".md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def write(runs: Sequence[Run], out: Path, *, title: str, machine: str) -> list[str]:
    """Copies pictures and tables into ``out`` and returns the page's lines."""
    lines = [f"# {title}", "", f"Machine: {machine}", ""]
    if len(runs) > 1:
        lines += _compared(Comparison(runs), out / "compared")
    for run in runs:
        lines += _of_run(run, out / run.folder.resolve().name)
    return lines


def _compared(comparison: Comparison, folder: Path) -> Iterator[str]:
    """Yields the comparison of each run with the first, stage by stage."""
    comparison_page.write(comparison, folder)
    (folder / comparison_page.PAGE).unlink()
    yield f"## {' against '.join(comparison.names)}"
    yield ""
    yield f"Command: `nas-tf compare {' '.join(comparison.names)}`"
    yield ""
    yield from _table({"of": row.stage, **comparison_page.cells(row)} for row in comparison.rows)
    differences = "; ".join(str(difference) for difference in comparison.differences)
    yield f"The runs differ in {differences or 'no key of the configuration'}."
    yield ""
    for name, (title, caption, _) in comparison_page.PLOTS.items():
        yield from _picture(folder, name, title, caption)


def _of_run(run: Run, folder: Path) -> Iterator[str]:
    """Yields the section of a single run, from its report."""
    page.write(run)
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(run.folder / filenames.TABLE, folder / "trials.csv")
    facts = RunStatistics(run)
    yield f"## {folder.name}"
    yield ""
    command = run.info.command.replace(str(run.folder.resolve()), f"runs/{folder.name}")
    yield f"Command: `{command}`, seed {run.info.seed}."
    yield ""
    yield f"{'; '.join(f'{value} {what}' for value, what in page.tiles(facts))}."
    yield ""
    for sentence in page.trust(facts):
        yield f"- {sentence}"
    yield ""
    yield from _table(
        {COLUMNS[key]: value for key, value in page.row(trial).items() if key in COLUMNS}
        for trial in run.best(SHOWN)
    )
    for name, (title, caption, _) in supernet.PLOTS.items():
        if (picture := run.folder / filenames.PICTURES / f"{name}.svg").exists():
            shutil.copy(picture, folder)
            yield from _picture(folder, name, title, caption)
    for name in plots.drawn(facts):
        title, _ = plots.PLOTS[name]
        shutil.copy(run.folder / filenames.PICTURES / f"{name}.svg", folder)
        yield from _picture(folder, name, title, page.CAPTIONS[name])
    if facts.reranking and facts.reranking.pairs:
        shutil.copy(run.folder / filenames.PICTURES / "reranking.svg", folder)
        shutil.copy(facts.reranking.longer.folder / filenames.TABLE, folder / "longer.csv")
        yield from _picture(folder, "reranking", reranked.TITLE, reranked.CAPTION)
    shutil.copy(run.folder / filenames.PICTURES / "best_1.svg", folder)
    yield from _picture(folder, "best_1", "The best genotype", "")


def _picture(folder: Path, name: str, title: str, caption: str) -> Iterator[str]:
    """Yields a figure by its SVG, and deletes the PNG copy."""
    (folder / f"{name}.png").unlink(missing_ok=True)
    where = folder.relative_to(folder.parents[1])
    yield f"![{title}]({where.as_posix()}/{name}.svg)"
    yield ""
    if caption:
        yield f"*{title}.* {caption}"
        yield ""


def _table(rows: Iterable[Mapping[str, str]]) -> Iterator[str]:
    rows = list(rows)
    yield f"| {' | '.join(rows[0])} |"
    yield f"|{'---|' * len(rows[0])}"
    for row in rows:
        yield f"| {' | '.join(row.values())} |"
    yield ""


if __name__ == "__main__":
    main()
