"""Reads MPII Human Pose: one example for each annotated person."""

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from nas_tf.data.builder import DenseBuilder, Example, Item
from nas_tf.data.files import read_matrix
from nas_tf.data.info import DatasetInfo
from nas_tf.data.person_crop import cut_person
from nas_tf.errors import DataError

INFO = DatasetInfo(
    name="mpii_pose",
    title="MPII Human Pose, 16 joints, one person an example",
    targets=("keypoints",),
    splits={"train": 22246, "val": 2958},
    how_to_get=(
        "extract mpii_human_pose_v1.tar.gz (folder images) and put train.json, valid.json and "
        "gt_valid.mat of the usual MPII annotations into DIR/annot, then run "
        "nas-tf data prepare mpii_pose --source DIR"
    ),
    joints=(
        *("right ankle", "right knee", "right hip", "left hip", "left knee", "left ankle"),
        *("pelvis", "thorax", "upper neck", "head top"),
        *("right wrist", "right elbow", "right shoulder"),
        *("left shoulder", "left elbow", "left wrist"),
    ),
    swaps=((0, 5), (1, 4), (2, 3), (10, 15), (11, 14), (12, 13)),
    unscored_joints=("pelvis", "thorax"),
    extras=("head_size",),
    unscored_splits=("train",),
)
_PERSON_HEIGHT, _MARGIN, _HEAD = 200, 1.25, 0.6


class MpiiPose(DenseBuilder):
    """Reads the joints from JSON files and the head boxes, the unit of PCKh, from gt_valid.mat."""

    VERSION = tfds.core.Version("1.0.0")
    INFO = INFO

    @classmethod
    def items(cls, source: Path, split: str) -> list[Item] | None:
        """Returns people in file order; training people have no head size, stored as 0."""
        listing = source / "annot" / {"train": "train.json", "val": "valid.json"}[split]
        if not listing.exists():
            return None
        try:
            people = json.loads(listing.read_text(encoding="utf-8"))
            heads = [0.0] * len(people)
            if split == "val":
                heads = _head_sizes(listing.with_name("gt_valid.mat"), len(people))
            return [
                _item(f"{split}-{number:05d}", source / "images" / person["image"], person, head)
                for number, (person, head) in enumerate(zip(people, heads, strict=True))
            ]
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(
                f"{listing} is not MPII's JSON ({type(error).__name__}: {error}): a list of "
                "people with image, center, scale, joints, joints_vis is expected"
            ) from error


def _head_sizes(path: Path, people: int) -> Sequence[float]:
    """Returns 0.6 of the diagonal of each head box, as MPII's evaluation defines it."""
    boxes = read_matrix(path, "headboxes_src")
    if boxes.shape != (2, 2, people):
        raise DataError(f"{path} holds {boxes.shape[-1]} head boxes for {people} people")
    return (_HEAD * np.linalg.norm(boxes[1] - boxes[0], axis=0)).tolist()


def _item(name: str, image: Path, person: dict[str, Any], head: float) -> Item:
    """Returns a person's item; MPII counts pixels from 1, and its centre is above the hips."""
    x, y = (value - 1 for value in person["center"])
    side = person["scale"] * _PERSON_HEIGHT * _MARGIN
    joints = np.array(person["joints"], np.float32) - 1
    visibility = 2 * np.array(person["joints_vis"], np.float32)
    keypoints = np.concatenate([joints, visibility[:, None]], axis=1)
    centre = (x, y + 15 * person["scale"])
    return Item(name, partial(_load, image, centre, side, keypoints, head))


def _load(
    image: Path, centre: tuple[float, float], side: float, keypoints: np.ndarray, head: float
) -> Example:
    """Reads the person's square; the head size is scaled with it."""
    example, scale = cut_person(image, centre, side, keypoints)
    return {**example, "head_size": np.array([head * scale], np.float32)}
