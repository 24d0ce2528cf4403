"""Reads PASCAL VOC 2007 and 2012 for detection: boxes of 20 classes."""

from pathlib import Path

import tensorflow_datasets as tfds

from nas_tf.data.builder import DenseBuilder, Item
from nas_tf.data.info import DatasetInfo
from nas_tf.data.voc2012_seg import INFO as SEGMENTATION
from nas_tf.data.voc_boxes import voc_items

_CLASSES = SEGMENTATION.classes[1:]


def _info(year: int, splits: dict[str, int | None], archive: str) -> DatasetInfo:
    return DatasetInfo(
        name=f"voc{year}_det",
        title=f"PASCAL VOC {year} detection, boxes of 20 classes",
        targets=("boxes",),
        splits=splits,
        how_to_get=(
            f"extract {archive} (VOCdevkit/VOC{year}) into DIR, then run "
            f"nas-tf data prepare voc{year}_det --source DIR"
        ),
        classes=_CLASSES,
        palette=SEGMENTATION.colours[1:],
    )


class Voc2007Det(DenseBuilder):
    """Reads the lists of ImageSets/Main of 2007, whose test split is public."""

    VERSION = tfds.core.Version("1.0.0")
    INFO = _info(
        2007,
        {"train": 2501, "val": 2510, "trainval": 5011, "test": 4952},
        "VOCtrainval_06-Nov-2007.tar and VOCtest_06-Nov-2007.tar",
    )

    @classmethod
    def items(cls, source: Path, split: str) -> list[Item] | None:
        """Returns the items of a list, None if there is none."""
        return voc_items(source / "VOCdevkit" / "VOC2007", split, _CLASSES)


class Voc2012Det(DenseBuilder):
    """Reads the lists of ImageSets/Main of 2012."""

    VERSION = tfds.core.Version("1.0.0")
    INFO = _info(
        2012,
        {"train": 5717, "val": 5823, "trainval": 11540},
        "VOCtrainval_11-May-2012.tar",
    )

    @classmethod
    def items(cls, source: Path, split: str) -> list[Item] | None:
        """Returns the items of a list, None if there is none."""
        return voc_items(source / "VOCdevkit" / "VOC2012", split, _CLASSES)
