"""Scores of trained and exported networks on a split of a data set."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from msgspec import structs

from nas_tf.config.schema import Degradation, Evaluation
from nas_tf.config.schema import Task as Settings
from nas_tf.data.examples import Examples
from nas_tf.data.presets import is_preset, preset
from nas_tf.data.registry import dataset_info
from nas_tf.data.whole_pictures import WholePictures
from nas_tf.errors import ConfigError, DataError
from nas_tf.input_geometry import InputGeometry, Resize
from nas_tf.jobs import exports
from nas_tf.jobs.trained import LoadedNetwork
from nas_tf.networks.arrays import layouts
from nas_tf.networks.state import from_arrays
from nas_tf.sizes import Size
from nas_tf.tasks import TASKS, Answer, Metrics, Task, of_model
from nas_tf.training import from_config, preflight
from nas_tf.training.scoring import Scorer, Split
from nas_tf.training.task_settings import task_of
from serving import images, parity

_LOGGER = logging.getLogger(__name__)
_BATCH = 8
Recorded = TypeVar("Recorded")
Progress = Callable[[int, int], None]
"""Called with the number of scored pictures, and that of all pictures."""


@dataclass(frozen=True)
class Score:
    """The figures of a network on a split.

    Args:
        result: All figures of the task.
        table: The figures in detail, a row per class, threshold or joint.
        data: The name of the data set.
        split: The name of the split.
        images: The number of pictures.
        size: Height and width of the network's input.
        view: A description of the way in which pictures are read.
        trial: The trial whose network it is, if it comes from a search.
    """

    result: Mapping[str, float]
    table: Sequence[Mapping[str, Any]]
    data: str
    split: str
    images: int
    size: Size
    view: str
    trial: str | None = None


def evaluate(
    network: LoadedNetwork,
    split: str = "val",
    *,
    data: str | None = None,
    size: Size | None = None,
    evaluation: Evaluation | None = None,
    progress: Progress | None = None,
) -> Score:
    """Scores a trained network on a split of its data set, or of another with the same classes."""
    config, shipment = network.config, network.shipment
    name = data or config.data.name
    if name == config.data.name and (trained := preflight.trained_on(config, split)) is not None:
        _LOGGER.warning("figures on %s are not those on new pictures: %s", split, trained)
    task = _task(name, shipment.task.name, shipment.task.names, config.task)
    config = structs.replace(config, data=structs.replace(config.data, name=name))
    size = size or from_config.geometry(config, shipment.size).size
    pictures = from_config.scored_pictures(config, split, size)
    build = from_config.blueprint_builder(network.config, network.genotype, network.phase)
    parts = layouts(build(size).deployed())
    scorer = Scorer(build, task, parts, size, evaluation or Evaluation(batch=_BATCH))
    state, report = from_arrays(parts, shipment.arrays), _report(progress, len(pictures))
    metrics = scorer.score(state, pictures, report)
    trial = shipment.facts["origin"].get("trial")
    return _score(metrics, pictures, name, split, size, trial)


def evaluate_exported(
    model: Path, split: str = "val", *, data: str | None = None, progress: Progress | None = None
) -> Score:
    """Scores a TFLite file or a version of a SavedModel, at its own input size."""
    about, predict = exports.read(model)
    name, geometry = data or about["data"], InputGeometry.of(about)
    trained_for = of_model(about)
    names = () if trained_for is None else trained_for.names
    task = _task(name, about["task"], names, _settings(about))
    resize = Resize() if geometry.windows or is_preset(name) else geometry.resize
    examples, metrics = Examples(name, split, resize=resize), task.metrics()
    answers: Iterator[tuple[int, Any, Answer]]
    pictures: WholePictures | Split
    if geometry.windows:
        section = _recorded(about, "degradation", Degradation)
        pictures = from_config.whole_pictures(examples, geometry, task, section)
        answers = ((1, *scored) for scored in parity.answered(task, predict, pictures))
    else:
        pictures = Split(examples, preset(name, "evaluate", geometry.size))
        answers = (
            (len(batch), target, predict(images.as_bytes(batch)))
            for batch, target in pictures.batches(task, _BATCH)
        )
    done, report = 0, _report(progress, len(examples))
    for count, target, answer in answers:
        metrics.add(target, answer)
        done += count
        report(done)
    return _score(metrics, pictures, name, split, geometry.size)


def _report(progress: Progress | None, total: int) -> Callable[[int], None]:
    return lambda done: progress(done, total) if progress is not None else None


def _score(
    metrics: Metrics,
    pictures: WholePictures | Split,
    data: str,
    split: str,
    size: Size,
    trial: str | None = None,
) -> Score:
    are_whole, text = isinstance(pictures, WholePictures), "x".join(map(str, size))
    view = f"whole, in windows of {text}" if are_whole else f"in the data set's own view of {text}"
    return Score(metrics.result(), metrics.table(), data, split, len(pictures), size, view, trial)


def _settings(about: Mapping[str, Any]) -> Settings:
    """Returns the task settings of an exported network, or defaults if it records none."""
    return _recorded(about, "task", Settings) or Settings()


def _recorded(about: Mapping[str, Any], key: str, kind: type[Recorded]) -> Recorded | None:
    """Returns a section of an exported network's configuration, None if it records none."""
    try:
        return msgspec.convert(about["config"][key], kind | None)
    except (KeyError, TypeError):
        return None
    except msgspec.ValidationError as error:
        raise DataError(f"the exported model's record of its {key} is damaged: {error}") from error


def _task(data: str, kind: str, names: Sequence[str], settings: Settings) -> Task:
    """Returns the data set's task with the network's settings; refuses other classes or joints."""
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
