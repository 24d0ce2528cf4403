"""Reads CamVid as published with SegNet: 11 classes, 360 x 480, 367/101/233 images."""

from pathlib import Path

import tensorflow_datasets as tfds

from nas_tf.data.builder import DenseBuilder, Item, labelled
from nas_tf.data.files import read_lines
from nas_tf.data.info import DatasetInfo, LabelMap
from nas_tf.errors import DataError

INFO = DatasetInfo(
    name="camvid",
    title="CamVid road scenes, SegNet's 11 classes (CC BY-NC 4.0)",
    targets=("label",),
    splits={"train": 367, "val": 101, "test": 233},
    how_to_get=(
        "copy train.txt, val.txt, test.txt and the folders train, trainannot, val, valannot, "
        "test, testannot of SegNet's CamVid folder into DIR, then run "
        "nas-tf data prepare camvid --source DIR"
    ),
    classes=(
        *("Sky", "Building", "Pole", "Road", "Pavement", "Tree"),
        *("SignSymbol", "Fence", "Car", "Pedestrian", "Bicyclist"),
    ),
    ignore_label=11,
    palette="camvid",
)
_LABELS = LabelMap(classes=11, ignore=11)


class Camvid(DenseBuilder):
    """Reads train.txt, val.txt and test.txt, whose lines hold an image and its label."""

    VERSION = tfds.core.Version("1.0.0")
    INFO = INFO

    @classmethod
    def items(cls, source: Path, split: str) -> list[Item] | None:
        """Returns the pairs of a list file; the published lists have absolute paths."""
        listing = source / f"{split}.txt"
        if not listing.exists():
            return None
        items = []
        for number, words in enumerate(read_lines(listing), start=1):
            if len(words) != 2:
                raise DataError(
                    f"{listing} line {number} has {len(words)} words: "
                    "an image and a label are accepted; correct the line"
                )
            image, label = (_local(source, word) for word in words)
            items.append(labelled(image.stem, image, label, _LABELS))
        return items


def _local(source: Path, listed: str) -> Path:
    """Returns the last two parts of a listed path, such as train/x.png, below the source."""
    return source.joinpath(*Path(listed).parts[-2:])
