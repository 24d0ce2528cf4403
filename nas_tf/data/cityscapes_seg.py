"""Reads Cityscapes' fine annotations: 34 label ids, of which 19 are trained and scored."""

from pathlib import Path

import tensorflow_datasets as tfds

from nas_tf.data.builder import DenseBuilder, Item, labelled
from nas_tf.data.files import list_files
from nas_tf.data.info import DatasetInfo, LabelMap

TRAINED = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)
_IGNORE = 255

INFO = DatasetInfo(
    name="cityscapes_seg",
    title="Cityscapes street scenes, fine labels, 19 classes",
    targets=("label",),
    splits={"train": 2975, "val": 500},
    how_to_get=(
        "register at cityscapes-dataset.com, extract leftImg8bit_trainvaltest.zip and "
        "gtFine_trainvaltest.zip (folders leftImg8bit and gtFine) into DIR, then run "
        "nas-tf data prepare cityscapes_seg --source DIR"
    ),
    classes=(
        *("road", "sidewalk", "building", "wall", "fence", "pole", "traffic light"),
        *("traffic sign", "vegetation", "terrain", "sky", "person", "rider", "car"),
        *("truck", "bus", "train", "motorcycle", "bicycle"),
    ),
    ignore_label=_IGNORE,
    palette="cityscapes",
)
# A licence plate has id -1, which an 8-bit file holds as 255: the ignore label itself.
_LABELS = LabelMap(
    classes=19,
    ignore=_IGNORE,
    mapping=dict.fromkeys(range(34), _IGNORE) | {raw: i for i, raw in enumerate(TRAINED)},
)


class CityscapesSeg(DenseBuilder):
    """Pairs leftImg8bit/SPLIT/CITY/*_leftImg8bit.png with gtFine/.../*_gtFine_labelIds.png."""

    VERSION = tfds.core.Version("1.0.0")
    INFO = INFO

    @classmethod
    def items(cls, source: Path, split: str) -> list[Item] | None:
        """Returns the frames of all cities of a split, in alphabetical order."""
        images = source / "leftImg8bit" / split
        if not images.exists():
            return None
        labels = source / "gtFine" / split
        return [
            _item(image, labels / city.name)
            for city in list_files(images, suffixes=("",))
            for image in list_files(city, suffixes=(".png",))
        ]


def _item(image: Path, labels: Path) -> Item:
    """Returns the item of a frame and its label file."""
    frame = image.stem.removesuffix("_leftImg8bit")
    label = labels / f"{frame}_gtFine_labelIds.png"
    return labelled(frame, image, label, _LABELS)
