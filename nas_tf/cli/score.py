"""``nas-tf score``: the task's figures of a trained or exported network on a split."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec
from rich.console import Console

from nas_tf.cli import options, tables
from nas_tf.errors import ConfigError, DataError

if TYPE_CHECKING:
    from nas_tf.config.schema import Evaluation
    from nas_tf.config.schema import Task as Settings
    from nas_tf.tasks import Metrics, Task

_BATCH = 8


@click.command("score")
@click.argument("source", metavar="RUN|MODEL")
@click.option("--data", metavar="NAME", help="Data set (default: that of the training).")
@click.option("--split", default="val", show_default=True)
@click.option(
    "--scales",
    default="1",
    show_default=True,
    help="Scales to average over, such as 0.75,1,1.25 (RUN only).",
)
@click.option("--flip", is_flag=True, help="Average with mirror images (RUN only).")
@click.option("--trial", help="Trial of a search (default: the best).")
@click.option("--weights", type=click.Choice(["last", "best"]), default="last", show_default=True)
@options.INPUT
@click.option("--out", type=options.OUT_FILE, help="JSON file for the figures.")
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
    """Score a network on a split of its data set, or of another with the same classes.

    RUN is the folder of a training, a compression or a search. MODEL is a TFLite file or a
    SavedModel's version that `nas-tf export` wrote; it is scored at its own size.

    \b
    nas-tf score runs/camvid_auxcell-arch0 --split test
    nas-tf score runs/camvid_auxcell-arch0 --scales 0.75,1,1.25 --flip
    nas-tf score exports/street/street-int8.tflite --split test --out int8.json
    """
    sizes, path = _scales(scales), Path(source)
    parts = ("saved_model.pb", "assets")
    is_export = path.suffix == ".tflite" or any((path / part).exists() for part in parts)
    if is_export and (input_size or flip or sizes != (1.0,) or trial or weights != "last"):
        raise ConfigError(
            f"{source} is an exported model, expected none of --input, --scales, --flip, --trial "
            "and --weights"
        )
    from nas_tf import quiet

    quiet.load("tensorflow")
    quiet.load("keras_tuner")
    from nas_tf.cli import trained
    from nas_tf.config.schema import Evaluation
    from nas_tf.runs.files import write_atomically

    if is_export:
        asked = _of_model(path, data, split)
    else:
        _refuse_export(path)
        found = trained.find(source, trial=trial, which=weights)
        how = Evaluation(batch=_BATCH, scales=sizes, flip=flip)
        asked = _of_run(found, data, split, how, input_size)
    told = _tell(source, split, asked)
    if out is not None:
        told = {"source": source, **told, "scales": list(sizes), "flip": flip}
        write_atomically(out, json.dumps(told, indent=1) + "\n")


def _refuse_export(folder: Path) -> None:
    """Raises where a folder holds several models, of which one is to be named."""
    from nas_tf.runs import files
    from nas_tf.training.full_run import GENOTYPE
    from serving import saved_model

    there = saved_model.inside(folder)
    if there and not any((folder / one).exists() for one in (GENOTYPE, files.RUN)):
        raise ConfigError(
            f"{folder} is a folder of exported models, expected one of them: "
            + ", ".join(map(str, there))
        )


@dataclass(frozen=True)
class _Asked:
    """What is scored.

    Args:
        score: Gathers the figures; it is given what to call with the number of pictures done.
        seen: How pictures are seen, in words.
        trial: Whose network it is, where it is a search's.
        how: By what more than one look at every image, in words.
    """

    score: Callable[[Callable[[int], None]], "Metrics"]
    data: str
    size: tuple[int, int]
    count: int
    seen: str
    trial: str | None = None
    how: str = ""


def _tell(source: str, split: str, asked: _Asked) -> dict[str, Any]:
    """Scores, prints the figures and returns them."""
    from nas_tf.cli.live import live_line

    with live_line(Console(stderr=True)) as line:
        metrics = asked.score(lambda done: line.rows(f"scoring {source}", done, asked.count))
    result, console = dict(metrics.result()), tables.console()
    console.print(tables.figures(metrics.table()))
    text = ", ".join(f"{key} {value:.4f}" for key, value in result.items())
    whose = f"trial {asked.trial} on " if asked.trial is not None else ""
    console.print(
        f"{whose}{asked.data} {split}, {asked.count} images, {asked.seen}{asked.how}: {text}"
    )
    told = {"data": asked.data, "split": split, "images": asked.count, "size": list(asked.size)}
    told["seen"] = asked.seen
    if asked.trial is not None:
        told["trial"] = asked.trial
    return told | {"result": result, "table": metrics.table()}


def _of_run(
    found: Any, data: str | None, split: str, how: "Evaluation", size: tuple[int, int] | None
) -> _Asked:
    from msgspec import structs

    from nas_tf.networks.arrays import layouts
    from nas_tf.networks.state import from_arrays
    from nas_tf.training import from_config
    from nas_tf.training.scoring import Scorer

    config = found.config
    name = data or config.data.name
    told = found.shipment.told
    names = told.get("classes") or told.get("joints")
    task = _task(name, found.shipment.task.name, names, config.task)
    config = structs.replace(config, data=structs.replace(config.data, name=name))
    size = size or from_config.geometry(config, found.shipment.size).size
    pictures = from_config.scored(config, split, size)
    draw = from_config.drawer(found.config, found.genotype, found.phase)
    parts = layouts(draw(size).deployed())
    state = from_arrays(parts, found.shipment.arrays)
    scorer = Scorer(draw, task, parts, size, how)
    return _Asked(
        lambda progress: scorer.score(state, pictures, progress),
        name,
        size,
        len(pictures),
        _seen(pictures, size),
        told["origin"].get("trial"),
        _told(how),
    )


def _seen(pictures: Any, size: tuple[int, int]) -> str:
    """How pictures are seen: whole, or through the data set's own view."""
    from nas_tf.data.whole_pictures import WholePictures

    at = "x".join(map(str, size))
    if not isinstance(pictures, WholePictures):
        return f"in the data set's own view of {at}"
    return f"whole, in windows of {at}"


def _told(how: "Evaluation") -> str:
    """Scales and mirror images, where there are any."""
    sizes = ", ".join(f"{scale:g}" for scale in how.scales)
    scaled = "" if sizes == "1" else f", scales {sizes}"
    return scaled + (", mirror images too" if how.flip else "")


def _of_model(path: Path, data: str | None, split: str) -> _Asked:
    from nas_tf.data.examples import Examples
    from nas_tf.data.presets import preset
    from nas_tf.data.whole_pictures import WholePictures
    from nas_tf.input_geometry import InputGeometry
    from nas_tf.training.scoring import Split
    from serving import images, parity

    about, ask = options.read_exported(path)
    name, geometry = data or about["data"], InputGeometry.of(about)
    names = about.get("classes") or about.get("joints")
    task = _task(name, about["task"], names, _settings(about))
    examples, metrics = Examples(name, split), task.metrics()
    if geometry.windows:
        pictures = WholePictures(examples, geometry, task.target)
    else:
        pictures = Split(examples, preset(name, "evaluate", geometry.size))

    def score(progress: Callable[[int], None]) -> "Metrics":
        done = 0
        if geometry.windows:
            for done, scored in enumerate(parity.answered(ask, pictures), 1):
                metrics.add(*scored)
                progress(done)
            return metrics
        for seen, target in pictures.batches(task, _BATCH):
            answer = parity.as_logits(task, ask(images.as_bytes(seen)))
            metrics.update(target, answer, geometry.size)
            progress(done := done + len(seen))
        return metrics

    size = geometry.size
    return _Asked(score, name, size, len(examples), _seen(pictures, size))


def _settings(about: Mapping[str, Any]) -> "Settings":
    """How the task of an exported network is scored; what an older version wrote says nothing."""
    from nas_tf.config.schema import Task as Settings

    try:
        return msgspec.convert(about["config"]["task"], Settings)
    except (KeyError, TypeError):
        return Settings()
    except msgspec.ValidationError as error:
        raise DataError(f"the exported model's record of its task is damaged: {error}") from error


def _task(data: str, kind: str, names: Sequence[str] | None, settings: "Settings") -> "Task":
    """The data set's, with the network's settings, classes and joints."""
    from nas_tf.data.registry import dataset_info
    from nas_tf.training.split_cache import task_of

    info = dataset_info(data)
    own = {"segmentation": info.classes, "pose": info.joints}.get(kind)
    if names is not None and own is not None and list(names) != list(own):
        raise ConfigError(
            f"the network was made for {len(names)} outputs ({', '.join(names)}) and {data} has "
            f"{len(own)} ({', '.join(own)}), expected a data set with those it was trained on"
        )
    return task_of(info, options.TARGETS[kind], settings)


def _scales(text: str) -> tuple[float, ...]:
    try:
        sizes = tuple(float(one) for one in text.split(","))
    except ValueError:
        sizes = ()
    if not sizes or not all(0.1 <= size <= 4 for size in sizes):
        raise ConfigError(
            f"--scales is {text!r}, expected numbers of 0.1 to 4 such as 0.75,1,1.25"
        )
    return sizes
