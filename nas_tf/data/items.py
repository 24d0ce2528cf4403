"""One example that has not been read yet, and the reading of it."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from nas_tf.data.files import read_image, read_label, same_size
from nas_tf.data.labels import LabelMap

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


def read(item: Item) -> Example:
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
