"""``nas-tf runs``: lists the folders of searches, trainings and studies, and removes them."""

import shutil
import time
from pathlib import Path

import click
from rich.markup import escape
from rich.table import Table

from nas_tf.cli import tables
from nas_tf.errors import ConfigError, DataError
from nas_tf.report.formatting import duration
from nas_tf.runs import folders


@click.command("runs")
@click.argument("paths", metavar="[FOLDER]...", nargs=-1, type=click.Path(path_type=Path))
@click.option("--remove", is_flag=True, help="Remove these folders, after a question.")
@click.option("--yes", is_flag=True, help="Remove them without a question.")
@click.option("--salvage", is_flag=True, help="Repair the damaged ledgers of these searches.")
def command(paths: tuple[Path, ...], remove: bool, yes: bool, salvage: bool) -> None:
    """List the searches, trainings and studies in FOLDERs (default: runs and studies).

    With --remove, FOLDERs are the ones to remove; a search or a study that runs is refused.
    With --salvage, a damaged ledger keeps the records before the damage, and nas-tf search
    --resume runs the lost trials again. The damaged file and those of lost trials are kept.

    \b
    nas-tf runs
    nas-tf runs experiments
    nas-tf runs runs/shapes_auxcell-ppo --remove
    nas-tf runs runs/shapes_auxcell-ppo --salvage
    """
    if salvage and (remove or not paths):
        what = "is given with --remove" if remove else "has no folder"
        raise ConfigError(f"--salvage {what}, expected the folders of damaged searches alone")
    if remove and not paths:
        raise ConfigError("--remove has no folder, expected those to remove")
    for path in paths:
        if not path.is_dir():
            raise DataError(f"{path} is no folder, expected one with results")
    if salvage:
        _salvage(paths)
        return
    found = [folders.read(path) for path in paths] if remove else _found(paths)
    for folder in found if remove else ():
        if folders.is_in_use(folder.path):
            raise DataError(f"{folder.path} is in use by another process: stop that first")
    if not found:
        names = ", ".join(map(str, paths)) or "runs and studies"
        raise DataError(f"there is no search, training or study in {names}")
    tables.console().print(_table(found))
    if remove and (yes or click.confirm(f"remove {tables.size(sum(f.size for f in found))}?")):
        for folder in found:
            shutil.rmtree(folder.path)
            click.echo(f"removed {folder.path}")


def _salvage(paths: tuple[Path, ...]) -> None:
    from nas_tf.jobs import salvage

    for path in paths:
        done = salvage.salvage(path)
        click.echo(
            f"{path}: kept {done.records} records of the ledger and {len(done.kept)} of "
            f"{len(done.kept) + len(done.lost)} trials"
        )
        if done.folder is not None:
            click.echo(f"--resume runs the others again; their files are in {done.folder}")


def _found(paths: tuple[Path, ...]) -> list[folders.Folder]:
    roots = paths or (Path("runs"), Path("studies"))
    return [folder for root in roots for folder in folders.find(root)]


def _table(found: list[folders.Folder]) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("folder", "kind", "data", "done", "result", "size", "changed"):
        table.add_column(name, justify="right" if name in ("size", "changed") else "left")
    for folder in found:
        ago = duration(max(0.0, time.time() - folder.changed))
        table.add_row(
            *map(
                escape,
                (str(folder.path), folder.kind, folder.data, folder.progress, folder.figure),
            ),
            *(tables.size(folder.size), f"{ago} ago"),
        )
    return table
