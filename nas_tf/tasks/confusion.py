"""The confusion matrix that every segmentation figure is computed from."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from nas_tf.errors import DataError


def best_classes(logits: tf.Tensor) -> tf.Tensor:
    """Returns the class with the largest logit, or the number of classes if any is not finite."""
    count = logits.shape[-1]
    dtype = tf.uint8 if count < 256 else tf.int32
    predicted = tf.cast(tf.argmax(logits, -1, tf.int32), dtype)
    best = tf.reduce_max(logits, -1)
    broken = tf.reduce_any(tf.math.is_nan(logits), -1) | ~tf.math.is_finite(best)
    return tf.where(broken, tf.constant(count, dtype), predicted)


class ConfusionMatrix:
    """Counts of pixels by true class (rows) and predicted class (columns), over batches.

    The last column counts pixels without a prediction (their logits are not finite), so that a
    network that breaks down gains nothing. An instance is not thread-safe.
    """

    def __init__(self, num_classes: int, ignore_label: int) -> None:
        self.num_classes, self.ignore_label = num_classes, ignore_label
        shape = (num_classes, num_classes + 1)
        self._pixels = tf.Variable(tf.zeros(shape, tf.int64), trainable=False)
        self._unknown = tf.Variable(tf.zeros((), tf.int64), trainable=False)

    def update(self, labels: tf.Tensor, logits: tf.Tensor) -> None:
        """Adds a batch of labels [b, h, w] and logits [b, h, w, classes]; works in a graph."""
        self.add(labels, best_classes(logits))

    def add(self, labels: tf.Tensor, predicted: tf.Tensor) -> None:
        """Adds a batch of labels and predicted classes, both [b, h, w]; works in a graph."""
        predicted = tf.cast(predicted, tf.int32)
        labels = tf.cast(labels, tf.int32)
        labelled = labels != self.ignore_label
        counted = labelled & (labels < self.num_classes)
        unknown = tf.math.count_nonzero(labelled & ~counted)
        self._unknown.assign_add(unknown)
        cells = labels * (self.num_classes + 1) + predicted
        cells = tf.boolean_mask(cells, counted)
        count = tf.size(self._pixels)
        found = tf.math.bincount(cells, minlength=count, maxlength=count, dtype=tf.int64)
        self._pixels.assign_add(tf.reshape(found, tf.shape(self._pixels)))

    def numpy(self) -> np.ndarray:
        """Returns the matrix; raises if there were labels that the data set does not declare."""
        unknown = int(self._unknown)
        if unknown:
            raise DataError(
                f"{unknown} pixels have labels that are neither 0–{self.num_classes - 1} nor the "
                f"ignored {self.ignore_label}: run nas-tf data check, or correct ignore_label"
            )
        return self._pixels.numpy()


@dataclass(frozen=True, slots=True)
class ClassScores:
    """Scores per class, which are NaN for a class without true pixels."""

    iou: np.ndarray
    accuracy: np.ndarray
    pixels: np.ndarray
    pixel_accuracy: float


def class_scores(matrix: np.ndarray) -> ClassScores:
    """Returns the IoU and accuracy of each class that occurs in the targets."""
    pixels = matrix.sum(axis=1)
    hits = np.diagonal(matrix).astype(np.float64)
    predicted = matrix[:, : len(matrix)].sum(axis=0)
    present = pixels > 0
    with np.errstate(invalid="ignore", divide="ignore"):
        iou = np.where(present, hits / (pixels + predicted - hits), np.nan)
        accuracy = np.where(present, hits / pixels, np.nan)
    total = pixels.sum()
    return ClassScores(iou, accuracy, pixels, float(hits.sum() / total) if total else 0.0)


def averages(scores: ClassScores, left_out: Sequence[int] = ()) -> dict[str, float]:
    """Returns the figures of the papers, over classes that are present and not left out.

    A class that is predicted but absent lowers the IoU of the classes in whose place it is
    predicted, and has no score of its own: the authors' code assigns it IoU 0 and an accuracy of
    2, which can raise the score. Pixels of a class left out still count as false positives of
    the others.
    """
    counted = np.array([n not in left_out for n in range(len(scores.iou))]) & (scores.pixels > 0)
    if not counted.any():
        means = dict.fromkeys(("mean_iou", "frequency_weighted_iou", "mean_class_accuracy"), 0.0)
    else:
        share = scores.pixels[counted] / scores.pixels[counted].sum()
        means = {
            "mean_iou": float(scores.iou[counted].mean()),
            "frequency_weighted_iou": float((share * scores.iou[counted]).sum()),
            "mean_class_accuracy": float(scores.accuracy[counted].mean()),
        }
    return {**means, "pixel_accuracy": scores.pixel_accuracy}
