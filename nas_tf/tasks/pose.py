"""Pose estimation: one heatmap per joint, for one person per image."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import tensorflow as tf
from matplotlib import colormaps
from PIL import Image, ImageDraw

from nas_tf.errors import ConfigError
from nas_tf.tasks import heatmaps
from nas_tf.tasks.base import (
    Metrics,
    Result,
    Size,
    TargetKind,
    TargetSpec,
    Task,
    check_count,
    check_length,
)
from nas_tf.tasks.painting import photograph, side_by_side
from nas_tf.tasks.pose_metrics import KeypointSimilarity, Pckh
from nas_tf.tasks.resolution import enlarged

COCO_SIGMAS = (
    *(0.026, 0.025, 0.025, 0.035, 0.035, 0.079, 0.079, 0.072, 0.072),
    *(0.062, 0.062, 0.107, 0.107, 0.087, 0.087, 0.089, 0.089),
)


class Pose(Task):
    """Pose estimation with the mean squared error of heatmaps (CVPR 2019, section 5.2).

    A raw target is keypoints [batch, people, joints, 3], or a dictionary of ``keypoints`` and the
    field that the score needs: ``head_size`` for PCKh, ``area`` for OKS. The encoded target is
    heatmaps at stride 4. The first person is scored.

    Args:
        joints: Number of joints.
        score: ``pckh`` (MPII) or ``oks`` (COCO).
        names: Names of the joints, for tables.
        swaps: Pairs of joints that exchange their roles in a mirror image.
        sigmas: Falloffs of OKS, one per joint; those of COCO by default if there are 17.
        limbs: Pairs of joints that pictures connect by a line.
        unscored: Joints that PCKh leaves out, as MPII does with pelvis and thorax.
    """

    name = "pose"
    target = TargetSpec("keypoints", TargetKind.KEYPOINTS, 0)

    def __init__(
        self,
        joints: int,
        *,
        score: Literal["pckh", "oks"] = "pckh",
        names: Sequence[str] | None = None,
        swaps: Sequence[tuple[int, int]] = (),
        sigmas: Sequence[float] | None = None,
        limbs: Sequence[tuple[int, int]] = (),
        unscored: Sequence[int] = (),
    ) -> None:
        self.channels = check_count("joints", joints)
        if score not in ("pckh", "oks"):
            raise ConfigError(f"score is {score!r}, expected 'pckh' or 'oks'")
        if score == "oks" and sigmas is None and joints != len(COCO_SIGMAS):
            raise ConfigError(f"sigmas are needed for OKS of {joints} joints, one per joint")
        for name, values in (("names", names), ("sigmas", sigmas)):
            if values is not None:
                check_length(name, values, joints, "joint")
        if not all(0 <= joint < joints for pair in (*swaps, *limbs) for joint in pair):
            raise ConfigError(f"swaps and limbs join joints of 0–{joints - 1}")
        swapped = [joint for pair in swaps for joint in pair]
        if len(set(swapped)) < len(swapped):
            raise ConfigError(f"swaps {tuple(swaps)} name a joint twice, expected pairs")
        self.scoring = score
        self.extras = ("head_size",) if score == "pckh" else ("area",)
        self.unscored = tuple(unscored)
        self.names = tuple(names or map(str, range(joints)))
        self.sigmas = tuple(sigmas or COCO_SIGMAS) if score == "oks" else ()
        self.limbs = tuple(limbs)
        self._mirrored = _mirrored(joints, swaps)

    def settings(self) -> Mapping[str, Any]:
        """Returns the settings by which keypoints are scored."""
        return {"score": self.scoring, "sigmas": self.sigmas or None, "unscored": self.unscored}

    def encode(self, target: Any, image_size: Size) -> tf.Tensor:
        """Returns the heatmaps of the keypoints."""
        keypoints = target["keypoints"] if isinstance(target, dict) else target
        return heatmaps.render(keypoints, image_size)

    def loss(
        self, encoded: tf.Tensor, logits: tf.Tensor, *, at: Literal["target", "logits"] = "target"
    ) -> tf.Tensor:
        """Returns the mean squared error over the maps of joints that are present."""
        maps = encoded if at == "target" else tf.image.resize(encoded, tf.shape(logits)[1:3])
        logits = enlarged(logits, tf.shape(maps)[1:3])
        counted = tf.broadcast_to(maps[:, :1, :1] > heatmaps.ABSENT / 2, tf.shape(maps))
        squares = tf.where(counted, logits - maps, 0.0) ** 2
        count = tf.reduce_sum(tf.cast(counted, tf.float32))
        return tf.math.divide_no_nan(tf.reduce_sum(squares), count)

    def metrics(self) -> Metrics:
        """Returns metrics of PCKh at 0.5 and 0.1, or of OKS average precision and recall."""
        if self.scoring == "pckh":
            return Pckh(self.names, self.unscored)
        return KeypointSimilarity(self.sigmas)

    def score(self, result: Result) -> float:
        """Returns PCKh at 0.5, or average precision."""
        return float(result["pckh@0.5" if self.scoring == "pckh" else "ap"])

    def unflipped(self, logits: tf.Tensor) -> tf.Tensor:
        """Mirrors the maps back and exchanges those of left and right joints."""
        return tf.gather(logits[:, :, ::-1], self._mirrored, axis=-1)

    def picture(self, image: np.ndarray, target: Any, logits: np.ndarray) -> np.ndarray:
        """Returns the image, once plain, once with the true and once with the predicted pose."""
        plain = photograph(image)
        keypoints = np.asarray(target["keypoints"] if isinstance(target, dict) else target)[0]
        maps = enlarged(tf.convert_to_tensor(logits)[None], heatmaps.map_size(plain.shape[:2]))
        predicted = heatmaps.decode(maps)[0][0].numpy()
        visible = np.where(keypoints[:, 2] > 0)[0]
        poses = (self._with_pose(plain, points, visible) for points in (keypoints, predicted))
        return side_by_side(plain, *poses)

    def _with_pose(self, image: np.ndarray, points: np.ndarray, visible: np.ndarray) -> np.ndarray:
        canvas = Image.fromarray(image.copy())
        pen = ImageDraw.Draw(canvas)
        radius = max(2, min(image.shape[:2]) // 80)
        for first, second in self.limbs:
            if first in visible and second in visible:
                ends = [tuple(points[joint, :2]) for joint in (first, second)]
                pen.line(ends, fill=(255, 255, 255), width=radius)
        for joint in visible:
            x, y = points[joint, :2]
            colour = colormaps["hsv"](joint / self.channels, bytes=True)[:3]
            pen.ellipse([x - radius, y - radius, x + radius, y + radius], fill=tuple(colour))
        return np.asarray(canvas)


def _mirrored(joints: int, swaps: Sequence[tuple[int, int]]) -> list[int]:
    order = list(range(joints))
    for left, right in swaps:
        order[left], order[right] = right, left
    return order
