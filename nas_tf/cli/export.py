"""``nas-tf export``: a network as what phones, boards and servers run."""

import os
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from types import ModuleType
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.table import Table

from nas_tf import folders
from nas_tf.cli import options, tables, timing
from nas_tf.errors import ConfigError, DataError

if TYPE_CHECKING:
    import numpy as np

    from nas_tf.cli.trained import Found
    from serving.parity import Answers, Parity
    from serving.shipment import Shipment

FORMATS = ("savedmodel", "fp32", "fp16", "int8", "onnx")
_GROUPS = {"tflite": FORMATS[1:4]}
_SAMPLES, _MOST_LOST = 100, 0.01
_THREADS, _ROUNDS = (1, 2), 3


@click.command("export")
@click.argument("source", metavar="RUN|GENOTYPE")
@options.OVERRIDES
@click.option("--to", "formats", default="savedmodel,tflite", show_default=True)
@click.option(
    "--out", type=options.OUT_FOLDER, help="Folder of the exports (default: exports/NAME)."
)
@click.option("--config", metavar="NAME|FILE", help="Configuration, where a GENOTYPE is exported.")
@click.option("--trial", help="Trial of a search (default: the best).")
@click.option("--weights", type=click.Choice(["last", "best"]), default="last", show_default=True)
@options.INPUT
@click.option("--version", type=int, help="Version of the SavedModel (default: the next).")
@click.option(
    "--check",
    type=click.IntRange(0),
    default=40,
    show_default=True,
    help="Number of images on which the formats are compared; 0 for none.",
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

    Formats are savedmodel for TF Serving; fp32, fp16 and int8 for TFLite, or tflite for all three;
    and onnx for a Jetson. A GENOTYPE is exported with random weights, to measure its speed.

    \b
    nas-tf export runs/camvid_auxcell-arch0
    nas-tf export runs/camvid_auxcell-ppo --trial 17 --to savedmodel,int8 --input 256x320
    nas-tf export arch0 --config shapes_auxcell --to tflite --check 0
    """
    wanted = _formats(formats)
    if config is None and not os.path.exists(source):
        raise ConfigError(
            f"{source} is no folder, expected one that nas-tf train or nas-tf search wrote, or a "
            "genotype with --config"
        )
    from nas_tf import quiet

    quiet.load("tensorflow")
    quiet.load("keras_tuner")
    from nas_tf.cli import trained
    from serving import parity

    found = trained.find(
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
    _tell(written, compared, parity.headline(found.shipment.task))


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


def _write(
    found: "Found", folder: Path, wanted: list[str], version: int | None, console: Console
) -> dict[str, Path]:
    """All formats or none: what fails of any leaves nothing that would be in its own way."""
    from serving import staged, tflite

    finals = _places(found.shipment.name, folder, wanted, version)
    samples = list(found.samples(_SAMPLES)) if "int8" in wanted else []
    if "int8" in wanted:
        tflite.check_samples(found.shipment, samples)
    try:
        with folders.room_in(folder), staged.stage(folder) as beside:
            for one, path in finals.items():
                with console.status(f"writing {one} ..."):
                    _convert(found.shipment, one, beside / path.relative_to(folder), samples)
            for path in (*beside.glob("*.*"), *beside.glob("savedmodel/*")):
                final = folder / path.relative_to(beside)
                final.parent.mkdir(exist_ok=True)
                path.rename(final)
    except OSError as error:
        raise ConfigError(
            f"{folder} cannot be written: {error.strerror or error}, expected another --out"
        ) from error
    return finals


def _places(name: str, folder: Path, wanted: list[str], version: int | None) -> dict[str, Path]:
    """Where each format goes; raises where one is there, or a package for it is not."""
    from serving import onnx, saved_model

    found = {}
    for one in wanted:
        found[one] = path = folder / _file(name, one)
        if path.is_file():
            raise ConfigError(f"{path} exists, expected another --out")
    if "savedmodel" in wanted:
        saved_model.check_installed()
        found["savedmodel"] = saved_model.place(found["savedmodel"], version)
    if "onnx" in wanted:
        onnx.check_installed()
    return found


def _convert(shipment: "Shipment", one: str, path: Path, samples: "list[np.ndarray]") -> None:
    from nas_tf.runs.files import write_bytes_atomically
    from serving import deployment, onnx, saved_model, tflite

    if one == "savedmodel":
        saved_model.write(shipment, path.parent, version=int(path.name))
    elif one == "onnx":
        write_bytes_atomically(path, onnx.convert(shipment))
        deployment.write_jetson(path)
    else:
        write_bytes_atomically(path, tflite.convert(shipment, one, samples))


def _file(name: str, one: str) -> str:
    return {"savedmodel": "savedmodel", "onnx": f"{name}.onnx"}.get(one, f"{name}-{one}.tflite")


def _compare(
    found: "Found", written: dict[str, Path], count: int, console: Console
) -> "dict[str, Parity]":
    from serving import parity

    split = found.config.data.val_split
    answers = {one: _answers(found.shipment, one, path) for one, path in written.items()}
    try:
        with console.status(f"comparing on {count} images of {split} ..."):
            compared = parity.compare(found.shipment, answers, found.pictures(split, count))
    except DataError as error:
        console.print(f"not compared: {error}", highlight=False, markup=False, soft_wrap=True)
        return {}
    if warning := lost_by_int8(compared, parity.headline(found.shipment.task)):
        console.print(warning, highlight=False, soft_wrap=True)
    return compared


def _answers(shipment: "Shipment", one: str, path: Path) -> "Answers":
    from serving import lite_runner, onnx, saved_model

    if one == "savedmodel":
        return saved_model.answers(path)
    if one == "onnx":
        return onnx.OnnxModel(path.read_bytes(), shipment)
    return lite_runner.LiteModel(path.read_bytes(), threads=2)


def lost_by_int8(compared: "Mapping[str, Parity]", figure: str) -> str:
    """A line where int8 loses more than a point of a figure; nothing where it does not."""
    if "int8" not in compared:
        return ""
    lost = compared["keras"].result[figure] - compared["int8"].result[figure]
    if lost <= _MOST_LOST:
        return ""
    return f"warning: int8 loses {100 * lost:.1f} points of {figure}; nas-tf compress qat may help"


def _tell(written: dict[str, Path], compared: "dict[str, Parity]", figure: str) -> None:
    """A row a format: how large, how fast by each runtime here, how good, and where it is."""
    from serving import lite_runner

    runtimes = lite_runner.runtimes()
    times = _times(written, runtimes)
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("format")
    heads = ("bytes", *(f"{runtime}, ms" for runtime in runtimes), figure, "points", "like Keras")
    for name in heads:
        table.add_column(name, justify="right")
    table.add_column("")
    for name in ["keras"] * bool(compared) + list(written):
        path, cells = written.get(name), ["", "", ""]
        if compared:
            value = compared[name].result[figure]
            off = 100 * (value - compared["keras"].result[figure])
            told = "" if name == "keras" else f"{off:+.2f}"
            cells = [f"{value:.4f}", told, f"{compared[name].agreement:.2%}"]
        table.add_row(
            name,
            f"{_size(path):,}" if path else "",
            *(
                " / ".join(times.get((path.name, runtime), ())) if path else ""
                for runtime in runtimes
            ),
            *cells,
            str(path or ""),
        )
    tables.console().print(table)
    if compared:
        tables.console().print(f"points are of {figure}, more or less than the Keras model has")
    if times:
        tables.console().print("milliseconds are medians with 1 / 2 threads, in turns")


def _times(
    written: dict[str, Path], runtimes: "Mapping[str, ModuleType]"
) -> dict[tuple[str, str], list[str]]:
    """Medians of each TFLite model by each runtime, by the number of threads."""
    from serving import measure

    paths = [path for path in written.values() if path.suffix == ".tflite"]
    contents = {path: path.read_bytes() for path in paths}
    times: dict[tuple[str, str], list[str]] = {}
    with timing.warn_if_busy():
        rows = list(measure.time_in_turns(contents, runtimes, _THREADS, _ROUNDS))
    for row in rows:
        times.setdefault((row.name, row.runtime), []).append(f"{median(row.medians):.1f}")
    return times


def _size(path: Path) -> int:
    return sum(part.stat().st_size for part in (path, *path.rglob("*")) if part.is_file())
