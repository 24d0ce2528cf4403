"""Compares formats on the same images: the score of each, and its agreement with Keras."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from nas_tf.data.whole_pictures import WholePictures
from nas_tf.networks.keras_model import realise
from nas_tf.networks.state import fill_model
from nas_tf.tasks import Depth, Segmentation, Task
from serving import answers, images
from serving.shipment import Shipment

_BATCH = 4
Answers = Callable[[np.ndarray], Mapping[str, Any]]
Examples = Iterable[tuple[np.ndarray, Any]]
"""Batches of images as bytes, and their targets."""


@dataclass(frozen=True)
class Parity:
    """The results of one format.

    Args:
        score: The task's score on these images.
        result: All figures of the task.
        agreement: The share of answers that match the Keras model's: equal labels, depths within
            one percent, joints within a pixel.
    """

    score: float
    result: Mapping[str, float]
    agreement: float


def headline(task: Task) -> str:
    """Returns the name of a task's headline figure, which is between 0 and 1, higher is better."""
    if isinstance(task, Segmentation):
        return "mean_iou"
    if isinstance(task, Depth):
        return "delta1"
    return "pckh@0.5" if task.scoring == "pckh" else "ap"


def keras_answers(shipment: Shipment) -> Answers:
    """Returns the answers of the Keras model, before anything is folded or converted."""
    model = realise(shipment.shipped, name="reference")
    fill_model(model, shipment.arrays)

    @tf.function(autograph=False)
    def run(pixels: tf.Tensor) -> answers.Answer:
        logits = model(images.normalised(pixels), training=False)
        return answers.answer(shipment.task, logits, shipment.size)

    def ask(pixels: np.ndarray) -> Mapping[str, Any]:
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
    is_whole = isinstance(pictures, WholePictures)
    answered_by_all = _of_whole if is_whole else _of_views
    for target, answers_by_name in answered_by_all(models, pictures):
        for name, answer in answers_by_name.items():
            if is_whole:
                metrics[name].add(target, answer[_map_of(answer)])
            else:
                metrics[name].update(target, as_logits(task, answer), shipment.size)
            shares[name].append(_matching_shares(task, answer, answers_by_name["keras"]))
    found = {}
    for name, accumulated in metrics.items():
        result = accumulated.result()
        share = float(np.mean(np.concatenate(shares[name])))
        found[name] = Parity(task.score(result), result, share)
    return found


def answered(ask: Answers, pictures: WholePictures) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields the target and the predicted map of each whole picture, as batches of one."""

    def answer(windows: np.ndarray) -> Any:
        maps = ask(windows)
        return maps[_map_of(maps)]

    for scored in pictures.predictions(answer, _BATCH):
        yield scored.target[None], scored.prediction[None]


def _of_whole(
    models: Mapping[str, Answers], pictures: WholePictures
) -> Iterator[tuple[Any, Mapping[str, Mapping[str, Any]]]]:
    """Yields the target and all models' answers of each whole picture, as batches of one."""

    def answer(windows: np.ndarray) -> Mapping[str, Mapping[str, Any]]:
        maps = {name: ask(windows) for name, ask in models.items()}
        return {name: {(key := _map_of(found)): found[key]} for name, found in maps.items()}

    for scored in pictures.predictions(answer, _BATCH):
        yield scored.target[None], tf.nest.map_structure(lambda x: x[None], scored.prediction)


def _of_views(
    models: Mapping[str, Answers], examples: Examples
) -> Iterator[tuple[Any, Mapping[str, Mapping[str, Any]]]]:
    """Yields targets and all models' answers, batch by batch."""
    for pixels, target in examples:
        yield target, {name: ask(pixels) for name, ask in models.items()}


def _map_of(answer: Mapping[str, Any]) -> str:
    """Returns the name of the map in a dense task's answer."""
    return next(name for name in ("mask", "depth") if name in answer)


def as_logits(task: Task, answer: Mapping[str, Any]) -> tf.Tensor:
    """Returns logits that decode to an answer, for metrics that take logits."""
    if isinstance(task, Segmentation):
        return tf.one_hot(answer["mask"], task.channels)
    if isinstance(task, Depth):
        return tf.constant(answer["depth"])[..., None]
    return tf.constant(answer["heatmaps"])


def _matching_shares(
    task: Task, answer: Mapping[str, Any], expected: Mapping[str, Any]
) -> np.ndarray:
    """Returns for every image the share of its answers that match the expected ones."""
    if isinstance(task, Segmentation):
        same = answer["mask"] == expected["mask"]
    elif isinstance(task, Depth):
        same = np.abs(answer["depth"] - expected["depth"]) <= 0.01 * expected["depth"]
    else:
        offsets = answer["keypoints"][..., :2] - expected["keypoints"][..., :2]
        same = np.hypot(offsets[..., 0], offsets[..., 1]) <= 1
    return same.reshape(len(same), -1).mean(-1)
