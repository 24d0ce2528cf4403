"""``nas-tf compare``: compares searches by their rewards, or trainings by their final figures."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import click
from rich.markup import escape
from rich.table import Table

from nas_tf.cli import tables
from nas_tf.errors import ConfigError
from nas_tf.report import comparison_page, document, trainings
from nas_tf.report.comparison import Comparison
from nas_tf.report.trainings import TrainingComparison
from nas_tf.runs import Run, filenames, folders
from nas_tf.runs.trainings import Training

_FOLDER = click.Path(path_type=Path, file_okay=False)


@click.command("compare")
@click.argument("runs", nargs=-1, required=True, metavar="RUN_A RUN_B [RUN_C]...", type=_FOLDER)
@click.option("--out", type=_FOLDER, help="Folder of the files (default: next to the first run).")
def command(runs: tuple[Path, ...], out: Path | None) -> None:
    """Compare searches on the same data, or trainings, with the first.

    Prints a table and the configuration keys in which the runs differ. Of searches, it compares
    rewards, and writes an HTML page with distributions and curves. Of trainings, it compares final
    figures and costs; those that differ in their seed only are one network.

    \b
    nas-tf compare runs/camvid-ppo runs/camvid-random
    nas-tf compare runs/full runs/no_polyak runs/no_teacher --out runs/ablation
    nas-tf compare runs/found runs/lw-refinenet runs/deeplabv3
    """
    kinds = {folder: folders.kind_of(folder) for folder in runs}
    if set(kinds.values()) == {"training"}:
        _compare_trainings(runs, out)
        return
    if "training" in kinds.values():
        other = next(folder for folder, kind in kinds.items() if kind != "training")
        raise ConfigError(f"{other} is no training and others are, expected folders of one kind")
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


def _compare_trainings(runs: Sequence[Path], out: Path | None) -> None:
    comparison = TrainingComparison([Training(folder) for folder in runs])
    console = tables.console()
    for line in comparison.lines:
        click.echo(f"note: {line}", err=True)
    console.print(_cells(list(trainings.rows(comparison))))
    if by_class := trainings.by_class(comparison):
        console.print(_cells(by_class))
    differences = "; ".join(map(str, comparison.differences))
    text = f"differ in {differences}" if differences else "are equal"
    line = f"apart from seeds, the configurations {text}"
    console.print(line, highlight=False, markup=False, soft_wrap=True)
    name = "-".join(["compare", *(group.name for group in comparison.groups)]).replace("/", "-")
    folder = out or runs[0].resolve().parent / name
    folder.mkdir(parents=True, exist_ok=True)
    trainings.write_table(comparison, folder / "trainings.csv")
    document.save_figure(trainings.figure(comparison), folder / "trainings")
    for path in (folder / "trainings.svg", folder / "trainings.csv"):
        console.print(str(path), highlight=False, markup=False, soft_wrap=True)


def _cells(rows: Sequence[Mapping[str, str]]) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for number, name in enumerate(rows[0]):
        table.add_column(name, justify="right" if number else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(escape, row.values()))
    return table


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
