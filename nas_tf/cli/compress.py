"""``nas-tf compress``: quantise, prune or cluster a trained network by fine-tuning it."""

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
    from nas_tf.cli.trained import Found
    from serving.compress import FineTuning
    from serving.parity import Parity
    from serving.shipment import Shipment

_SAMPLES, _ROUNDS = 100, 3
_TIMES = ("ms, 1 thread", "ms, 2 threads")


@click.group("compress")
def command() -> None:
    """Quantise, prune or cluster a trained network by fine-tuning it.

    The result is a folder like that of a training, which nas-tf export accepts. A table compares
    the network before and after, both as int8 TFLite.

    \b
    nas-tf compress qat runs/camvid_auxcell-arch0
    nas-tf compress prune runs/camvid_auxcell-arch0 --sparsity 0.6 --steps 500
    nas-tf compress cluster runs/camvid_auxcell-ppo --trial 17 --clusters 32
    """


def _shared(rate: float) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """The options of all ways, with the learning rate that suits one."""
    return lambda run: _with_options(run, rate)


def _with_options(run: Callable[..., None], rate: float) -> Callable[..., None]:
    for one in reversed(
        (
            click.argument("source", metavar="RUN"),
            click.option(
                "--out",
                type=options.OUT_FOLDER,
                help="runs/NAME-qat, -pruned or -clustered if not given.",
            ),
            click.option("--trial", help="Trial of a search (default: the best)."),
            click.option(
                "--weights", type=click.Choice(["last", "best"]), default="last", show_default=True
            ),
            options.INPUT,
            click.option("--steps", type=click.IntRange(1), default=200, show_default=True),
            click.option("--batch", type=click.IntRange(1), default=8, show_default=True),
            click.option(
                "--rate",
                type=click.FloatRange(0.0, min_open=True),
                default=rate,
                show_default=True,
                help="Initial learning rate; it decays to zero.",
            ),
            click.option("--seed", type=int, default=1, show_default=True),
            click.option(
                "--check",
                type=click.IntRange(1),
                default=100,
                show_default=True,
                help="Images of the validation split that before and after are compared on.",
            ),
        )
    ):
        run = one(run)
    return run


@command.command("qat")
@_shared(rate=1e-5)
def qat(**given: Any) -> None:
    """Train with weights and activations rounded to 8 bits."""
    _run("qat", lambda one, tuning: _ways().quantised(one, tuning), **given)


@command.command("prune")
@click.option(
    "--sparsity",
    type=click.FloatRange(0.0, 1.0, min_open=True, max_open=True),
    default=0.5,
    show_default=True,
    help="Share of kernel values that become zero.",
)
@_shared(rate=1e-4)
def prune(sparsity: float, **given: Any) -> None:
    """Make kernels sparse, so that files pack smaller."""
    _run("pruned", lambda one, tuning: _ways().pruned(one, tuning, sparsity=sparsity), **given)


@command.command("cluster")
@click.option(
    "--clusters",
    type=click.IntRange(2, 256),
    default=16,
    show_default=True,
    help="Values that each kernel is made of.",
)
@_shared(rate=1e-4)
def cluster(clusters: int, **given: Any) -> None:
    """Make kernels of a few values each, so that files pack smaller."""
    _run(
        "clustered", lambda one, tuning: _ways().clustered(one, tuning, clusters=clusters), **given
    )


def _ways() -> Any:
    from serving import compress

    return compress


def _run(
    kind: str,
    way: "Callable[[Shipment, FineTuning], Shipment]",
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
        raise ConfigError(_there(out))
    found = trained.find(source, trial=trial, which=weights, size=input_size)
    folder = out or Path("runs") / f"{found.shipment.name}-{kind}"
    if folder.exists():
        raise ConfigError(_there(folder))
    stream, console = found.stream(batch, seed), Console(stderr=True)
    with console.status("looking at the network as it is ..."):
        comparison = _Comparison(found, check)
    with live_line(console) as line:
        line.start(f"fine-tuning {found.shipment.name}", steps)
        tuning = FineTuning(stream, steps, rate, line.at)
        done = replace(found, shipment=way(found.shipment, tuning))
    trained.save_network(done, folder)
    with console.status(f"comparing on {check} images of {found.config.data.val_split} ..."):
        told, result = comparison.told(done)
    split = found.config.data.val_split
    trained.add_result(folder, {"result": result, "split": split, "images": comparison.images})
    tables.console().print(told)
    tables.console().print(f"wrote {folder}", highlight=False, markup=False, soft_wrap=True)


def _there(folder: Path) -> str:
    return f"{folder} exists, expected another --out (nas-tf score and export take what is there)"


class _Comparison:
    """A network as int8 TFLite before and after; whatever could fail of it fails before."""

    def __init__(self, found: "Found", count: int) -> None:
        from nas_tf.data.whole_pictures import WholePictures

        self._samples = list(found.samples(_SAMPLES))
        self._pictures = found.pictures(found.config.data.val_split, count)
        whole = isinstance(self._pictures, WholePictures)
        batches = (len(images) for images, _ in (() if whole else self._pictures))
        self.images = len(self._pictures) if whole else sum(batches)
        self._before = found.shipment, *self._of(found.shipment)

    def told(self, after: "Found") -> tuple[Table, Mapping[str, float]]:
        """How good, large and fast both are, and the figures of the one after."""
        import tensorflow as tf

        from serving import compress, measure, parity

        both = {"before": self._before, "after": (after.shipment, *self._of(after.shipment))}
        contents = {Path(name): model for name, (_, model, _) in both.items()}
        rows = measure.time_in_turns(contents, {"TensorFlow": tf.lite}, (1, 2), _ROUNDS)
        times = {(row.name, row.threads): median(row.medians) for row in rows}
        table = Table(box=None, header_style="bold", pad_edge=False)
        table.add_column("")
        figure = parity.headline(after.shipment.task)
        figures = (figure, f"int8 {figure}")
        for name in (*figures, "zeros", "values", "int8 bytes", "packed", *_TIMES):
            table.add_column(name, justify="right")
        for name, (shipment, model, did) in both.items():
            table.add_row(
                name,
                *(f"{did[kind].result[figure]:.4f}" for kind in ("keras", "int8")),
                f"{compress.zeros(shipment):.1%}",
                f"{compress.distinct(shipment):,}",
                f"{len(model):,}",
                f"{len(gzip.compress(model, 9)):,}",
                *(f"{times[name, threads]:.1f}" for threads in (1, 2)),
            )
        return table, did["keras"].result

    def _of(self, shipment: "Shipment") -> tuple[bytes, "Mapping[str, Parity]"]:
        from serving import lite_runner, parity, tflite

        model = tflite.convert(shipment, "int8", self._samples)
        answers = {"int8": lite_runner.LiteModel(model, threads=2)}
        return model, parity.compare(shipment, answers, self._pictures)
