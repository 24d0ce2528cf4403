"""Reads BCCD: blood cells under a microscope, with boxes, laid out as PASCAL VOC."""

from pathlib import Path

import tensorflow_datasets as tfds

from nas_tf.data.builder import DenseBuilder, Item
from nas_tf.data.info import DatasetInfo
from nas_tf.data.voc_boxes import voc_items

INFO = DatasetInfo(
    name="bccd",
    title="BCCD blood cells, boxes of three classes (MIT)",
    targets=("boxes",),
    splits={"train": 205, "val": 87, "test": 72},
    how_to_get=(
        "copy Annotations, ImageSets and JPEGImages of BCCD_Dataset's folder BCCD into DIR, then "
        "run nas-tf data prepare bccd --source DIR"
    ),
    classes=("RBC", "WBC", "Platelets"),
    palette=((214, 39, 40), (31, 119, 180), (44, 160, 44)),
)


class Bccd(DenseBuilder):
    """Reads the lists of ImageSets/Main, and the boxes of VOC's XML files."""

    VERSION = tfds.core.Version("1.0.0")
    INFO = INFO

    @classmethod
    def items(cls, source: Path, split: str) -> list[Item] | None:
        """Returns the items of a list, None if there is none."""
        return voc_items(source, split, INFO.classes)
