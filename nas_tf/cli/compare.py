"""``nas-tf compare``: compares the rewards of runs, such as an ablation's with and without."""

from pathlib import Path

import click
from rich.markup import escape
from rich.table import Table

from nas_tf.cli import tables
from nas_tf.report import comparison_page
from nas_tf.report.comparison import Comparison
from nas_tf.runs import Run, filenames

_FOLDER = click.Path(path_type=Path, file_okay=False)


@click.command("compare")
@click.argument("runs", nargs=-1, required=True, metavar="RUN_A RUN_B [RUN_C]...", type=_FOLDER)
@click.option("--out", type=_FOLDER, help="Folder of the page (default: next to the first run).")
def command(runs: tuple[Path, ...], out: Path | None) -> None:
    """Compare the rewards of runs on the same data with those of the first run.

    Prints a table and the configuration keys in which the runs differ, and writes an HTML page
    with distributions and curves.

    \b
    nas-tf compare runs/camvid-ppo runs/camvid-random
    nas-tf compare runs/full runs/no_polyak runs/no_teacher --out runs/ablation
    """
    comparison = Comparison([Run(folder) for folder in runs])
    console = tables.console()
    for line in comparison.warnings:
        click.echo(f"warning: {line}", err=True)
    console.print(_table(comparison))
    console.print(_differences(comparison), highlight=False, markup=False, soft_wrap=True)
    name = "-".join(["compare", *comparison.names]).replace("/", "-")
    folder = out or _outermost(runs[0].resolve()).parent / name
    page = comparison_page.write(comparison, folder)
    console.print(str(page), highlight=False, markup=False, soft_wrap=True)


def _outermost(folder: Path) -> Path:
    """Returns the outermost run around a run, such as that of a reranking, or the run itself."""
    return [path for path in (folder, *folder.parents) if (path / filenames.RUN).exists()][-1]


def _table(comparison: Comparison) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("")
    for name in comparison_page.cells(comparison.rows[0]):
        table.add_column(name, justify="left" if name == "run" else "right", overflow="fold")
    previous_stage = ""
    for row in comparison.rows:
        if previous_stage and row.stage != previous_stage:
            table.add_section()
        values = [escape(value) for value in comparison_page.cells(row).values()]
        table.add_row("" if row.stage == previous_stage else row.stage, *values)
        previous_stage = row.stage
    return table


def _differences(comparison: Comparison) -> str:
    text = "; ".join(str(difference) for difference in comparison.differences)
    return f"the runs differ in {text or 'no key of the configuration'}"
