"""Reads clean pictures to be restored: BSDS500, and the test sets Set12 and BSD68."""

from functools import partial
from pathlib import Path

import tensorflow_datasets as tfds

from nas_tf.data.builder import DenseBuilder, Example, Item
from nas_tf.data.files import list_files, read_image
from nas_tf.data.info import DatasetInfo

_IMAGES = (".", "images", "data/images", "BSDS500/data/images", "BSR/BSDS500/data/images")
"""The folders of the splits in a source, at any depth of the published archive."""


def _info(name: str, title: str, splits: dict[str, int], how_to_get: str) -> DatasetInfo:
    return DatasetInfo(
        name=name,
        title=title,
        targets=("clean",),
        splits=splits,
        how_to_get=f"{how_to_get}, then run nas-tf data prepare {name} --source DIR",
        channels=1,
    )


def clean_items(folder: Path) -> list[Item]:
    """Returns the pictures of a folder, each its own target."""
    return [Item(path.stem, partial(_load, path), path) for path in list_files(folder)]


def _load(path: Path) -> Example:
    return {"image": read_image(path)}


class Bsd500(DenseBuilder):
    """Reads the pictures of BSDS500; the outlines that people drew are not used."""

    VERSION = tfds.core.Version("1.0.0")
    FOLDERS = ("bsds500",)
    INFO = _info(
        "bsd500",
        "BSDS500 photographs, to be restored (non-commercial research)",
        {"train": 200, "val": 100, "test": 200},
        "extract BSR_bsds500.tgz of the Berkeley Segmentation Data Set to DIR",
    )

    @classmethod
    def items(cls, source: Path, split: str) -> list[Item] | None:
        """Returns the pictures of a split's folder, None if there is none."""
        folders = (source / images / split for images in _IMAGES)
        folder = next((folder for folder in folders if folder.is_dir()), None)
        return None if folder is None else clean_items(folder)


class Set12(DenseBuilder):
    """Reads the twelve grey pictures on which denoisers are compared."""

    VERSION = tfds.core.Version("1.0.0")
    INFO = _info(
        "set12", "Set12, grey test pictures", {"test": 12}, "copy 01.png to 12.png to DIR"
    )

    @classmethod
    def items(cls, source: Path, split: str) -> list[Item] | None:
        """Returns the pictures of the folder."""
        return clean_items(source)


class Bsd68(DenseBuilder):
    """Reads the 68 grey pictures of the Berkeley data on which denoisers are compared."""

    VERSION = tfds.core.Version("1.0.0")
    INFO = _info(
        "bsd68",
        "BSD68, grey test pictures",
        {"test": 68},
        "copy test001.png to test068.png to DIR",
    )

    @classmethod
    def items(cls, source: Path, split: str) -> list[Item] | None:
        """Returns the pictures of the folder."""
        return clean_items(source)
