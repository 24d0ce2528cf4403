"""``nas-tf evaluate``: evaluates a trained or exported network on a split of a data set."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

from nas_tf.cli import options, tables
from nas_tf.errors import ConfigError

if TYPE_CHECKING:
    from nas_tf.jobs.scoring import Score


@click.command("evaluate")
@click.argument("source", metavar="RUN|MODEL")
@click.option("--data", metavar="NAME", help="Data set (default: that of the training).")
@click.option("--split", default="val", show_default=True, help="Split of the data set.")
@click.option(
    "--scales",
    default="1",
    show_default=True,
    help="Scales whose predictions are averaged, boxes merged, such as 0.75,1,1.25 (RUN only).",
)
@click.option(
    "--flip",
    is_flag=True,
    help="Average with the predictions of mirrored images, or merge the boxes (RUN only).",
)
@options.TRIAL
@options.WEIGHTS
@options.INPUT
@click.option("--out", type=options.OUT_FILE, help="JSON file of the figures.")
def command(
    source: str,
    data: str | None,
    split: str,
    scales: str,
    flip: bool,
    trial: str | None,
    weights: str,
    input_size: tuple[int, int] | None,
    out: Path | None,
) -> None:
    """Evaluate a network on a split of its data set, or of another with the same classes.

    RUN is the folder of a training, a compression or a search. MODEL is a TFLite file or a version
    of a SavedModel that `nas-tf export` wrote; it is scored at its own input size.

    \b
    nas-tf evaluate runs/camvid_auxcell-arch0 --split test
    nas-tf evaluate runs/camvid_auxcell-arch0 --scales 0.75,1,1.25 --flip
    nas-tf evaluate exports/street/street-int8.tflite --split test --out int8.json
    """
    sizes, path = _scales(scales), Path(source)
    parts = ("saved_model.pb", "assets")
    is_export = path.suffix == ".tflite" or any((path / part).exists() for part in parts)
    if is_export and (input_size or flip or sizes != (1.0,) or trial or weights != "last"):
        raise ConfigError(
            f"{source} is an exported model, expected none of --input, --scales, --flip, --trial "
            "and --weights"
        )
    from nas_tf import files
    from nas_tf.cli.live import live_line
    from nas_tf.config.schema import Evaluation
    from nas_tf.jobs import scoring, trained

    with live_line(Console(stderr=True)) as line:

        def progress(done: int, total: int) -> None:
            line.rows(f"scoring {source}", done, total)

        if is_export:
            scored = scoring.evaluate_exported(path, split, data=data, progress=progress)
        else:
            _refuse_export_folder(path)
            scored = scoring.evaluate(
                trained.find(source, trial=trial, which=weights),
                split,
                data=data,
                size=input_size,
                evaluation=Evaluation(scales=sizes, flip=flip),
                progress=progress,
            )
    _print(scored, _averaging(sizes, flip))
    if out is not None:
        record = {**_record(source, scored), "scales": list(sizes), "flip": flip}
        files.write(out, json.dumps(record, indent=1) + "\n")


def _print(scored: "Score", averaging: str) -> None:
    console = tables.console()
    console.print(tables.figures(scored.table))
    text = ", ".join(f"{key} {value:.4f}" for key, value in scored.result.items())
    trial = f"trial {scored.trial} on " if scored.trial is not None else ""
    console.print(
        f"{trial}{scored.data} {scored.split}, {scored.images} images, {scored.view}{averaging}: "
        f"{text}",
        markup=False,
    )


def _record(source: str, scored: "Score") -> dict[str, Any]:
    """Returns the entries of the file of figures."""
    record: dict[str, Any] = {"source": source, "data": scored.data, "split": scored.split}
    record |= {"images": scored.images, "size": list(scored.size), "seen": scored.view}
    if scored.trial is not None:
        record["trial"] = scored.trial
    return record | {"result": dict(scored.result), "table": scored.table}


def _refuse_export_folder(folder: Path) -> None:
    """Raises ConfigError for a folder of exported models, and names the models."""
    from nas_tf.runs import filenames
    from nas_tf.training.full_run import GENOTYPE
    from serving import saved_model

    models = saved_model.inside(folder)
    if models and not any((folder / name).exists() for name in (GENOTYPE, filenames.RUN)):
        raise ConfigError(
            f"{folder} is a folder of exported models, expected one of them: "
            + ", ".join(map(str, models))
        )


def _averaging(sizes: tuple[float, ...], flip: bool) -> str:
    """Describes the scales and mirror images that are averaged, if there are any."""
    text = ", ".join(f"{scale:g}" for scale in sizes)
    scaled = "" if text == "1" else f", scales {text}"
    return scaled + (", mirror images too" if flip else "")


def _scales(text: str) -> tuple[float, ...]:
    try:
        sizes = tuple(float(scale) for scale in text.split(","))
    except ValueError:
        sizes = ()
    if not sizes or not all(0.1 <= size <= 4 for size in sizes):
        raise ConfigError(
            f"--scales is {text!r}, expected numbers from 0.1 to 4, such as 0.75,1,1.25"
        )
    return sizes
