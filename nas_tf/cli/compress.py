"""``nas-tf compress``: quantises, prunes or clusters a trained network by fine-tuning it."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.table import Table

from nas_tf.cli import options, tables
from nas_tf.errors import ConfigError

if TYPE_CHECKING:
    from nas_tf.jobs.compression import Figures

_HEADINGS = ("zeros", "distinct values", "int8 bytes", "gzipped", "ms, 1 thread", "ms, 2 threads")


@click.group("compress")
def command() -> None:
    """Quantise, prune or cluster a trained network by fine-tuning it.

    Writes a folder that nas-tf export and nas-tf evaluate accept, like the folder of a training. A
    table compares the network before and after, both as int8 TFLite models.

    \b
    nas-tf compress qat runs/camvid_auxcell-arch0
    nas-tf compress prune runs/camvid_auxcell-arch0 --sparsity 0.6 --steps 500
    nas-tf compress cluster runs/camvid_auxcell-ppo --trial 17 --clusters 32
    """


def _shared_options(run: Callable[..., None], rate: float) -> Callable[..., None]:
    """Adds the options of all methods; ``rate`` is a default."""
    for decorator in reversed(
        (
            click.argument("source", metavar="RUN"),
            click.option(
                "--out",
                type=options.OUT_FOLDER,
                help="Folder of the result (default: runs/NAME-qat, -pruned or -clustered).",
            ),
            click.option("--trial", help="Trial of a search (default: the best)."),
            options.WEIGHTS,
            options.INPUT,
            click.option(
                "--steps",
                type=click.IntRange(1),
                default=200,
                show_default=True,
                help="Number of fine-tuning steps.",
            ),
            click.option(
                "--batch",
                type=click.IntRange(1),
                default=8,
                show_default=True,
                help="Number of images in a batch.",
            ),
            click.option(
                "--rate",
                type=click.FloatRange(0.0, min_open=True),
                default=rate,
                show_default=True,
                help="Initial learning rate; it decays to zero.",
            ),
            click.option(
                "--seed", type=int, default=1, show_default=True, help="Seed of the data order."
            ),
            click.option(
                "--check",
                type=click.IntRange(1),
                default=100,
                show_default=True,
                help="Number of validation images on which before and after are compared.",
            ),
        )
    ):
        run = decorator(run)
    return run


@command.command("qat")
@partial(_shared_options, rate=1e-5)
def qat(**given: Any) -> None:
    """Fine-tune with weights and activations quantised to 8 bits."""
    _run("qat", "quantised", **given)


@command.command("prune")
@click.option(
    "--sparsity",
    type=click.FloatRange(0.0, 1.0, min_open=True, max_open=True),
    default=0.5,
    show_default=True,
    help="Share of kernel weights that become zero.",
)
@partial(_shared_options, rate=1e-4)
def prune(**given: Any) -> None:
    """Set small weights of kernels to zero, so that files compress better."""
    _run("pruned", "pruned", **given)


@command.command("cluster")
@click.option(
    "--clusters",
    type=click.IntRange(2, 256),
    default=16,
    show_default=True,
    help="Number of distinct values in each kernel.",
)
@partial(_shared_options, rate=1e-4)
def cluster(**given: Any) -> None:
    """Limit each kernel to a few values, so that files compress better."""
    _run("clustered", "clustered", **given)


def _run(
    kind: str,
    method: str,
    *,
    source: str,
    out: Path | None,
    trial: str | None,
    weights: str,
    input_size: tuple[int, int] | None,
    steps: int,
    batch: int,
    rate: float,
    seed: int,
    check: int,
    **settings: Any,
) -> None:
    from nas_tf.cli.live import live_line
    from nas_tf.jobs import compression, trained
    from serving import compress

    compress.toolkit()
    if out is not None and out.exists():
        raise ConfigError(_exists(out))
    network = trained.find(source, trial=trial, which=weights, size=input_size)
    folder = out or Path("runs") / f"{network.shipment.name}-{kind}"
    if folder.exists():
        raise ConfigError(_exists(folder))
    stream, console = network.stream(batch, seed), Console(stderr=True)
    with console.status("measuring the network before compression ..."):
        comparison = compression.Comparison(network, check)
    with live_line(console) as line:
        line.start(f"fine-tuning {network.shipment.name}", steps)
        tuning = compress.FineTuning(stream, steps, rate, line.update)
        shipment = getattr(compress, method)(network.shipment, tuning, **settings)
        compressed = replace(network, shipment=shipment)
    trained.save_network(compressed, folder)
    split = network.config.data.val_split
    with console.status(f"comparing on {check} images of {split} ..."):
        compared = comparison.compare(compressed)
    result = {"result": compared["after"].keras, "split": split, "images": comparison.images}
    trained.add_result(folder, result)
    tables.console().print(_table(compared, network.shipment.task.headline))
    tables.console().print(f"wrote {folder}", highlight=False, markup=False, soft_wrap=True)


def _exists(folder: Path) -> str:
    return f"{folder} exists, expected another --out (nas-tf evaluate and nas-tf export accept it)"


def _table(compared: "Mapping[str, Figures]", figure: str) -> Table:
    """Returns a table of accuracy, size and latency before and after."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("")
    for name in (figure, f"int8 {figure}", *_HEADINGS):
        table.add_column(name, justify="right")
    for name, figures in compared.items():
        table.add_row(
            name,
            *(f"{result[figure]:.4f}" for result in (figures.keras, figures.int8)),
            f"{figures.zeros:.1%}",
            f"{figures.distinct:,}",
            f"{figures.bytes:,}",
            f"{figures.gzipped:,}",
            *(f"{latency:.1f}" for latency in figures.latency_ms.values()),
        )
    return table
