"""``nas-tf data``: list, prepare, check and show datasets."""

from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from nas_tf.errors import DataError

if TYPE_CHECKING:
    from nas_tf.data.check import Report, SplitReport

_SOURCE = click.option(
    "--source",
    type=click.Path(path_type=Path),
    help="Folder with the dataset's own files; $NAS_TF_DATA/NAME if not given.",
)
_SHOWN_PROBLEMS = 20


@click.group("data")
def command() -> None:
    """List, prepare, check and show datasets."""


@command.command("list")
def list_datasets() -> None:
    """Show every dataset: targets, classes, splits, and whether it is ready."""
    from nas_tf.data import DATASETS, prepared
    from nas_tf.data.store import data_dir

    table = Table("name", "targets", "classes", "splits", "state", box=None, pad_edge=False)
    missing = []
    for name, builder in DATASETS.items():
        info, ready = builder.INFO, prepared(name)
        if ready is None:
            missing.append(f"{name}: {info.how_to_get}.")
        splits = ready.splits if ready else info.splits
        table.add_row(
            name,
            " ".join(info.targets),
            str(len(info.classes) or "–"),
            " ".join(f"{split} {count}" for split, count in splits.items()),
            "ready" if ready else "not prepared",
        )
    Console().print(table)
    click.echo(f"\nPrepared data: {data_dir()}. Your own files: folder:DIR.")
    for line in missing:
        click.echo(line)


@command.command()
@click.argument("name")
@_SOURCE
@click.option("--skip-broken", is_flag=True, help="Leave out examples that cannot be read.")
@click.option("--again", is_flag=True, help="Prepare anew even if it was done before.")
def prepare(name: str, source: Path | None, skip_broken: bool, again: bool) -> None:
    """Read, check and store a dataset where training finds it."""
    from nas_tf.data import prepare as run

    with Console(stderr=True).status(f"Preparing {escape(name)} ..."):
        done = run(name, source, skip_broken=skip_broken, again=again)
    splits = ", ".join(f"{split} {count}" for split, count in done.splits.items())
    click.echo(f"{name}: {splits}, in {done.folder}")
    for line in done.broken:
        click.echo(f"left out: {line}")
    if done.absent:
        click.echo(f"not there: {', '.join(done.absent)}")


@command.command()
@click.argument("name")
@_SOURCE
def check(name: str, source: Path | None) -> None:
    """Read every file once and report what is wrong with which; exit code 3 if anything is."""
    from nas_tf.data.check import check as run

    with Console(stderr=True).status(f"Reading {escape(name)} ..."):
        report = run(name, source)
    for split in report.splits.values():
        _print_split(split)
    if report.info.classes:
        Console().print(_histogram(report))
    if report.absent:
        click.echo(f"not there: {', '.join(report.absent)}")
    problems = report.problems
    for line in problems[:_SHOWN_PROBLEMS]:
        click.echo(line)
    if len(problems) > _SHOWN_PROBLEMS:
        click.echo(f"and {len(problems) - _SHOWN_PROBLEMS} more")
    if problems:
        raise DataError(
            f"{name} has {len(problems)} broken examples: mend them or leave them out with "
            f"nas-tf data prepare {name} --skip-broken"
        )


@command.command()
@click.argument("name")
@click.option("--split", default="train", show_default=True)
@click.option("--count", default=6, show_default=True, help="How many examples.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Picture to write.")
def show(name: str, split: str, count: int, out: Path | None) -> None:
    """Draw examples: images, labels, overlays and class shares."""
    from nas_tf.data.picture import draw, sheet

    path = out or Path(f"{name.rpartition('/')[2]}-{split}.png")
    path.parent.mkdir(parents=True, exist_ok=True)
    with Console(stderr=True).status(f"Drawing {escape(name)} ..."):
        draw(sheet(name, split, count), path)
    click.echo(f"wrote {path}")


def _print_split(split: "SplitReport") -> None:
    """Found and published counts, and what is broken."""
    published = ""
    if split.expected is not None and split.expected != split.count:
        published = f" (published: {split.expected})"
    click.echo(f"{split.split}: {split.count} examples{published}, {len(split.problems)} broken")


def _histogram(report: "Report") -> Table:
    """Share of each class in each split, in per cent of the labelled pixels."""
    table = Table("class", box=None, pad_edge=False)
    for name in report.splits:
        table.add_column(f"{name} %", justify="right")
    for place, name in enumerate(report.info.classes):
        shares = (f"{100 * split.shares[place]:.2f}" for split in report.splits.values())
        table.add_row(f"{place} {escape(name)}", *shares)
    ignored = (f"{split.ignored:,} px" for split in report.splits.values())
    table.add_row(f"{report.info.ignore_label} ignored", *ignored)
    return table
