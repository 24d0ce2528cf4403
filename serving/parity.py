"""Compares formats on the same images: the figures of each, and its agreement with Keras."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import tensorflow as tf

from nas_tf.data.whole_pictures import WholePictures
from nas_tf.networks.keras_model import realise
from nas_tf.networks.state import fill_model
from nas_tf.tasks import Answer, Task
from serving import images
from serving.shipment import Shipment

_BATCH = 4
Answers = Callable[[np.ndarray], Answer]
Examples = Iterable[tuple[np.ndarray, Any]]
"""Batches of images as bytes, and their targets."""


@dataclass(frozen=True)
class Parity:
    """The results of one format.

    Args:
        result: All figures of the task.
        agreement: The share of answers that match the Keras model's, as the task compares them.
        closeness: The task's further figures of this comparison, such as the IoU of boxes.
    """

    result: Mapping[str, float]
    agreement: float
    closeness: Mapping[str, float] = field(default_factory=dict)


def keras_answers(shipment: Shipment) -> Answers:
    """Returns the answers of the Keras model, before anything is folded or converted."""
    model = realise(replace(shipment.shipped, dynamic=shipment.any_size), name="reference")
    fill_model(model, shipment.arrays)

    @tf.function(autograph=False)
    def run(pixels: tf.Tensor) -> Answer:
        outputs = model(images.normalised(pixels), training=False)
        if not isinstance(outputs, Mapping):
            outputs = dict.fromkeys(shipment.shipped.outputs, outputs)
        return shipment.task.answer(outputs, shipment.answer_size)

    def ask(pixels: np.ndarray) -> Answer:
        return {name: values.numpy() for name, values in run(tf.constant(pixels)).items()}

    return ask


def compare(
    shipment: Shipment, formats: Mapping[str, Answers], pictures: WholePictures | Examples
) -> dict[str, Parity]:
    """Scores every format on the same pictures or views; ``keras`` is the first of them."""
    task = shipment.task
    models = {"keras": keras_answers(shipment), **formats}
    metrics = {name: task.metrics() for name in models}
    shares: dict[str, list[np.ndarray]] = {name: [] for name in models}
    near: dict[str, list[Mapping[str, np.ndarray]]] = {name: [] for name in models}
    is_whole = isinstance(pictures, WholePictures)
    answered_by_all = (
        _of_whole(task, models, pictures) if is_whole else _of_views(models, pictures)
    )
    for target, answers_by_name in answered_by_all:
        for name, answer in answers_by_name.items():
            metrics[name].add(target, answer)
            shares[name].append(task.agreement(answer, answers_by_name["keras"]))
            near[name].append(task.closeness(answer, answers_by_name["keras"]))
    found = {}
    for name, accumulated in metrics.items():
        share = float(np.mean(np.concatenate(shares[name])))
        found[name] = Parity(accumulated.result(), share, _means(near[name]))
    return found


def _means(batches: list[Mapping[str, np.ndarray]]) -> dict[str, float]:
    """Returns the mean of each figure over the images that have it, NaN if none has."""
    joined = {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}
    known = {name: values[np.isfinite(values)] for name, values in joined.items()}
    return {name: float(v.mean()) if len(v) else float("nan") for name, v in known.items()}


def answered(
    task: Task, ask: Answers, pictures: WholePictures
) -> Iterator[tuple[np.ndarray, Answer]]:
    """Yields the target and the answer of each whole picture, as batches of one."""
    for target, answers_by_name in _of_whole(task, {"": ask}, pictures):
        yield target, answers_by_name[""]


def _of_whole(
    task: Task, models: Mapping[str, Answers], pictures: WholePictures
) -> Iterator[tuple[Any, Mapping[str, Answer]]]:
    """Yields the target and all models' answers of each whole picture, as batches of one."""

    def answer(windows: np.ndarray) -> Mapping[str, Answer]:
        found = {name: ask(windows) for name, ask in models.items()}
        return {name: {key: maps[key] for key in task.primary} for name, maps in found.items()}

    batch = 1 if pictures.geometry.any_size else _BATCH
    for scored in pictures.predictions(answer, batch):
        yield scored.target[None], tf.nest.map_structure(lambda x: x[None], scored.prediction)


def _of_views(
    models: Mapping[str, Answers], examples: Examples
) -> Iterator[tuple[Any, Mapping[str, Answer]]]:
    """Yields targets and all models' answers, batch by batch."""
    for pixels, target in examples:
        yield target, {name: ask(pixels) for name, ask in models.items()}
