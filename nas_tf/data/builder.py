"""Defines the tfds builder that all datasets share; a dataset only lists its items."""

from abc import abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, NoReturn

import numpy as np
import tensorflow_datasets as tfds

from nas_tf.data.files import is_plain_jpeg, read_image, read_label
from nas_tf.data.info import DatasetInfo, LabelMap
from nas_tf.data.targets import TARGETS
from nas_tf.errors import DataError

Example = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Item:
    """A named example that is not read yet; checking and preparing use the same items.

    ``load`` returns the example dictionary or raises a DataError that names the file.
    ``image`` is the picture's own file if the example shows all of it.
    """

    id: str
    load: Callable[[], Example]
    image: Path | None = None


def labelled(name: str, image: Path, label: Path, label_map: LabelMap) -> Item:
    """Returns the item of a picture and a file of class indices of the same size."""
    return Item(name, partial(_load_pair, image, label, label_map), image)


def read_item(item: Item, info: DatasetInfo) -> Example:
    """Loads an item of a dataset and raises if its targets do not fit its image."""
    return _checked(item, item.load(), info)


def read_without_faults(item: Item, info: DatasetInfo) -> tuple[Example, list[str]]:
    """Loads an item without the boxes that are wrong; returns what is wrong in each, too.

    Raises if another target does not fit the image.
    """
    example, faults = _without_faults(item, item.load(), info)
    return _checked(item, example, info), faults


def _checked(item: Item, example: Example, info: DatasetInfo) -> Example:
    size, file = example["image"].shape[:2], str(item.image or item.id)
    for key, target in TARGETS.items():
        fault = target.fault(example[key], size, item.id, file, info) if key in example else None
        if fault is not None:
            raise DataError(fault)
    return example


def _load_pair(image: Path, label: Path, label_map: LabelMap) -> dict[str, np.ndarray]:
    """Returns the picture's pixels and the class indices."""
    raw = read_label(label, coloured=label_map.coloured)
    return {"image": read_image(image), "label": label_map(raw, label)}


class DenseBuilder(tfds.core.GeneratorBasedBuilder):
    """Turns a dataset's items into prepared records, checked while they are written.

    A subclass defines INFO, a VERSION and ``items``; checking and preparing read the same items.
    docs/extend/dataset.md has a complete example.
    """

    INFO: ClassVar[DatasetInfo]
    FOLDERS: ClassVar[tuple[str, ...]] = ()
    """Other names of its folder in $NAS_TF_DATA."""

    url_infos: ClassVar[dict[str, Any]] = {}  # no checksums of downloads
    source = Path()
    skip_broken = False

    @classmethod
    @abstractmethod
    def items(cls, source: Path, split: str) -> list[Item] | None:
        """Returns a split's items in their published order, or None if the split is absent."""

    def _info(self) -> tfds.core.DatasetInfo:
        """Returns INFO in the form of tfds."""
        return tfds.core.DatasetInfo(
            builder=self,
            description=self.INFO.title,
            features=tfds.features.FeaturesDict(features(self.INFO)),
            metadata=tfds.core.MetadataDict(broken=[], left_out=[], without_boxes=[]),
            disable_shuffling=True,
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Any]:
        """Returns a generator for every split of the source; nothing is ever downloaded."""
        present = available(type(self), self.source)
        return {split: self._generate_examples(split, items) for split, items in present.items()}

    def _generate_examples(self, split: str, items: list[Item]) -> Iterator[tuple[str, Example]]:
        """Reads item by item; a broken item raises, or is skipped with ``skip_broken``.

        The metadata list boxes that are not inside their image, which are left out, and splits
        without any box.
        """
        boxes = 0
        for item in items:
            try:
                example, faults = read_without_faults(item, self.INFO)
                self.info.metadata["left_out"].extend(faults)
            except DataError as error:
                if not self.skip_broken:
                    raise
                self.info.metadata["broken"].append(str(error))
                continue
            boxes += len(example.get("boxes", ()))
            yield item.id, _stored(item, example)
        if "boxes" in self.INFO.targets and not boxes:
            self.info.metadata["without_boxes"].append(split)


def _without_faults(item: Item, example: Example, info: DatasetInfo) -> tuple[Example, list[str]]:
    """Returns the example without the boxes that are wrong, and what is wrong in each."""
    size, file = example["image"].shape[:2], str(item.image or item.id)
    found: list[str] = []
    for key, target in TARGETS.items():
        if key in example:
            kept, faults = target.without_faults(example[key], size, item.id, file, info)
            example, found = example | {key: kept}, found + faults
    return example, found


def available(builder: type[DenseBuilder], source: Path) -> dict[str, list[Item]]:
    """Returns the items of every split found in a source; raises if a split is empty."""
    present = present_splits(builder, source, builder.items)
    for split, items in present.items():
        if not items:
            raise DataError(empty_split_message(builder.INFO, source, split))
    return present


def present_splits(
    builder: type[DenseBuilder],
    source: Path,
    items_of: Callable[[Path, str], list[Item] | None],
) -> dict[str, list[Item]]:
    """Returns ``items_of`` every split that is there; an item that is listed twice is broken."""
    info = builder.INFO
    if not source.is_dir():
        raise DataError(f"source {source} of {info.name} is not a folder; {info.how_to_get}")
    listed = {split: items_of(source, split) for split in info.splits}
    present = {split: items for split, items in listed.items() if items is not None}
    if not present:
        raise DataError(f"no split of {info.name} is in {source}; {info.how_to_get}")
    return {split: _without_duplicates(info, split, items) for split, items in present.items()}


def empty_split_message(info: DatasetInfo, source: Path, split: str) -> str:
    """Returns the message on a split without examples."""
    return (
        f"split {split} of {info.name} in {source} is empty: "
        "at least one example is needed; fill it or remove its list"
    )


def _without_duplicates(info: DatasetInfo, split: str, items: list[Item]) -> list[Item]:
    """Replaces all items of the same name by one that raises when it is read."""
    counts = Counter(item.id for item in items)
    if len(counts) == len(items):
        return items

    def refuse(name: str) -> NoReturn:
        raise DataError(
            f"example {name} of {info.name} is listed {counts[name]} times in split {split}: "
            "keep one of the lines"
        )

    first = {item.id: item for item in reversed(items)}
    return [
        first[name] if count == 1 else Item(name, partial(refuse, name))
        for name, count in counts.items()
    ]


def features(info: DatasetInfo) -> dict[str, Any]:
    """Returns the tfds feature of each part of an example; floats and labels lose nothing."""
    stored = {key: TARGETS[key].feature(info) for key in (*info.targets, *info.extras)}
    return {
        "id": tfds.features.Text(),
        "image": tfds.features.Image(shape=(None, None, 3)),
        **{key: feature for key, feature in stored.items() if feature is not None},
    }


def _stored(item: Item, example: Example) -> Example:
    """Returns the example for tfds: a JPEG as its own bytes, targets in their features' form."""
    stored = {"id": item.id, **example}
    if item.image is not None and is_plain_jpeg(item.image):
        stored["image"] = str(item.image)
    targets = {key: value for key, value in example.items() if key in TARGETS}
    return stored | {key: TARGETS[key].to_record(value) for key, value in targets.items()}
