"""Pose estimation: one heatmap per joint, for one person per image."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import tensorflow as tf

from nas_tf.errors import ConfigError
from nas_tf.input_geometry import InputGeometry
from nas_tf.sizes import Size
from nas_tf.tasks import heatmaps
from nas_tf.tasks.base import (
    Answer,
    Metrics,
    Outputs,
    Resolution,
    Result,
    TargetSpec,
    check_count,
    check_length,
    per_image,
)
from nas_tf.tasks.dense import LOGITS, DenseTask, single
from nas_tf.tasks.painting import fitted_points, photograph, side_by_side, with_joints
from nas_tf.tasks.pose_metrics import KeypointSimilarity, Pckh
from nas_tf.tasks.resolution import enlarged

COCO_SIGMAS = (
    *(0.026, 0.025, 0.025, 0.035, 0.035, 0.079, 0.079, 0.072, 0.072),
    *(0.062, 0.062, 0.107, 0.107, 0.087, 0.087, 0.089, 0.089),
)

_LEAST_PEAK = 0.2
"""Joints with lower peaks are noise and are not drawn."""


class Pose(DenseTask):
    """Pose estimation with the mean squared error of heatmaps (CVPR 2019, section 5.2).

    A raw target is keypoints [batch, people, joints, 3], or a dictionary of ``keypoints`` and the
    field that the score needs: ``head_size`` for PCKh, ``area`` for OKS. The encoded target is
    heatmaps at stride 4. The first person is scored. The answer is ``keypoints``, x, y and the
    height of the peak of each joint, and ``heatmaps``, of which they are decoded.

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
    primary = ("keypoints",)
    target = TargetSpec("keypoints", 0)

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
        self.headline = "pckh@0.5" if score == "pckh" else "ap"
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

    def stored(self, encoded: tf.Tensor, size: Size) -> tf.Tensor:
        """Returns heatmaps at a size, resized bilinearly."""
        return tf.image.resize(encoded, size)

    def loss(
        self, encoded: tf.Tensor, outputs: Outputs, *, at: Resolution = "target"
    ) -> tf.Tensor:
        """Returns the mean squared error over the maps of joints that are present."""
        logits = outputs[LOGITS]
        maps = encoded if at == "target" else tf.image.resize(encoded, tf.shape(logits)[1:3])
        logits = enlarged(logits, tf.shape(maps)[1:3])
        counted = tf.broadcast_to(maps[:, :1, :1] > heatmaps.ABSENT / 2, tf.shape(maps))
        squares = tf.where(counted, logits - maps, 0.0) ** 2
        count = tf.reduce_sum(tf.cast(counted, tf.float32))
        return tf.math.divide_no_nan(tf.reduce_sum(squares), count)

    def metrics(self) -> Metrics:
        """Returns metrics of PCKh at 0.5 and 0.1, or of OKS average precision and recall."""
        if self.scoring == "pckh":
            return Pckh(self, self.unscored)
        return KeypointSimilarity(self, self.sigmas)

    def score(self, result: Result) -> float:
        """Returns PCKh at 0.5, or average precision."""
        return float(result[self.headline])

    def unflipped(self, outputs: Outputs) -> Outputs:
        """Mirrors the maps back and exchanges those of left and right joints."""
        return {LOGITS: tf.gather(outputs[LOGITS][:, :, ::-1], self._mirrored, axis=-1)}

    def answer(self, outputs: Outputs, image_size: Size) -> Answer:
        """Returns the joints in pixels of the image, and the maps at stride 4."""
        undecoded = self.undecoded(outputs, image_size)
        return {"keypoints": _joints(undecoded["heatmaps"]), **undecoded}

    def undecoded(self, outputs: Outputs, image_size: Size) -> Answer:
        """Returns the maps alone, for runtimes that cannot decode them."""
        return {"heatmaps": enlarged(outputs[LOGITS], heatmaps.map_size(image_size))}

    def decoded(self, answer: Answer) -> Answer:
        """Adds the joints to an answer that has the maps alone."""
        if "keypoints" in answer:
            return answer
        return {**answer, "keypoints": _joints(tf.constant(answer["heatmaps"])).numpy()}

    def agreement(self, answer: Answer, reference: Answer) -> np.ndarray:
        """Returns the share of joints within a pixel."""
        offsets = answer["keypoints"][..., :2] - reference["keypoints"][..., :2]
        return per_image(np.hypot(offsets[..., 0], offsets[..., 1]) <= 1)

    def in_picture(self, answer: Answer, geometry: InputGeometry, size: tf.Tensor) -> Answer:
        """Returns the joints of the only window in pixels of the picture."""
        found = answer["keypoints"]
        positions = geometry.points(found[0, :, :2], size)
        return {"keypoints": tf.concat([positions, found[0, :, 2:]], axis=-1)}

    def paint(
        self, image: np.ndarray, answer: Answer, *, size: Size | None = None, opacity: float = 1.0
    ) -> np.ndarray:
        """Returns the image with a dot per joint whose peak exceeds noise."""
        found = np.asarray(answer["keypoints"])
        shown = np.flatnonzero(found[:, 2] > _LEAST_PEAK)
        points = fitted_points(found[:, :2], size, image)
        return with_joints(image, points, shown, self.limbs)

    def picture(self, image: np.ndarray, target: Any, outputs: Outputs) -> np.ndarray:
        """Returns the image, once plain, once with the true and once with the predicted pose."""
        plain = photograph(image)
        keypoints = np.asarray(target["keypoints"] if isinstance(target, dict) else target)[0]
        predicted = self.answer(single(outputs), plain.shape[:2])["keypoints"][0].numpy()
        visible = np.flatnonzero(keypoints[:, 2] > 0)
        poses = (
            with_joints(plain, points, visible, self.limbs) for points in (keypoints, predicted)
        )
        return side_by_side(plain, *poses)

    def about(self) -> Mapping[str, Any]:
        """Returns the joints."""
        return {"joints": list(self.names)}

    @classmethod
    def of_model(cls, about: Mapping[str, Any]) -> "Pose":
        """Returns the task of the joints; any number of joints can be decoded and drawn."""
        names = about.get("joints") or ("",)
        return cls(len(names), names=tuple(map(str, names)))


def _joints(maps: tf.Tensor) -> tf.Tensor:
    """Returns the joints [batch, joints, (x, y, height of the peak)] of heatmaps."""
    positions, heights = heatmaps.decode(maps)
    return tf.concat([positions, heights[..., None]], -1)


def _mirrored(joints: int, swaps: Sequence[tuple[int, int]]) -> list[int]:
    order = list(range(joints))
    for left, right in swaps:
        order[left], order[right] = right, left
    return order
