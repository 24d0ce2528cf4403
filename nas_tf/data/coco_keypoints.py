"""Reads COCO 2017 keypoints: one example for each person with annotated joints."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from nas_tf.data.builder import DenseBuilder, Example, Item
from nas_tf.data.info import DatasetInfo
from nas_tf.data.person_crop import cut_person
from nas_tf.errors import DataError

INFO = DatasetInfo(
    name="coco_keypoints",
    title="COCO 2017 person keypoints, 17 joints, one person an example",
    targets=("keypoints",),
    splits={"train": 149813, "val": 6352},
    how_to_get=(
        "extract train2017.zip, val2017.zip and annotations_trainval2017.zip (folders train2017, "
        "val2017, annotations) into DIR, then run nas-tf data prepare coco_keypoints --source DIR"
    ),
    joints=(
        *("nose", "left eye", "right eye", "left ear", "right ear"),
        *("left shoulder", "right shoulder", "left elbow", "right elbow"),
        *("left wrist", "right wrist", "left hip", "right hip"),
        *("left knee", "right knee", "left ankle", "right ankle"),
    ),
    swaps=((1, 2), (3, 4), (5, 6), (7, 8), (9, 10), (11, 12), (13, 14), (15, 16)),
    extras=("area",),
)
_MARGIN = 1.25


class CocoKeypoints(DenseBuilder):
    """Reads people; leaves out crowds and people without annotated joints, as the papers do."""

    VERSION = tfds.core.Version("1.0.0")
    INFO = INFO

    @classmethod
    def items(cls, source: Path, split: str) -> list[Item] | None:
        """Returns people in the order of the annotation file."""
        listing = source / "annotations" / f"person_keypoints_{split}2017.json"
        if not listing.exists():
            return None
        try:
            content = json.loads(listing.read_text(encoding="utf-8"))
            names = {image["id"]: image["file_name"] for image in content["images"]}
            return [
                _item(source / f"{split}2017" / names[person["image_id"]], person)
                for person in content["annotations"]
                if person["num_keypoints"] > 0 and not person["iscrowd"]
            ]
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(
                f"{listing} is not COCO's keypoint JSON ({type(error).__name__}: {error}): "
                "images and annotations are expected; extract it again"
            ) from error


def _item(image: Path, person: dict[str, Any]) -> Item:
    """Returns a person's item; its id is the annotation's."""
    x, y, width, height = person["bbox"]
    keypoints = np.array(person["keypoints"], np.float32).reshape(-1, 3)
    centre, side = (x + width / 2, y + height / 2), _MARGIN * max(width, height)
    return Item(str(person["id"]), partial(_load, image, centre, side, keypoints, person["area"]))


def _load(
    image: Path, centre: tuple[float, float], side: float, keypoints: np.ndarray, area: float
) -> Example:
    """Reads the person's square; the area is scaled with it."""
    example, scale = cut_person(image, centre, side, keypoints)
    return {**example, "area": np.array([area * scale**2], np.float32)}
