"""``nas-tf evaluate``: evaluates a trained or exported network on a split of a data set."""

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


@click.command("evaluate")
@click.argument("source", metavar="RUN|MODEL")
@click.option("--data", metavar="NAME", help="Data set (default: that of the training).")
@click.option("--split", default="val", show_default=True, help="Split of the data set.")
@click.option(
    "--scales",
    default="1",
    show_default=True,
    help="Scales whose predictions are averaged, such as 0.75,1,1.25 (RUN only).",
)
@click.option(
    "--flip", is_flag=True, help="Average with the predictions of mirrored images (RUN only)."
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
    from nas_tf import quiet

    quiet.load("tensorflow")
    quiet.load("keras_tuner")
    from nas_tf.cli import trained
    from nas_tf.config.schema import Evaluation
    from nas_tf.runs.files import write_atomically

    if is_export:
        job = _model_job(path, data, split)
    else:
        _refuse_export_folder(path)
        network = trained.find(source, trial=trial, which=weights)
        evaluation = Evaluation(batch=_BATCH, scales=sizes, flip=flip)
        job = _run_job(network, data, split, evaluation, input_size)
    figures = _score(source, split, job)
    if out is not None:
        record = {"source": source, **figures, "scales": list(sizes), "flip": flip}
        write_atomically(out, json.dumps(record, indent=1) + "\n")


def _refuse_export_folder(folder: Path) -> None:
    """Raises ConfigError for a folder of exported models, and names the models."""
    from nas_tf.runs import files
    from nas_tf.training.full_run import GENOTYPE
    from serving import saved_model

    models = saved_model.inside(folder)
    if models and not any((folder / name).exists() for name in (GENOTYPE, files.RUN)):
        raise ConfigError(
            f"{folder} is a folder of exported models, expected one of them: "
            + ", ".join(map(str, models))
        )


@dataclass(frozen=True)
class _Job:
    """The network and the data of a score.

    Args:
        score: Computes the figures; it is called with a function that receives the number of
            finished pictures.
        data: The name of the data set.
        size: Height and width of the network's input.
        count: The number of pictures.
        view: A description of the way in which pictures are read.
        trial: The trial whose network it is, if it comes from a search.
        averaging: A description of the scales and mirror images that are averaged.
    """

    score: Callable[[Callable[[int], None]], "Metrics"]
    data: str
    size: tuple[int, int]
    count: int
    view: str
    trial: str | None = None
    averaging: str = ""


def _score(source: str, split: str, job: _Job) -> dict[str, Any]:
    """Scores, prints the figures and returns them."""
    from nas_tf.cli.live import live_line

    with live_line(Console(stderr=True)) as line:
        metrics = job.score(lambda done: line.rows(f"scoring {source}", done, job.count))
    result, console = dict(metrics.result()), tables.console()
    console.print(tables.figures(metrics.table()))
    text = ", ".join(f"{key} {value:.4f}" for key, value in result.items())
    trial = f"trial {job.trial} on " if job.trial is not None else ""
    console.print(
        f"{trial}{job.data} {split}, {job.count} images, {job.view}{job.averaging}: {text}"
    )
    figures = {"data": job.data, "split": split, "images": job.count, "size": list(job.size)}
    figures["seen"] = job.view
    if job.trial is not None:
        figures["trial"] = job.trial
    return figures | {"result": result, "table": metrics.table()}


def _run_job(
    network: Any,
    data: str | None,
    split: str,
    evaluation: "Evaluation",
    size: tuple[int, int] | None,
) -> _Job:
    from msgspec import structs

    from nas_tf.networks.arrays import layouts
    from nas_tf.networks.state import from_arrays
    from nas_tf.training import from_config
    from nas_tf.training.scoring import Scorer

    config = network.config
    name = data or config.data.name
    trained_for = network.shipment.task
    task = _task(name, trained_for.name, trained_for.names, config.task)
    config = structs.replace(config, data=structs.replace(config.data, name=name))
    size = size or from_config.geometry(config, network.shipment.size).size
    pictures = from_config.scored_pictures(config, split, size)
    build = from_config.blueprint_builder(network.config, network.genotype, network.phase)
    parts = layouts(build(size).deployed())
    state = from_arrays(parts, network.shipment.arrays)
    scorer = Scorer(build, task, parts, size, evaluation)
    return _Job(
        lambda progress: scorer.score(state, pictures, progress),
        name,
        size,
        len(pictures),
        _view(pictures, size),
        network.shipment.facts["origin"].get("trial"),
        _averaging(evaluation),
    )


def _view(pictures: Any, size: tuple[int, int]) -> str:
    """Describes the view of pictures: whole, or the data set's own."""
    from nas_tf.data.whole_pictures import WholePictures

    text = "x".join(map(str, size))
    if not isinstance(pictures, WholePictures):
        return f"in the data set's own view of {text}"
    return f"whole, in windows of {text}"


def _averaging(evaluation: "Evaluation") -> str:
    """Describes the scales and mirror images that are averaged, if there are any."""
    sizes = ", ".join(f"{scale:g}" for scale in evaluation.scales)
    scaled = "" if sizes == "1" else f", scales {sizes}"
    return scaled + (", mirror images too" if evaluation.flip else "")


def _model_job(path: Path, data: str | None, split: str) -> _Job:
    from nas_tf.data.examples import Examples
    from nas_tf.data.presets import preset
    from nas_tf.data.whole_pictures import WholePictures
    from nas_tf.input_geometry import InputGeometry
    from nas_tf.tasks import of_model
    from nas_tf.training.scoring import Split
    from serving import images, parity

    about, predict = options.read_exported(path)
    name, geometry = data or about["data"], InputGeometry.of(about)
    trained_for = of_model(about)
    names = () if trained_for is None else trained_for.names
    task = _task(name, about["task"], names, _settings(about))
    examples, metrics = Examples(name, split), task.metrics()
    if geometry.windows:
        pictures = WholePictures(examples, geometry, task.target)
    else:
        pictures = Split(examples, preset(name, "evaluate", geometry.size))

    def score(progress: Callable[[int], None]) -> "Metrics":
        done = 0
        if geometry.windows:
            for done, scored in enumerate(parity.answered(task, predict, pictures), 1):
                metrics.add(*scored)
                progress(done)
            return metrics
        for batch, target in pictures.batches(task, _BATCH):
            metrics.add(target, predict(images.as_bytes(batch)))
            progress(done := done + len(batch))
        return metrics

    size = geometry.size
    return _Job(score, name, size, len(examples), _view(pictures, size))


def _settings(about: Mapping[str, Any]) -> "Settings":
    """Returns the task settings of an exported network, or defaults if it records none."""
    from nas_tf.config.schema import Task as Settings

    try:
        return msgspec.convert(about["config"]["task"], Settings)
    except (KeyError, TypeError):
        return Settings()
    except msgspec.ValidationError as error:
        raise DataError(f"the exported model's record of its task is damaged: {error}") from error


def _task(data: str, kind: str, names: Sequence[str], settings: "Settings") -> "Task":
    """Returns the data set's task with the network's settings; refuses other classes or joints."""
    from nas_tf.data.registry import dataset_info
    from nas_tf.tasks import TASKS
    from nas_tf.training.task_settings import task_of

    if kind not in TASKS:
        raise ConfigError(f"the network's task is {kind}, expected one of {', '.join(TASKS)}")
    info, target = dataset_info(data), TASKS[kind].target.key
    own = task_of(info, target).names
    if list(names) != list(own):
        raise ConfigError(
            f"the network was trained for {len(names)} outputs ({', '.join(names)}) and {data} "
            f"has {len(own)} ({', '.join(own)}), expected a data set with the same ones"
        )
    return task_of(info, target, settings)


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
