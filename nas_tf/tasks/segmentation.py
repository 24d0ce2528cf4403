"""Semantic segmentation: one class per pixel."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from PIL import Image

from nas_tf.errors import ConfigError
from nas_tf.sizes import Size
from nas_tf.tasks.base import (
    Answer,
    Outputs,
    Resolution,
    Result,
    TargetSpec,
    check_count,
    check_length,
    per_image,
)
from nas_tf.tasks.confusion import ConfusionMatrix, averages, best_classes, class_scores
from nas_tf.tasks.dense import LOGITS, MapMetrics, MapTask
from nas_tf.tasks.painting import class_colours
from nas_tf.tasks.resolution import aligned, enlarged

_SCORED = ("mean_iou", "frequency_weighted_iou", "mean_class_accuracy")


class Segmentation(MapTask):
    """Segmentation by cross-entropy, with the score of the CVPR 2019 paper (section 3.3).

    A raw target is a map of labels, which is also the encoded target. The answer is ``mask``, a
    label per pixel as uint8::

        task = Segmentation(3)
        metrics = task.metrics()
        labels = tf.constant([[[0, 1, 2, 255]]], tf.uint8)
        metrics.update(labels, {"logits": tf.one_hot([[[0, 1, 1, 1]]], 3)}, (1, 4))
        print(task.score(metrics.result()))

    Args:
        num_classes: Number of classes, not counting the ignored one.
        ignore_label: Label of pixels that count in no loss and no figure.
        names: Names of the classes, for tables.
        colours: RGB of the classes, for pictures.
        class_weights: Factors of the classes in the loss.
        background: Class that the score leaves out, as the paper does with VOC's class 0.
    """

    name = "segmentation"
    headline = "mean_iou"
    primary = ("mask",)
    target = TargetSpec("label", 255)

    def __init__(
        self,
        num_classes: int,
        *,
        ignore_label: int = 255,
        names: Sequence[str] | None = None,
        colours: Sequence[tuple[int, int, int]] | None = None,
        class_weights: Sequence[float] | None = None,
        background: int | None = None,
    ) -> None:
        self.channels = check_count("num_classes", num_classes)
        if 0 <= ignore_label < num_classes or not 0 <= ignore_label <= 255:
            raise ConfigError(f"ignore_label is {ignore_label}, expected {num_classes}–255")
        for name, values in (
            ("names", names),
            ("colours", colours),
            ("class_weights", class_weights),
        ):
            if values is not None:
                check_length(name, values, num_classes, "class")
        if class_weights is not None:
            if min(class_weights) < 0:
                raise ConfigError(f"class_weights has {min(class_weights)}, expected 0 or more")
            if max(class_weights) == 0:
                raise ConfigError("class_weights are all 0, expected one above 0")
        if background is not None and not 0 <= background < num_classes:
            raise ConfigError(f"background is {background}, expected 0–{num_classes - 1}")
        self.target = TargetSpec("label", ignore_label)
        self.names = tuple(names or map(str, range(num_classes)))
        self.left_out = () if background is None else (background,)
        self.class_weights = None if class_weights is None else tuple(map(float, class_weights))
        given = class_colours(num_classes) if colours is None else colours
        self._colours = np.array([*given, (0, 0, 0)], np.uint8)

    def settings(self) -> Mapping[str, Any]:
        """Returns the class that the score leaves out, and the classes' weights."""
        background = self.left_out[0] if self.left_out else None
        return {"background": background, "class_weights": self.class_weights}

    def loss(
        self, encoded: tf.Tensor, outputs: Outputs, *, at: Resolution = "target"
    ) -> tf.Tensor:
        """Returns the mean cross-entropy of labelled pixels, by class weight; 0 without any."""
        labels, logits = aligned(encoded, outputs[LOGITS], at)
        labels = tf.cast(labels, tf.int32)
        counted = (labels != self.target.fill) & (labels < self.channels)
        labels = tf.where(counted, labels, 0)
        logits = tf.where(counted[..., None], logits, 0.0)
        entropy = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
        factors = tf.cast(counted, tf.float32)
        if self.class_weights is not None:
            factors *= tf.gather(tf.constant(self.class_weights, tf.float32), labels)
        return tf.math.divide_no_nan(tf.reduce_sum(factors * entropy), tf.reduce_sum(factors))

    def metrics(self) -> "SegmentationMetrics":
        """Returns new metrics with an empty confusion matrix."""
        return SegmentationMetrics(self)

    def score(self, result: Result) -> float:
        """Returns the geometric mean of mean and frequency-weighted IoU and class accuracy."""
        return float(result["reward"])

    def answer(self, outputs: Outputs, image_size: Size) -> Answer:
        """Returns the class with the largest logit."""
        labels = tf.argmax(enlarged(outputs[LOGITS], image_size), -1, output_type=tf.int32)
        return {"mask": tf.cast(labels, tf.uint8)}

    def decoded(self, answer: Answer) -> Answer:
        """Returns labels as uint8, also those of runtimes that have no bytes."""
        return {**answer, "mask": np.asarray(answer["mask"]).astype(np.uint8)}

    def marked(self, outputs: Outputs, image_size: Size) -> Answer:
        """Returns each pixel's best class, or the number of classes if not finite."""
        return {"mask": best_classes(enlarged(outputs[LOGITS], image_size))}

    def agreement(self, answer: Answer, reference: Answer) -> np.ndarray:
        """Returns the share of equal labels."""
        return per_image(answer["mask"] == reference["mask"])

    def signatures(self) -> Mapping[str, Callable[[Outputs], Answer]]:
        """Returns the probabilities of the classes, at the resolution of the logits."""
        name = "probabilities"
        return {name: lambda outputs: {name: tf.nn.softmax(outputs[LOGITS])}}

    def coloured(self, values: np.ndarray) -> np.ndarray:
        """Returns a label map in the classes' colours; ignored pixels are black."""
        return self._colours[np.minimum(values, self.channels)]

    def value_picture(self, answer: Answer) -> Image.Image:
        """Returns the labels with the palette attached, so that viewers show them in colour."""
        picture = super().value_picture(answer)
        picture.putpalette(self._colours[:-1].tobytes())
        return picture

    def about(self) -> Mapping[str, Any]:
        """Returns the classes and their colours."""
        return {"classes": list(self.names), "palette": self._colours[:-1].tolist()}

    @classmethod
    def of_model(cls, about: Mapping[str, Any]) -> "Segmentation":
        """Returns the task of the classes; without any, of as many as labels can have."""
        colours = about.get("palette")
        classes = about.get("classes") or colours or range(255)
        return cls(len(classes), names=tuple(map(str, classes)), colours=colours)


class SegmentationMetrics(MapMetrics):
    """Mean IoU, frequency-weighted IoU, mean class accuracy and pixel accuracy."""

    task: Segmentation

    def __init__(self, task: Segmentation) -> None:
        super().__init__(task)
        self.confusion = ConfusionMatrix(task.channels, task.target.fill)

    def add(self, target: tf.Tensor, answer: Answer) -> None:
        """Accumulates the pixels of a batch."""
        self.confusion.add(target, answer["mask"])

    def result(self) -> Result:
        """Returns averages over all classes, and the score, which may leave out a class."""
        scores = class_scores(self.confusion.numpy())
        scored = averages(scores, self.task.left_out)
        factors = [scored[key] for key in _SCORED]
        return {**averages(scores), "reward": float(np.prod(factors) ** (1 / 3))}

    def table(self) -> list[dict[str, Any]]:
        """Returns IoU, accuracy and share of pixels per class; None if it does not occur."""
        scores = class_scores(self.confusion.numpy())
        total = max(1, scores.pixels.sum())
        return [
            {
                "class": name,
                "iou": float(iou) if pixels else None,
                "accuracy": float(accuracy) if pixels else None,
                "share": float(pixels / total),
            }
            for name, iou, accuracy, pixels in zip(
                self.task.names, scores.iou, scores.accuracy, scores.pixels, strict=True
            )
        ]
