"""``nas-tf export``: exports a network for phones, boards and servers, and compares formats."""

import os
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from types import ModuleType
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from nas_tf.cli import completion, options, tables, timing
from nas_tf.errors import ConfigError, DataError

if TYPE_CHECKING:
    from nas_tf.input_geometry import InputGeometry
    from nas_tf.jobs.trained import LoadedNetwork
    from serving.parity import Parity

FORMATS = ("savedmodel", "fp32", "fp16", "int8", "onnx", "onnx-deformconv")
_GROUPS = {"tflite": FORMATS[1:4]}
_ACCEPTED_LOSS = 0.01
_THREADS, _ROUNDS = (1, 2), 3


@click.command("export")
@click.argument("source", metavar="RUN|GENOTYPE", shell_complete=completion.genotypes)
@options.OVERRIDES
@click.option(
    "--to",
    "formats",
    default="savedmodel,tflite",
    show_default=True,
    help="Formats, separated by commas.",
)
@click.option(
    "--out", type=options.OUT_FOLDER, help="Folder of the exports (default: exports/NAME)."
)
@click.option("--config", "config_name", metavar="NAME|FILE", help="Configuration of a GENOTYPE.")
@options.TRIAL
@options.WEIGHTS
@options.INPUT
@click.option("--version", type=int, help="Version of the SavedModel (default: the next).")
@click.option(
    "--check",
    type=click.IntRange(0),
    default=40,
    show_default=True,
    help="Number of validation images on which the formats are compared; 0 for none.",
)
def command(
    source: str,
    overrides: tuple[str, ...],
    formats: str,
    out: Path | None,
    config_name: str | None,
    trial: str | None,
    weights: str,
    input_size: tuple[int, int] | None,
    version: int | None,
    check: int,
) -> None:
    """Export the network of RUN, a training or a search, and compare all formats.

    The formats are savedmodel for TF Serving; fp32, fp16 and int8 for TFLite, or tflite for all
    three; and onnx for a Jetson, or onnx-deformconv, in which deformable convolutions are nodes of
    their own. A GENOTYPE is exported with random weights, to measure its speed.

    \b
    nas-tf export runs/camvid_auxcell-arch0
    nas-tf export runs/camvid_auxcell-ppo --trial 17 --to savedmodel,int8 --input 256x320
    nas-tf export arch0 --config shapes_auxcell --to tflite --check 0
    """
    wanted = _formats(formats)
    if config_name is None and not os.path.exists(source):
        raise ConfigError(
            f"{source} is not a folder, expected one that nas-tf train or nas-tf search wrote, "
            "or a genotype with --config"
        )
    from nas_tf.jobs import exports, trained

    network = trained.find(
        source,
        config_name=config_name,
        overrides=overrides,
        trial=trial,
        which=weights,
        size=input_size,
    )
    folder = out or Path("exports") / network.shipment.name
    console = Console(stderr=True)
    with console.status("preparing ...") as status:
        written = exports.write(
            network,
            folder,
            wanted,
            version=version,
            on_format=lambda kind: status.update(f"writing {kind} ..."),
        )
    compared = _compare(network, written, check, console) if check else {}
    _print_table(written, compared, network.shipment.task.headline)
    for line in remarks(written, compared, network.shipment.geometry):
        tables.console().print(line)


def remarks(
    written: "Mapping[str, Path]", compared: "Mapping[str, Parity]", geometry: "InputGeometry"
) -> list[str]:
    """Returns what the formats cost in PSNR, and whether the borders of tiles may show."""
    found, least = [], geometry.least_side
    if "psnr" in (compared["keras"].result if compared else {}):
        figures = {name: parity.result["psnr"] for name, parity in compared.items()}
        reference = figures.pop("keras")
        costs = ", ".join(
            f"{name} {round(reference - value, 2) + 0.0:.2f}" for name, value in figures.items()
        )
        found.append(f"PSNR of the Keras model: {reference:.2f} dB; dB that formats cost: {costs}")
    if any(path.suffix == ".tflite" for path in written.values()) and min(geometry.size) < least:
        found.append(
            f"tiles of {'x'.join(map(str, geometry.size))} share less than the {geometry.margin} "
            f"pixels that the network reads on each side, expected --input {least}x{least} or "
            "larger for pictures without borders of tiles"
        )
    return found


def _formats(text: str) -> list[str]:
    wanted: list[str] = []
    for name in text.split(","):
        for kind in _GROUPS.get(name, (name,)):
            if kind not in FORMATS:
                raise ConfigError(
                    f"format {kind!r} is unknown, expected some of {', '.join(FORMATS)}, tflite"
                )
            wanted.append(kind)
    return [kind for kind in FORMATS if kind in wanted]


def _compare(
    network: "LoadedNetwork", written: dict[str, Path], count: int, console: Console
) -> "dict[str, Parity]":
    from nas_tf.jobs import exports

    try:
        with console.status(f"comparing on {count} images of {network.config.data.val_split} ..."):
            compared = exports.compare(network, written, count)
    except DataError as error:
        console.print(
            f"formats are not compared: {error}", highlight=False, markup=False, soft_wrap=True
        )
        return {}
    if warning := int8_warning(compared, network.shipment.task.headline):
        console.print(warning, highlight=False, soft_wrap=True)
    return compared


def int8_warning(compared: "Mapping[str, Parity]", figure: str) -> str:
    """Returns a warning if int8 loses more than a point of a figure, else an empty text."""
    if "int8" not in compared:
        return ""
    lost = compared["keras"].result[figure] - compared["int8"].result[figure]
    if lost <= _ACCEPTED_LOSS:
        return ""
    return f"warning: int8 loses {100 * lost:.1f} points of {figure}; nas-tf compress qat may help"


def _print_table(written: dict[str, Path], compared: "dict[str, Parity]", figure: str) -> None:
    """Prints a row per format: size, latency in each runtime, accuracy and path."""
    from serving import lite_runner

    runtimes = lite_runner.runtimes()
    times = _times(written, runtimes)
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("format")
    closeness = list(compared["keras"].closeness) if compared else []
    heads = ("bytes", *(f"{runtime}, ms" for runtime in runtimes), figure, "points", "agreement")
    for name in (*heads, *closeness):
        table.add_column(name, justify="right")
    table.add_column("")
    for name in ["keras"] * bool(compared) + list(written):
        path, cells = written.get(name), ["", "", "", *([""] * len(closeness))]
        if name in compared:
            value = compared[name].result[figure]
            difference = 100 * (value - compared["keras"].result[figure])
            points = "" if name == "keras" else f"{difference:+.2f}"
            cells = [f"{value:.4f}", points, f"{compared[name].agreement:.2%}"]
            cells += [f"{compared[name].closeness[key]:.4f}" for key in closeness]
        table.add_row(
            name,
            f"{_size(path):,}" if path else "",
            *(
                " / ".join(times.get((path.name, runtime), ())) if path else ""
                for runtime in runtimes
            ),
            *cells,
            escape(str(path or "")),
        )
    tables.console().print(table)
    if absent := [name for name in written if compared and name not in compared]:
        tables.console().print(f"{', '.join(absent)}: not compared, since no runtime here runs it")
    if compared:
        tables.console().print(
            f"points: difference in {figure} from the Keras model; agreement: share of matching "
            "predictions"
        )
    if "box_iou" in closeness:
        tables.console().print("box_iou: mean overlap of matching boxes with the Keras model's")
    if times:
        tables.console().print("ms: medians with 1 / 2 threads, measured in turns")


def _times(
    written: dict[str, Path], runtimes: "Mapping[str, ModuleType]"
) -> dict[tuple[str, str], list[str]]:
    """Returns each TFLite model's medians in each runtime, one per number of threads."""
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
