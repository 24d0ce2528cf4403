"""``nas-tf data``: describes, lists, prepares, checks, shows and caches data sets."""

import shlex
import time
from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress
from rich.table import Table

from nas_tf import files
from nas_tf.cli import tables
from nas_tf.cli.options import ENCODER, OUT_FILE, SizeType, drawable, given
from nas_tf.config.paths import run_name
from nas_tf.errors import ConfigError, DataError
from nas_tf.report.formatting import duration

if TYPE_CHECKING:
    from nas_tf.data.check import Report, SplitReport
    from nas_tf.jobs.feature_caches import Features

_SOURCE = click.option(
    "--source",
    type=click.Path(path_type=Path),
    help="Folder with the data set's own files (default: $NAS_TF_DATA/NAME).",
)
_MAX_PROBLEMS = 20

_SPLIT = click.option("--split", default="train", show_default=True, help="Split of the data set.")


@click.group("data")
def command() -> None:
    """Describe, list, prepare, check, show and cache data sets.

    \b
    nas-tf data list
    nas-tf data prepare camvid --source DIR
    """


@command.command("list")
def list_datasets() -> None:
    """List the data sets with targets, classes, splits and state."""
    from nas_tf.data import DATASETS, prepared
    from nas_tf.data.store import data_dir, resolve_source

    root = files.data()
    table = Table("name", "targets", "classes", "splits", "state", box=None, pad_edge=False)
    missing = []
    for name, builder in DATASETS.items():
        info, ready = builder.INFO, prepared(name)
        has_source = root is not None and resolve_source(name, None).is_dir()
        if ready is None and has_source:
            found = resolve_source(name, None)
            missing.append(f"{name}: found in {found}; run nas-tf data prepare {name}")
        elif ready is None:
            missing.append(f"{name}: {info.how_to_get}.")
        splits = ready.splits if ready else info.splits
        table.add_row(
            name,
            " ".join(info.targets),
            str(len(info.classes) or "–"),
            " ".join(f"{split} {count or ''}".strip() for split, count in splits.items()),
            "ready" if ready else "source found" if has_source else "not prepared",
        )
    tables.console().print(table)
    click.echo(f"\nPrepared data: {data_dir()}. Your own data: folder:DIR.")
    for line in missing:
        click.echo(line)


@command.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--overwrite", is_flag=True, help="Overwrite dataset.yaml.")
@click.option(
    "--task",
    metavar="TASK",
    help="restoration: take pictures as clean ones to be restored, whatever else is there.",
)
def init(folder: Path, overwrite: bool, task: str | None) -> None:
    """Inspect a folder of pictures, and write its dataset.yaml.

    Pictures are neither changed nor moved. The layouts of VOC, Cityscapes, COCO and YOLO are
    recognised. Pictures without masks, boxes or other files are clean ones to be restored.
    """
    from nas_tf.config import load
    from nas_tf.data.init import inspect, write

    with Console(stderr=True).status(f"Reading {escape(str(folder))} ..."):
        inspected = inspect(folder, task=task)
    written = write(inspected, overwrite=overwrite)
    for line in inspected.lines:
        click.echo(line)
    for path in written:
        click.echo(f"wrote {path}")
    name = shlex.quote(f"folder:{folder}")
    click.echo(
        f"\nRead {written[0].name}, then run\n"
        f"  nas-tf data check {name}\n"
        f"  nas-tf data show {name}"
    )
    found = inspected.arrangement
    if found.clean:
        has_pairs = found.clean != found.images
        options = "degradation=null" if has_pairs else "degradation.noise.sigma=25"
        half = round(0.9 * inspected.counts.get("train", 0)) // 2
        if half < load("shapes_denoise").gradient.batch:  # learns from one half, then the other
            options += f" gradient.batch={max(1, half)}"
        click.echo(f"  nas-tf search shapes_denoise data.name={name} {options}")
    elif found.boxes:
        click.echo(f"  nas-tf search bccd_fcos_fpn data.name={name} --trials 2")
    else:
        click.echo(f"  nas-tf search {name} --trials 2\n  nas-tf train arch0 --config {name}")


@command.command()
@click.argument("name")
@_SOURCE
@click.option("--skip-broken", is_flag=True, help="Leave out examples that cannot be read.")
@click.option(
    "--again", is_flag=True, help="Prepare the data set again if it is already prepared."
)
def prepare(name: str, source: Path | None, skip_broken: bool, again: bool) -> None:
    """Read, check and store a data set for training."""
    from nas_tf.data import prepare as run

    with Console(stderr=True).status(f"Preparing {escape(name)} ..."):
        done = run(name, source, skip_broken=skip_broken, again=again)
    splits = ", ".join(f"{split} {count}" for split, count in done.splits.items())
    click.echo(f"{name}: {splits}, in {done.folder}")
    for line in (*done.broken, *done.left_out):
        click.echo(f"left out: {line}")
    if done.absent:
        click.echo(f"missing splits: {', '.join(done.absent)}")


@command.command()
@click.argument("name")
@_SOURCE
def check(name: str, source: Path | None) -> None:
    """Read every file and report all faults; if any, the exit code is 3."""
    from nas_tf.data.check import check as run

    with Console(stderr=True).status(f"Reading {escape(name)} ..."):
        report = run(name, source)
    for split in report.splits.values():
        _print_split(split)
    if report.info.classes:
        tables.console().print(_histogram(report))
    if report.absent:
        click.echo(f"missing splits: {', '.join(report.absent)}")
    for line in report.notes:
        click.echo(f"note: {line}")
    problems = report.problems
    for line in problems[:_MAX_PROBLEMS]:
        click.echo(line)
    if len(problems) > _MAX_PROBLEMS:
        click.echo(f"and {len(problems) - _MAX_PROBLEMS} more")
    if broken := len(problems) - report.faulty_boxes:
        raise DataError(
            f"{name} has {broken} broken examples: repair them, or leave them out with "
            f"nas-tf data prepare {shlex.quote(name)} --skip-broken"
        )
    if problems:
        raise DataError(
            f"{name} has {len(problems)} faulty boxes: repair them; preparing leaves them out"
        )


@command.command()
@click.argument("name")
@_SPLIT
@click.option("--count", default=6, show_default=True, help="Number of examples.")
@click.option("--out", type=OUT_FILE, help="Picture to write (default: NAME-SPLIT.png).")
def show(name: str, split: str, count: int, out: Path | None) -> None:
    """Draw examples: images, labels, overlays and class shares."""
    from nas_tf.data.example_sheet import save_sheet, sheet

    path = drawable(out or Path(f"{run_name(name)}-{split}.png"))
    path.parent.mkdir(parents=True, exist_ok=True)
    with Console(stderr=True).status(f"Drawing {escape(name)} ..."):
        save_sheet(sheet(name, split, count), path)
    click.echo(f"wrote {path}")


@command.command()
@click.argument("name")
@_SPLIT
@click.option("--target", help="label, depth or keypoints (default: the data set's first).")
@click.option("--stage", default="stage_one", show_default=True, help="Stage whose view is taken.")
@click.option("--crop", type=SizeType(), help="Size of a view, if the data set has no preset.")
@click.option(
    "--views",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Number of views of each image.",
)
@click.option("--seed", type=int, default=1, show_default=True, help="Seed of the views.")
@ENCODER
@click.option("--alpha", type=float, help="Width of the encoder.")
@click.option(
    "--weights",
    metavar="imagenet|drawn|FILE",
    default="imagenet",
    show_default=True,
    help="Weights of the encoder.",
)
@click.option("--single-precision", is_flag=True, help="Store float32 instead of float16.")
def cache(name: str, split: str, views: int, seed: int, **options: Any) -> None:
    """Compute and store the encoder's features of a split, for searches."""
    from nas_tf import networks
    from nas_tf.data.examples import Examples
    from nas_tf.data.presets import preset
    from nas_tf.training.split_cache import cache_split
    from nas_tf.training.task_settings import task_of

    examples = Examples(name, split)
    task = task_of(examples.info, options["target"])
    view = preset(name, options["stage"], options["crop"])
    encoder = networks.encoder(
        **given(encoder=options["encoder"]),
        input_size=view.crop,
        alpha=options["alpha"],
        weights=options["weights"],
    )
    console = Console(stderr=True)
    shown = Progress.get_default_columns()
    with Progress(*shown, console=console, disable=not console.is_terminal) as bar:
        encoding = bar.add_task("encoding", total=None)
        done = cache_split(
            examples,
            task,
            view,
            encoder,
            views=views,
            seed=seed,
            single_precision=options["single_precision"],
            starting=lambda size: console.print(f"writing {size / 2**20:.0f} MiB"),
            progress=lambda rows, total: bar.update(encoding, completed=rows, total=total),
        )
        bar.update(encoding, completed=done.rows_stored, total=done.rows_stored)
    click.echo(
        f"{name} {split}: {len(done)} images x {done.views} views, "
        f"{done.size / 2**20:.0f} MiB in {done.folder}"
    )


@command.command()
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option(
    "--unused-for",
    "days",
    type=click.IntRange(0),
    metavar="DAYS",
    help="Only those that no command has requested for this number of days.",
)
@click.option("--remove", is_flag=True, help="Remove them, after a question.")
@click.option("--yes", is_flag=True, help="Remove them without a question.")
def features(names: tuple[str, ...], days: int | None, remove: bool, yes: bool) -> None:
    """List the cached features, the last used first; remove them.

    Features that were removed are computed again when a command needs them.

    \b
    nas-tf data features
    nas-tf data features --unused-for 30 --remove
    """
    from nas_tf.jobs import feature_caches

    if remove and not names and days is None:
        raise ConfigError("--remove has no features, expected NAME or --unused-for DAYS")
    found = feature_caches.find(names, unused_days=days or 0)
    if not remove:
        tables.console().print(_table_of_features(found))
    for item in found if remove else ():
        size = tables.size(item.size)
        if yes or click.confirm(
            f"Remove {item.name} of {item.data or 'an incomplete build'} ({size})?"
        ):
            feature_caches.remove(item)
            click.echo(f"removed {item.name}, {size}")


def _table_of_features(found: "Sequence[Features]") -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("name", "data", "crop", "views", "size", "used"):
        table.add_column(name, justify="right" if name in ("views", "size", "used") else "left")
    for item in found:
        ago = duration(max(0.0, time.time() - item.used))
        size = tables.size(item.size)
        about = (item.data, item.crop, str(item.views)) if item.data else ("incomplete", "", "")
        table.add_row(item.name, *about, size, f"{ago} ago")
    return table


def _print_split(split: "SplitReport") -> None:
    """Prints the number of examples, the published number if it differs, and the faults."""
    published = ""
    if split.expected is not None and split.expected != split.count:
        published = f" (published: {split.expected})"
    broken = len(split.problems) - split.faulty_boxes
    faulty = f", {split.faulty_boxes} faulty boxes" if split.faulty_boxes else ""
    click.echo(f"{split.split}: {split.count} examples{published}, {broken} broken{faulty}")


def _histogram(report: "Report") -> Table:
    """Returns a table of each class's share of the labelled pixels in per cent, and its boxes."""
    table, columns = Table("class", box=None, pad_edge=False), []
    rows = [f"{index} {escape(name)}" for index, name in enumerate(report.info.classes)]
    if "label" in report.info.targets:
        rows.append(f"{report.info.ignore_label} ignored")
    for name, split in report.splits.items():
        for key, counts in split.counts.items():
            if key == "label":
                unit, shares = "%", (f"{100 * share:.2f}" for share in split.shares)
                columns.append([*shares, f"{split.ignored:,} px"])
            else:
                unit = key
                columns.append([f"{count:,}" for count in counts[:-1]])
            table.add_column(f"{name} {unit}", justify="right")
    for cells in zip_longest(rows, *columns, fillvalue=""):
        table.add_row(*cells)
    return table
