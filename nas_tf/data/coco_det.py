"""Reads COCO 2017 for detection: boxes of 80 classes."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import tensorflow_datasets as tfds

from nas_tf.data.builder import DenseBuilder, Example, Item
from nas_tf.data.coco_file import CocoFile, read_coco
from nas_tf.data.files import read_image
from nas_tf.data.info import DatasetInfo
from nas_tf.errors import DataError

INFO = DatasetInfo(
    name="coco_det",
    title="COCO 2017 detection, boxes of 80 classes",
    targets=("boxes",),
    splits={"train": 118287, "val": 5000},
    how_to_get=(
        "extract train2017.zip, val2017.zip and annotations_trainval2017.zip (folders train2017, "
        "val2017, annotations) into DIR, then run nas-tf data prepare coco_det --source DIR"
    ),
    classes=(
        *("person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat"),
        *("traffic light", "fire hydrant", "stop sign", "parking meter", "bench", "bird", "cat"),
        *("dog", "horse", "sheep", "cow", "elephant", "bear", "zebra", "giraffe", "backpack"),
        *("umbrella", "handbag", "tie", "suitcase", "frisbee", "skis", "snowboard"),
        *("sports ball", "kite", "baseball bat", "baseball glove", "skateboard", "surfboard"),
        *("tennis racket", "bottle", "wine glass", "cup", "fork", "knife", "spoon", "bowl"),
        *("banana", "apple", "sandwich", "orange", "broccoli", "carrot", "hot dog", "pizza"),
        *("donut", "cake", "chair", "couch", "potted plant", "bed", "dining table", "toilet"),
        *("tv", "laptop", "mouse", "remote", "keyboard", "cell phone", "microwave", "oven"),
        *("toaster", "sink", "refrigerator", "book", "clock", "vase", "scissors", "teddy bear"),
        *("hair drier", "toothbrush"),
    ),
    palette="distinct",
)


@dataclass(frozen=True)
class CocoSplit:
    """The annotation file of a split, the folder of its pictures, and the names of categories."""

    file: CocoFile
    folder: Path
    categories: Mapping[int, str]

    def items(self, names: Iterable[str], load: Callable[..., Example]) -> list[Item]:
        """Returns items of pictures; ``load`` is called with the picture, the file and a name."""
        paths = {name: self.folder / self.file.images[name].file_name for name in names}
        return [
            Item(name, partial(load, path, self.file, name), path) for name, path in paths.items()
        ]


def read_split(source: Path, split: str) -> CocoSplit | None:
    """Reads the objects of a split of COCO 2017; returns None if the file is absent."""
    listing = source / "annotations" / f"instances_{split}2017.json"
    if not listing.exists():
        return None
    coco = read_coco(listing)
    categories = {category.id: category.name for category in coco.categories}
    if set(categories.values()) != set(INFO.classes):
        raise DataError(
            f"{listing} has other categories than COCO's 80, such as "
            f"{sorted(set(categories.values()) ^ set(INFO.classes))[0][:40]!r}; extract it again, "
            "or describe the folder by a dataset.yaml"
        )
    return CocoSplit(coco, source / f"{split}2017", categories)


class CocoDet(DenseBuilder):
    """Reads all pictures with their boxes; leaves out crowds, which stand for many objects."""

    VERSION = tfds.core.Version("1.0.0")
    INFO = INFO

    @classmethod
    def items(cls, source: Path, split: str) -> list[Item] | None:
        """Returns the pictures of an annotation file, None if there is none."""
        found = read_split(source, split)
        if found is None:
            return None
        index = {key: INFO.classes.index(name) for key, name in found.categories.items()}
        return found.items(found.file.images, partial(_load, index))


def _load(index: Mapping[int, int], image: Path, coco: CocoFile, name: str) -> Example:
    pixels = read_image(image, upright=False)
    return {"image": pixels, "boxes": coco.boxes(name, pixels.shape[:2], index)}
