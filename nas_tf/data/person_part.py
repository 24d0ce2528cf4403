"""Reads PASCAL-Person-Part: six body parts on people of VOC 2010."""

from pathlib import Path

import tensorflow_datasets as tfds

from nas_tf.data.builder import DenseBuilder, Item, labelled
from nas_tf.data.files import read_lines
from nas_tf.data.info import DatasetInfo, LabelMap

INFO = DatasetInfo(
    name="person_part",
    title="PASCAL-Person-Part, six body parts and background",
    targets=("label",),
    splits={"train": 1716, "val": 1817},
    how_to_get=(
        "extract pascal_person_part.zip (pascal_person_part_gt and "
        "pascal_person_part_trainval_list with train.txt and val.txt) and VOC 2010's JPEGImages "
        "into DIR, then run nas-tf data prepare person_part --source DIR"
    ),
    classes=("background", "head", "torso", "upper arm", "lower arm", "upper leg", "lower leg"),
)
_LABELS = LabelMap(classes=7, ignore=255)


class PersonPart(DenseBuilder):
    """Reads list files of image names; each image has a PNG of part indices of its name."""

    VERSION = tfds.core.Version("1.0.0")
    INFO = INFO

    @classmethod
    def items(cls, source: Path, split: str) -> list[Item] | None:
        """Returns an item for each line; its name is the stem of the line's first word."""
        listing = source / "pascal_person_part_trainval_list" / f"{split}.txt"
        if not listing.exists():
            return None
        return [_item(source, Path(words[0]).stem) for words in read_lines(listing)]


def _item(source: Path, name: str) -> Item:
    """Returns the item of a picture and its body parts."""
    image = source / "JPEGImages" / f"{name}.jpg"
    label = source / "pascal_person_part_gt" / f"{name}.png"
    return labelled(name, image, label, _LABELS)
