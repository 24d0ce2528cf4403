"""The same images through every format: how well each answers, and how near the Keras model."""

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
    """How one format did.

    Args:
        reward: The task's own, on these images.
        result: All of the task's figures.
        agreement: Share of answers like the Keras model's: equal labels, depths within one
            percent, joints within a pixel.
    """

    score: float
    result: Mapping[str, float]
    agreement: float


def headline(task: Task) -> str:
    """The one of a task's figures that is told first: between 0 and 1, and the more the better."""
    if isinstance(task, Segmentation):
        return "mean_iou"
    if isinstance(task, Depth):
        return "delta1"
    return "pckh@0.5" if task.score == "pckh" else "ap"


def keras_answers(shipment: Shipment) -> Answers:
    """What the Keras model answers, before anything was folded or converted."""
    model = realise(shipment.shipped, name="reference")
    fill_model(model, shipment.arrays)

    @tf.function(autograph=False)
    def run(pixels: tf.Tensor) -> answers.Answer:
        logits = model(images.normalised(pixels), training=False)
        return answers.answer(shipment.task, logits, shipment.size)

    return lambda pixels: {key: one.numpy() for key, one in run(tf.constant(pixels)).items()}


def compare(
    shipment: Shipment, formats: Mapping[str, Answers], pictures: WholePictures | Examples
) -> dict[str, Parity]:
    """Every format on the same pictures, whole where they are; ``keras`` is the first of them."""
    task = shipment.task
    everyone = {"keras": keras_answers(shipment), **formats}
    metrics = {name: task.metrics() for name in everyone}
    shares: dict[str, list[np.ndarray]] = {name: [] for name in everyone}
    whole = isinstance(pictures, WholePictures)
    for target, given in _of_whole(everyone, pictures) if whole else _of_views(everyone, pictures):
        for name, answer in given.items():
            if whole:
                metrics[name].add(target, answer[_map_of(answer)])
            else:
                metrics[name].update(target, as_logits(task, answer), shipment.size)
            shares[name].append(_alike(task, answer, given["keras"]))
    found = {}
    for name, gathered in metrics.items():
        result = gathered.result()
        share = float(np.mean(np.concatenate(shares[name])))
        found[name] = Parity(task.score(result), result, share)
    return found


def answered(ask: Answers, pictures: WholePictures) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The target and the answered map of each whole picture, as batches of one."""

    def answer(windows: np.ndarray) -> Any:
        given = ask(windows)
        return given[_map_of(given)]

    for scored in pictures.answered(answer, _BATCH):
        yield scored.target[None], scored.answer[None]


def _of_whole(
    everyone: Mapping[str, Answers], pictures: WholePictures
) -> Iterator[tuple[Any, Mapping[str, Mapping[str, Any]]]]:
    """The target and everyone's answer of each whole picture, as batches of one."""

    def answer(windows: np.ndarray) -> Mapping[str, Mapping[str, Any]]:
        given = {name: ask(windows) for name, ask in everyone.items()}
        return {name: {(key := _map_of(one)): one[key]} for name, one in given.items()}

    for scored in pictures.answered(answer, _BATCH):
        yield scored.target[None], tf.nest.map_structure(lambda one: one[None], scored.answer)


def _of_views(
    everyone: Mapping[str, Answers], examples: Examples
) -> Iterator[tuple[Any, Mapping[str, Mapping[str, Any]]]]:
    """Targets and everyone's answers, batch by batch."""
    for pixels, target in examples:
        yield target, {name: ask(pixels) for name, ask in everyone.items()}


def _map_of(answer: Mapping[str, Any]) -> str:
    """The name of the map that a dense task's answer holds."""
    return next(name for name in ("mask", "depth") if name in answer)


def as_logits(task: Task, given: Mapping[str, Any]) -> tf.Tensor:
    """An answer in the place of the logits that it was read from."""
    if isinstance(task, Segmentation):
        return tf.one_hot(given["mask"], task.channels)
    if isinstance(task, Depth):
        return tf.constant(given["depth"])[..., None]
    return tf.constant(given["heatmaps"])


def _alike(task: Task, given: Mapping[str, Any], expected: Mapping[str, Any]) -> np.ndarray:
    """For every image the share of its answers that are alike."""
    if isinstance(task, Segmentation):
        same = given["mask"] == expected["mask"]
    elif isinstance(task, Depth):
        same = np.abs(given["depth"] - expected["depth"]) <= 0.01 * expected["depth"]
    else:
        off = given["keypoints"][..., :2] - expected["keypoints"][..., :2]
        same = np.hypot(off[..., 0], off[..., 1]) <= 1
    return same.reshape(len(same), -1).mean(-1)
