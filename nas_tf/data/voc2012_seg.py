"""Reads PASCAL VOC 2012 segmentation, with SBD's extra annotations as split trainaug."""

from functools import partial
from pathlib import Path

import numpy as np
import tensorflow_datasets as tfds

from nas_tf.data.builder import DenseBuilder, Example, Item, labelled
from nas_tf.data.files import read_image, read_lines, read_matrix
from nas_tf.data.info import DatasetInfo, LabelMap

INFO = DatasetInfo(
    name="voc2012_seg",
    title="PASCAL VOC 2012 segmentation, 20 classes and background",
    targets=("label",),
    splits={"train": 1464, "val": 1449, "trainaug": 10582},
    how_to_get=(
        "extract VOCtrainval_11-May-2012.tar (VOCdevkit/VOC2012) and, for trainaug, SBD's "
        "benchmark.tgz (benchmark_RELEASE/dataset) into DIR, then run "
        "nas-tf data prepare voc2012_seg --source DIR"
    ),
    classes=(
        *("background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat"),
        *("chair", "cow", "diningtable", "dog", "horse", "motorbike", "person"),
        *("pottedplant", "sheep", "sofa", "train", "tvmonitor"),
    ),
)
_LABELS = LabelMap(classes=21, ignore=255)


class Voc2012Seg(DenseBuilder):
    """Reads palette PNG of the development kit, and .mat of SBD for images VOC does not label."""

    VERSION = tfds.core.Version("1.0.0")
    INFO = INFO

    @classmethod
    def items(cls, source: Path, split: str) -> list[Item] | None:
        """Returns the pairs of a list file; trainaug is SBD and VOC train without VOC val."""
        kit, extra = source / "VOCdevkit" / "VOC2012", source / "benchmark_RELEASE" / "dataset"
        if not (kit / "ImageSets").exists() or (split == "trainaug" and not extra.exists()):
            return None
        if split != "trainaug":
            return [_voc_item(kit, name) for name in _names(kit, split)]
        own, held_out = _names(kit, "train"), set(_names(kit, "val"))
        listed = read_lines(extra / "train.txt") + read_lines(extra / "val.txt")
        added = sorted({line[0] for line in listed} - held_out - set(own))
        return [_voc_item(kit, name) for name in own] + [_sbd_item(extra, name) for name in added]


def _names(kit: Path, split: str) -> list[str]:
    """Returns the image names of one of VOC's own splits."""
    return [line[0] for line in read_lines(kit / "ImageSets" / "Segmentation" / f"{split}.txt")]


def _voc_item(kit: Path, name: str) -> Item:
    """Returns the item of a pair of the development kit."""
    image = kit / "JPEGImages" / f"{name}.jpg"
    label = kit / "SegmentationClass" / f"{name}.png"
    return labelled(name, image, label, _LABELS)


def _sbd_item(extra: Path, name: str) -> Item:
    """Returns the item of a pair of the Semantic Boundaries Dataset."""
    image = extra / "img" / f"{name}.jpg"
    return Item(name, partial(_load_sbd, image, extra / "cls" / f"{name}.mat"), image)


def _load_sbd(image: Path, label: Path) -> Example:
    """Reads a picture and the Segmentation field of its GTcls struct."""
    raw = read_matrix(label, "GTcls")["Segmentation"][0, 0]
    return {"image": read_image(image), "label": _LABELS(raw.astype(np.int32), label)}
