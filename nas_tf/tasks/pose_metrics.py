"""Metrics of poses: PCKh as in MPII, and average precision by OKS as in COCO."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from nas_tf.errors import ConfigError
from nas_tf.tasks.base import Answer, Metrics, Result, Task
from nas_tf.tasks.coco import evaluated

_THRESHOLDS = (0.5, 0.1)
_FAR_AWAY = -1e6
_COCO_FIGURES = {0: "ap", 1: "ap50", 2: "ap75", 5: "ar"}


class Pckh(Metrics):
    """The share of joints that are predicted within a fraction of the head's size.

    As in MPII's usual evaluation, joints weigh by their number of occurrences, and some are left
    out.
    """

    def __init__(self, task: Task, unscored: Sequence[int] = ()) -> None:
        super().__init__(task)
        self._names, self._unscored = task.names, set(unscored)
        shape = (len(_THRESHOLDS) + 1, len(task.names))
        self._counts = tf.Variable(tf.zeros(shape, tf.int64), trainable=False)

    def add(self, target: Any, answer: Answer) -> None:
        """Accumulates a batch; people without a head size are not scored."""
        keypoints, heads = _needed(target, "head_size")
        found = answer["keypoints"][..., :2]
        true = keypoints[:, 0]
        head = tf.cast(heads[:, :1], tf.float32)
        scored = (true[..., 2] > 0) & (head > 0)
        distance = tf.math.divide_no_nan(tf.norm(found - true[..., :2], axis=-1), head)
        rows = [scored & (distance <= threshold) for threshold in _THRESHOLDS]
        counts = [tf.reduce_sum(tf.cast(row, tf.int64), 0) for row in (*rows, scored)]
        self._counts.assign_add(tf.stack(counts))

    def result(self) -> Result:
        """Returns the share of scored joints within each threshold."""
        scored = [n for n in range(len(self._names)) if n not in self._unscored]
        *hits, counts = self._counts.numpy()[:, scored].sum(axis=1)
        return {
            f"pckh@{threshold}": float(hit / counts) if counts else 0.0
            for threshold, hit in zip(_THRESHOLDS, hits, strict=True)
        }

    def table(self) -> list[dict[str, Any]]:
        """Returns a row per joint."""
        *hits, counts = self._counts.numpy()
        return [
            {
                "joint": name,
                **{
                    f"pckh@{threshold}": float(row[n] / counts[n]) if counts[n] else None
                    for threshold, row in zip(_THRESHOLDS, hits, strict=True)
                },
                "count": int(counts[n]),
            }
            for n, name in enumerate(self._names)
        ]


class KeypointSimilarity(Metrics):
    """COCO's average precision and recall of object keypoint similarity, by pycocotools."""

    def __init__(self, task: Task, sigmas: Sequence[float]) -> None:
        super().__init__(task)
        self._sigmas = tuple(sigmas)
        self._people: list[tuple[np.ndarray, float, np.ndarray, float]] = []

    def add(self, target: Any, answer: Answer) -> None:
        """Accumulates a batch; the mean height of the peaks is a pose's confidence."""
        keypoints, areas = _needed(target, "area")
        found = np.asarray(answer["keypoints"])
        for person in zip(
            np.asarray(keypoints)[:, 0],
            np.asarray(areas)[:, 0],
            np.nan_to_num(found[..., :2], nan=_FAR_AWAY),
            np.mean(found[..., 2], axis=-1),
            strict=True,
        ):
            self._people.append(person)

    def result(self) -> Result:
        """Returns average precision and recall; 0 if no person has a joint."""
        scored = [person for person in self._people if (person[0][:, 2] > 0).any()]
        if not scored:
            return dict.fromkeys(_COCO_FIGURES.values(), 0.0)
        evaluation = evaluated(
            [_annotation(n, *person[:2]) for n, person in enumerate(scored, 1)],
            [_found(n, *person[2:]) for n, person in enumerate(scored, 1)],
            "keypoints",
            images=len(scored),
            categories=("person",),
            sigmas=self._sigmas,
        )
        return {name: float(evaluation.stats[n]) for n, name in _COCO_FIGURES.items()}

    def table(self) -> list[dict[str, Any]]:
        """Returns a row per figure."""
        return [{"figure": key, "value": value} for key, value in self.result().items()]


def _needed(target: Any, key: str) -> tuple[tf.Tensor, tf.Tensor]:
    if not isinstance(target, dict) or key not in target:
        raise ConfigError(f"target has no {key!r}, which this score of poses needs")
    return target["keypoints"], target[key]


def _annotation(image: int, points: np.ndarray, area: float) -> dict[str, Any]:
    return {
        "image_id": image,
        "category_id": 0,
        "area": float(area),
        "bbox": _box(points),
        "num_keypoints": int((points[:, 2] > 0).sum()),
        "keypoints": points.reshape(-1).tolist(),
    }


def _box(points: np.ndarray) -> list[float]:
    visible = points[points[:, 2] > 0, :2]
    return [*visible.min(0).tolist(), *np.ptp(visible, axis=0).tolist()]


def _found(image: int, joints: np.ndarray, score: float) -> dict[str, Any]:
    return {
        "image_id": image,
        "category_id": 0,
        "score": float(score),
        "keypoints": np.column_stack([joints, np.ones(len(joints))]).reshape(-1).tolist(),
    }
