"""``nas-tf export``: a network as what phones, boards and servers run."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.table import Table

from nas_tf.cli import options, tables
from nas_tf.errors import ConfigError, DataError

if TYPE_CHECKING:
    from nas_tf.cli.shipping import Found
    from serving.parity import Parity

FORMATS = ("savedmodel", "fp32", "fp16", "int8", "onnx")
_GROUPS = {"tflite": FORMATS[1:4]}
_SAMPLES, _MOST_LOST = 100, 0.01
_THREADS, _ROUNDS = (1, 2), 3


@click.command("export")
@click.argument("source", metavar="RUN|GENOTYPE")
@options.OVERRIDES
@click.option("--to", "formats", default="savedmodel,tflite", show_default=True)
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="exports/NAME.")
@click.option("--config", metavar="NAME|FILE", help="Of a genotype.")
@click.option("--trial", help="Of a search; the best one if not given.")
@click.option("--weights", type=click.Choice(["last", "best"]), default="last", show_default=True)
@options.INPUT
@click.option("--version", type=int, help="Of the SavedModel; the next one if not given.")
@click.option(
    "--check",
    type=click.IntRange(0),
    default=40,
    show_default=True,
    help="Images that all formats are compared on; 0 for none.",
)
def command(
    source: str,
    overrides: tuple[str, ...],
    formats: str,
    out: Path | None,
    config: str | None,
    trial: str | None,
    weights: str,
    input_size: tuple[int, int] | None,
    version: int | None,
    check: int,
) -> None:
    """Export the network of RUN, a training's or a search's folder, and compare all formats.

    Formats are savedmodel, for TF Serving; fp32, fp16 and int8, of TFLite, together tflite; and
    onnx, for a Jetson. A GENOTYPE is exported with random weights, to see how fast it is.

    \b
    nas-tf export runs/camvid_auxcell-arch0
    nas-tf export runs/camvid_auxcell-ppo --trial 17 --to savedmodel,int8 --input 256x320
    nas-tf export arch0 --config camvid_auxcell --to tflite --check 0
    """
    wanted = _formats(formats)
    from nas_tf import quiet

    quiet.load("tensorflow")
    quiet.load("keras_tuner")
    from nas_tf.cli import shipping

    found = shipping.find(
        source,
        config=config,
        overrides=overrides,
        trial=trial,
        which=weights,
        size=input_size,
    )
    folder = out or Path("exports") / found.shipment.name
    console = Console(stderr=True)
    written = _write(found, folder, wanted, version, console)
    compared = _compare(found, written, check, console) if check else {}
    _tell(written, compared)


def _formats(text: str) -> list[str]:
    wanted: list[str] = []
    for name in text.split(","):
        for one in _GROUPS.get(name, (name,)):
            if one not in FORMATS:
                raise ConfigError(
                    f"format {one!r} is unknown, expected some of {', '.join(FORMATS)}, tflite"
                )
            wanted.append(one)
    return [one for one in FORMATS if one in wanted]


@dataclass(frozen=True)
class _Written:
    """One format: where it is, and what answers images by it."""

    path: Path
    answers: Callable[..., Any]


def _write(
    found: "Found", folder: Path, wanted: list[str], version: int | None, console: Console
) -> dict[str, _Written]:
    from nas_tf.runs.layout import write_whole_bytes
    from serving import deployment, lite_runner, onnx, saved_model, tflite

    paths = {one: folder / _file(found.shipment.name, one) for one in wanted}
    for path in paths.values():
        if path.is_file():
            raise ConfigError(f"{path} exists, expected another --out")
    samples = list(found.samples(_SAMPLES)) if "int8" in wanted else []
    written = {}
    for one, path in paths.items():
        with console.status(f"writing {one} ..."):
            if one == "savedmodel":
                path = saved_model.write(found.shipment, path, version=version)
                written[one] = _Written(path, saved_model.answers(path))
                continue
            if one == "onnx":
                content = onnx.convert(found.shipment)
                write_whole_bytes(path, content)
                deployment.write_jetson(path)
                written[one] = _Written(path, onnx.OnnxModel(content, found.shipment))
                continue
            content = tflite.convert(found.shipment, one, samples)
            write_whole_bytes(path, content)
            written[one] = _Written(path, lite_runner.LiteModel(content, threads=2))
    return written


def _file(name: str, one: str) -> str:
    return {"savedmodel": "savedmodel", "onnx": f"{name}.onnx"}.get(one, f"{name}-{one}.tflite")


def _compare(
    found: "Found", written: dict[str, _Written], count: int, console: Console
) -> "dict[str, Parity]":
    from serving import parity

    split = found.config.data.val_split
    answers = {name: one.answers for name, one in written.items()}
    try:
        with console.status(f"comparing on {count} images of {split} ..."):
            compared = parity.compare(found.shipment, answers, found.examples(split, count))
    except DataError as error:
        console.print(f"not compared: {error}", highlight=False, markup=False, soft_wrap=True)
        return {}
    if warning := lost_by_int8(compared):
        console.print(warning, highlight=False, soft_wrap=True)
    return compared


def lost_by_int8(compared: "Mapping[str, Parity]") -> str:
    """A line where int8 loses more than a point of reward; nothing where it does not."""
    if "int8" not in compared:
        return ""
    lost = compared["keras"].reward - compared["int8"].reward
    if lost <= _MOST_LOST:
        return ""
    return f"take care: int8 loses {100 * lost:.1f} points of reward; nas-tf compress qat may help"


def _tell(written: dict[str, _Written], compared: "dict[str, Parity]") -> None:
    """A row a format: how large, how fast by each runtime here, how good, and where it is."""
    from serving import lite_runner, timing_rounds

    runtimes = lite_runner.runtimes()
    paths = [one.path for one in written.values() if one.path.suffix == ".tflite"]
    contents = {path: path.read_bytes() for path in paths}
    times: dict[tuple[str, str], list[str]] = {}
    for row in timing_rounds.measure(contents, runtimes, _THREADS, _ROUNDS):
        times.setdefault((row.name, row.runtime), []).append(f"{median(row.medians):.1f}")
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("format")
    for name in ("bytes", *(f"{runtime}, ms" for runtime in runtimes), "reward", "like Keras"):
        table.add_column(name, justify="right")
    table.add_column("")
    for name in ["keras"] * bool(compared) + list(written):
        one, did = written.get(name), compared.get(name)
        cells = [f"{_size(one.path):,}" if one else ""]
        for runtime in runtimes:
            own = times.get((one.path.name, runtime), []) if one else []
            cells.append(" / ".join(own))
        cells += [f"{did.reward:.4f}", f"{did.agreement:.2%}"] if did else ["", ""]
        table.add_row(name, *cells, str(one.path) if one else "")
    tables.console().print(table)
    if times:
        tables.console().print("milliseconds are medians with 1 / 2 threads, in turns")


def _size(path: Path) -> int:
    return sum(part.stat().st_size for part in (path, *path.rglob("*")) if part.is_file())
