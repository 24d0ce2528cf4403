"""Reads COCO 2017 for segmentation with the 20 classes of PASCAL VOC and background."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import tensorflow_datasets as tfds

from nas_tf.data.builder import DenseBuilder, Example, Item
from nas_tf.data.coco_det import read_split
from nas_tf.data.coco_file import CocoFile
from nas_tf.data.files import read_image
from nas_tf.data.voc2012_seg import INFO as VOC

INFO = replace(
    VOC,
    name="coco_voc_seg",
    title="COCO 2017 segmentation, the 20 classes of PASCAL VOC and background",
    splits={"train": None, "val": None},
    how_to_get=(
        "extract train2017.zip, val2017.zip and annotations_trainval2017.zip (folders train2017, "
        "val2017, annotations) into DIR, then run nas-tf data prepare coco_voc_seg --source DIR"
    ),
)
_COCO_NAMES = {
    **{"aeroplane": "airplane", "motorbike": "motorcycle", "sofa": "couch", "tvmonitor": "tv"},
    **{"pottedplant": "potted plant", "diningtable": "dining table"},
}
"""COCO's names of the classes that have another name in VOC."""
_LABELS = {
    _COCO_NAMES.get(name, name): label for label, name in enumerate(INFO.classes) if label > 0
}


class CocoVocSeg(DenseBuilder):
    """Reads the pictures on which an object of VOC's classes is outlined, crowds not counted.

    Where objects overlap, the one with the smaller annotated area is on top. Pixels of crowds
    are ignored, objects of other categories are background.
    """

    VERSION = tfds.core.Version("1.0.0")
    INFO = INFO
    FOLDERS = ("coco_det",)

    @classmethod
    def items(cls, source: Path, split: str) -> list[Item] | None:
        """Returns the pictures in the order of the annotation file, None if there is none."""
        found = read_split(source, split)
        if found is None:
            return None
        labels = {key: _LABELS[name] for key, name in found.categories.items() if name in _LABELS}
        names = found.file.pictures_with_outlines(labels)
        return found.items(names, partial(_load, labels))


def _load(labels: Mapping[int, int], image: Path, coco: CocoFile, name: str) -> Example:
    pixels = read_image(image, upright=False)
    label = coco.mask(name, pixels.shape[:2], labels, INFO.ignore_label)
    return {"image": pixels, "label": label}
