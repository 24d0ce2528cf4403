"""Average precision of boxes, as COCO and as PASCAL VOC define it, by pycocotools."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from nas_tf.tasks.base import Answer, Metrics, Result
from nas_tf.tasks.coco import evaluated

_FIGURES = {
    **{0: "ap", 1: "ap50", 2: "ap75", 3: "ap_small", 4: "ap_medium", 5: "ap_large"},
    8: "ar",
}
_HALF = 0
"""The first of the overlaps that COCO averages over, 0.5."""


class AveragePrecision(Metrics):
    """COCO's average precision and recall, and the mean precision of VOC 2010 at 0.5."""

    def __init__(self, task: Any) -> None:
        super().__init__(task)
        self._truth: list[np.ndarray] = []
        self._found: list[np.ndarray] = []

    def add(self, target: Any, answer: Answer) -> None:
        """Accumulates a batch; rows of class -1 are no boxes."""
        parts = (np.asarray(answer[name]) for name in ("boxes", "scores", "classes"))
        for truth, boxes, scores, classes in zip(np.asarray(target), *parts, strict=True):
            self._truth.append(truth[truth[:, 4] >= 0])
            rows = np.column_stack([boxes, scores, classes])
            self._found.append(rows[(classes >= 0) & (scores > 0)])

    def result(self) -> Result:
        """Returns the figures over all classes; 0 where there is no box of the kind."""
        stats, _ = self._evaluated()
        return {name: max(0.0, float(stats[n])) for n, name in _FIGURES.items()}

    def table(self) -> list[dict[str, Any]]:
        """Returns a row per class: its precision, and its number of boxes; None without any."""
        _, precision = self._evaluated()
        labels = [rows[:, 4].astype(int) for rows in self._truth]
        counts = np.bincount(
            np.concatenate([*labels, np.zeros(0, int)]), minlength=len(self.task.names)
        )
        return [
            {
                "class": name,
                "ap": _mean(precision[:, :, n]) if counts[n] else None,
                "ap50": _mean(precision[_HALF, :, n]) if counts[n] else None,
                "boxes": int(counts[n]),
            }
            for n, name in enumerate(self.task.names)
        ]

    def _evaluated(self) -> tuple[Sequence[float], np.ndarray]:
        """Returns COCO's figures, and the precision [overlap, recall, class] of all sizes."""
        classes = len(self.task.names)
        annotations = [
            {"image_id": n, "category_id": int(label), "bbox": _corner_and_size(box)}
            for n, rows in enumerate(self._truth, 1)
            for *box, label in rows.tolist()
        ]
        found = [
            {
                "image_id": n,
                "category_id": int(label),
                "bbox": _corner_and_size(box),
                "score": score,
            }
            for n, rows in enumerate(self._found, 1)
            for *box, score, label in rows.tolist()
        ]
        if not annotations or not found:
            return [0.0] * 12, np.zeros((10, 101, classes))
        for annotation in annotations:
            annotation["area"] = annotation["bbox"][2] * annotation["bbox"][3]
        evaluation = evaluated(annotations, found, "bbox", len(self._truth), self.task.names)
        return evaluation.stats, evaluation.eval["precision"][:, :, :, 0, -1]


def _mean(precision: np.ndarray) -> float:
    return float(np.maximum(precision, 0).mean())


def _corner_and_size(box: Sequence[float]) -> list[float]:
    x1, y1, x2, y2 = box
    return [x1, y1, x2 - x1, y2 - y1]


def overlaps(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Returns the IoU of each of the first boxes with each of the second."""
    inner = np.minimum(first[:, None, 2:], second[None, :, 2:])
    inner = np.clip(inner - np.maximum(first[:, None, :2], second[None, :, :2]), 0, None).prod(-1)
    areas = [(boxes[:, 2:] - boxes[:, :2]).prod(-1) for boxes in (first, second)]
    union = areas[0][:, None] + areas[1][None] - inner
    return np.divide(inner, union, out=np.zeros_like(inner), where=union > 0)
