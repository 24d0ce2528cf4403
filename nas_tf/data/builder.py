"""The tfds builder all datasets share: each of them only lists its items and reads one."""

from abc import abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, NoReturn

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from nas_tf.data.files import is_plain_jpeg, read_image, read_label, same_size
from nas_tf.data.info import DatasetInfo, LabelMap
from nas_tf.errors import DataError

Example = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Item:
    """A named example; checking and preparing a dataset read the same items.

    ``load`` returns the example dictionary or raises a DataError that names the file.
    ``image`` is the picture's own file where the example shows all of it.
    """

    id: str
    load: Callable[[], Example]
    image: Path | None = None


def labelled(name: str, image: Path, label: Path, label_map: LabelMap) -> Item:
    """The usual item: a picture and a file of class indices of the same size."""
    return Item(name, partial(_load_pair, image, label, label_map), image)


def read_item(item: Item) -> Example:
    """Loads an item and makes sure that its dense targets fit its image."""
    example = item.load()
    for key in ("label", "depth"):
        if key in example:
            same_size(example["image"], example[key], f"{key} of {item.id}", item.image or item.id)
    return example


def _load_pair(image: Path, label: Path, label_map: LabelMap) -> dict[str, np.ndarray]:
    """The pair's pixels and class indices."""
    raw = read_label(label, coloured=label_map.coloured)
    return {"image": read_image(image), "label": label_map(raw, label)}


class DenseBuilder(tfds.core.GeneratorBasedBuilder):
    """Turns a dataset's items into prepared records, checked while they are written.

    A dataset states INFO, a VERSION and ``items``; checking and preparing read the same items.
    """

    INFO: ClassVar[DatasetInfo]

    url_infos: ClassVar[dict[str, Any]] = {}  # tfds looks for checksums of downloads: none
    source = Path()
    skip_broken = False

    @classmethod
    @abstractmethod
    def items(cls, source: Path, split: str) -> list[Item] | None:
        """The examples of a split in their published order, or None where the split is absent."""

    def _info(self) -> tfds.core.DatasetInfo:
        """The tfds view of INFO."""
        return tfds.core.DatasetInfo(
            builder=self,
            description=self.INFO.title,
            features=tfds.features.FeaturesDict(features(self.INFO)),
            metadata=tfds.core.MetadataDict(broken=[]),
            disable_shuffling=True,
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Any]:
        """One generator for every split that is there; nothing is ever downloaded."""
        found = available(type(self), self.source)
        return {split: self._generate_examples(items) for split, items in found.items()}

    def _generate_examples(self, items: list[Item]) -> Iterator[tuple[str, Example]]:
        """Reads item by item; a broken one stops the preparation unless it may be skipped."""
        for item in items:
            try:
                example = read_item(item)
            except DataError as error:
                if not self.skip_broken:
                    raise
                self.info.metadata["broken"].append(str(error))
                continue
            yield item.id, _stored(item, example)


def available(builder: type[DenseBuilder], source: Path) -> dict[str, list[Item]]:
    """The items of every split found in a source; an empty split is an error."""
    present = found(builder, source, builder.items)
    for split, items in present.items():
        if not items:
            raise DataError(empty(builder.INFO, source, split))
    return present


def found(
    builder: type[DenseBuilder],
    source: Path,
    items_of: Callable[[Path, str], list[Item] | None],
) -> dict[str, list[Item]]:
    """What ``items_of`` gives for every split that is there, an item that is doubled as broken."""
    info = builder.INFO
    if not source.is_dir():
        raise DataError(f"source {source} of {info.name} is not a folder; {info.how_to_get}")
    every = {split: items_of(source, split) for split in info.splits}
    present = {split: items for split, items in every.items() if items is not None}
    if not present:
        raise DataError(f"no split of {info.name} is in {source}; {info.how_to_get}")
    return {split: _once(info, split, items) for split, items in present.items()}


def empty(info: DatasetInfo, source: Path, split: str) -> str:
    """The line on a split without examples."""
    return (
        f"split {split} of {info.name} in {source} is empty: "
        "at least one example is needed; fill it or remove its list"
    )


def _once(info: DatasetInfo, split: str, items: list[Item]) -> list[Item]:
    """The items with one in place of all of the same name, which says so when it is read."""
    times = Counter(item.id for item in items)
    if len(times) == len(items):
        return items

    def refuse(name: str) -> NoReturn:
        raise DataError(
            f"example {name} of {info.name} is listed {times[name]} times in split {split}: "
            "keep one of the lines"
        )

    first = {item.id: item for item in reversed(items)}
    return [
        first[name] if count == 1 else Item(name, partial(refuse, name))
        for name, count in times.items()
    ]


def features(info: DatasetInfo) -> dict[str, Any]:
    """How each part of an example is stored; floats and labels without loss."""
    people = tfds.features.Tensor(shape=(None,), dtype=tf.float32)
    joints = (None, len(info.joints), 3)
    kinds = {
        "label": tfds.features.Image(shape=(None, None, 1), encoding_format="png"),
        "depth": tfds.features.Image(shape=(None, None, 1), dtype=np.float32),
        "keypoints": tfds.features.Tensor(shape=joints, dtype=tf.float32),
        "head_size": people,
        "area": people,
    }
    wanted = (*info.targets, *info.extras)
    return {
        "id": tfds.features.Text(),
        "image": tfds.features.Image(shape=(None, None, 3)),
        **{key: kinds[key] for key in wanted},
    }


def _stored(item: Item, example: Example) -> Example:
    """The example as tfds encodes it: a JPEG keeps its own bytes, dense targets get a channel."""
    stored = {"id": item.id, **example}
    if item.image is not None and is_plain_jpeg(item.image):
        stored["image"] = str(item.image)
    for key in ("label", "depth"):
        if key in stored:
            stored[key] = stored[key][..., None]
    return stored
