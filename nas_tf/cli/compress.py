"""``nas-tf compress``: quantises, prunes or clusters a trained network by fine-tuning it."""

import gzip
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.table import Table

from nas_tf.cli import options, tables
from nas_tf.errors import ConfigError

if TYPE_CHECKING:
    from nas_tf.cli.trained import LoadedNetwork
    from serving.compress import FineTuning
    from serving.parity import Parity
    from serving.shipment import Shipment

_SAMPLES, _ROUNDS = 100, 3
_LATENCY_HEADINGS = ("ms, 1 thread", "ms, 2 threads")


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


def _shared_options(rate: float) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Returns a decorator that adds the options of all methods; ``rate`` is a default."""
    return lambda run: _with_options(run, rate)


def _with_options(run: Callable[..., None], rate: float) -> Callable[..., None]:
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
@_shared_options(rate=1e-5)
def qat(**given: Any) -> None:
    """Fine-tune with weights and activations quantised to 8 bits."""
    _run("qat", lambda shipment, tuning: _methods().quantised(shipment, tuning), **given)


@command.command("prune")
@click.option(
    "--sparsity",
    type=click.FloatRange(0.0, 1.0, min_open=True, max_open=True),
    default=0.5,
    show_default=True,
    help="Share of kernel weights that become zero.",
)
@_shared_options(rate=1e-4)
def prune(sparsity: float, **given: Any) -> None:
    """Set small weights of kernels to zero, so that files compress better."""
    _run(
        "pruned",
        lambda shipment, tuning: _methods().pruned(shipment, tuning, sparsity=sparsity),
        **given,
    )


@command.command("cluster")
@click.option(
    "--clusters",
    type=click.IntRange(2, 256),
    default=16,
    show_default=True,
    help="Number of distinct values in each kernel.",
)
@_shared_options(rate=1e-4)
def cluster(clusters: int, **given: Any) -> None:
    """Limit each kernel to a few values, so that files compress better."""
    _run(
        "clustered",
        lambda shipment, tuning: _methods().clustered(shipment, tuning, clusters=clusters),
        **given,
    )


def _methods() -> Any:
    from serving import compress

    return compress


def _run(
    kind: str,
    method: "Callable[[Shipment, FineTuning], Shipment]",
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
) -> None:
    from nas_tf import quiet

    quiet.load("tensorflow")
    quiet.load("keras_tuner")
    from nas_tf.cli import trained
    from nas_tf.cli.live import live_line
    from serving.compress import FineTuning, toolkit

    toolkit()
    if out is not None and out.exists():
        raise ConfigError(_exists(out))
    network = trained.find(source, trial=trial, which=weights, size=input_size)
    folder = out or Path("runs") / f"{network.shipment.name}-{kind}"
    if folder.exists():
        raise ConfigError(_exists(folder))
    stream, console = network.stream(batch, seed), Console(stderr=True)
    with console.status("measuring the network before compression ..."):
        comparison = _Comparison(network, check)
    with live_line(console) as line:
        line.start(f"fine-tuning {network.shipment.name}", steps)
        tuning = FineTuning(stream, steps, rate, line.update)
        compressed = replace(network, shipment=method(network.shipment, tuning))
    trained.save_network(compressed, folder)
    split = network.config.data.val_split
    with console.status(f"comparing on {check} images of {split} ..."):
        table, result = comparison.compare(compressed)
    trained.add_result(folder, {"result": result, "split": split, "images": comparison.images})
    tables.console().print(table)
    tables.console().print(f"wrote {folder}", highlight=False, markup=False, soft_wrap=True)


def _exists(folder: Path) -> str:
    return f"{folder} exists, expected another --out (nas-tf evaluate and nas-tf export accept it)"


class _Comparison:
    """Compares a network as int8 TFLite before and after; conversion errors are raised before."""

    def __init__(self, network: "LoadedNetwork", count: int) -> None:
        from nas_tf.data.whole_pictures import WholePictures

        self._samples = list(network.samples(_SAMPLES))
        self._pictures = network.pictures(network.config.data.val_split, count)
        are_whole = isinstance(self._pictures, WholePictures)
        batch_sizes = (len(images) for images, _ in (() if are_whole else self._pictures))
        self.images = len(self._pictures) if are_whole else sum(batch_sizes)
        self._before = network.shipment, *self._measure(network.shipment)

    def compare(self, after: "LoadedNetwork") -> tuple[Table, Mapping[str, float]]:
        """Returns a table of accuracy, size and latency of both, and the figures after."""
        import tensorflow as tf

        from serving import compress, measure

        both = {
            "before": self._before,
            "after": (after.shipment, *self._measure(after.shipment)),
        }
        contents = {Path(name): model for name, (_, model, _) in both.items()}
        rows = measure.time_in_turns(contents, {"TensorFlow": tf.lite}, (1, 2), _ROUNDS)
        times = {(row.name, row.threads): median(row.medians) for row in rows}
        table = Table(box=None, header_style="bold", pad_edge=False)
        table.add_column("")
        figure = after.shipment.task.headline
        figures = (figure, f"int8 {figure}")
        for name in (
            *figures,
            "zeros",
            "distinct values",
            "int8 bytes",
            "gzipped",
            *_LATENCY_HEADINGS,
        ):
            table.add_column(name, justify="right")
        for name, (shipment, model, compared) in both.items():
            table.add_row(
                name,
                *(f"{compared[kind].result[figure]:.4f}" for kind in ("keras", "int8")),
                f"{compress.zeros(shipment):.1%}",
                f"{compress.distinct(shipment):,}",
                f"{len(model):,}",
                f"{len(gzip.compress(model, 9)):,}",
                *(f"{times[name, threads]:.1f}" for threads in (1, 2)),
            )
        return table, compared["keras"].result

    def _measure(self, shipment: "Shipment") -> tuple[bytes, "Mapping[str, Parity]"]:
        from serving import lite_runner, parity, tflite

        model = tflite.convert(shipment, "int8", self._samples)
        answers = {"int8": lite_runner.LiteModel(model, threads=2)}
        return model, parity.compare(shipment, answers, self._pictures)
