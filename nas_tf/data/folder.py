"""A user's own data set: a folder of pictures and a dataset.yaml that says what is where."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NoReturn

import numpy as np
import tensorflow_datasets as tfds

from nas_tf.data.builder import DenseBuilder, Example, Item
from nas_tf.data.dataset_file import NAME, read_settings
from nas_tf.data.files import IMAGE_SUFFIXES, read_depth, read_image, read_label, read_lines
from nas_tf.data.folder_annotations import Annotations
from nas_tf.data.folder_layout import Layout
from nas_tf.data.path_pattern import inside
from nas_tf.errors import DataError
from nas_tf.pictures import REFUSED_SUFFIXES

PREFIX = "folder:"


def folder_builder(name: str) -> type[DenseBuilder]:
    """The builder class of ``folder:DIR``; its prepared copy is tied to the files' state."""
    root = Path(name.removeprefix(PREFIX)).expanduser().resolve()
    layout = Layout(root, read_settings(root / NAME))
    meaning = Annotations(layout)
    bound, folder = meaning.info(name), _Folder(layout, meaning)

    class Folder(DenseBuilder, skip_registration=True):
        """Reads this folder and no other."""

        VERSION = tfds.core.Version("1.0.0")
        INFO = bound
        name = f"folder_{_slug(root.name)}_{layout.state()}"
        source = root

        @classmethod
        def items(cls, source: Path, split: str) -> list[Item] | None:
            """The examples of a split; a label that no picture asks for is a broken one, too."""
            return list(folder.items(split))

    return Folder


@dataclass(frozen=True)
class _Folder:
    """A folder as its dataset.yaml describes it."""

    layout: Layout
    meaning: Annotations

    def items(self, split: str) -> Iterator[Item]:
        """The examples of a split, then what is there and belongs to none."""
        if self.layout.listing(split):
            yield from self._listed(split)
        elif self.layout.names_from:
            yield from self._annotated(split)
        else:
            yield from self._found(split)

    def _listed(self, split: str) -> Iterator[Item]:
        """Examples named line by line, relative to the pictures, with or without suffix."""
        root, images = self.layout.root, self.layout.images
        listing = Path(str(self.layout.listing(split)))
        for words in read_lines(root / inside(root, listing, NAME)):
            line = " ".join(words)
            inside(root, Path(line), str(listing))
            given = line.lower().endswith(IMAGE_SUFFIXES)
            name = str(Path(line).with_suffix("")) if given else line
            image = images.path(self.layout.key(images, split), name)
            yield self._item(name, split, name, image)

    def _annotated(self, split: str) -> Iterator[Item]:
        """The pictures of a JSON; of keypoints, those with a person."""
        place, images = self.layout.names_from, self.layout.images
        content = self.meaning.coco(place, split)
        for name in content.people() if place is self.layout.keypoints else content.images:
            usual = images.path(self.layout.key(images, split), name)
            whole = self.layout.root / content.images[name].file_name
            places = (usual, images.path(None, name), whole)
            image = next((path for path in places if _is_file(path)), usual)
            yield self._item(f"{split}/{name}", split, name, image)

    def _found(self, split: str) -> Iterator[Item]:
        """Every picture of a split's folder, and labels or pictures that cannot be used."""
        layout, images = self.layout, self.layout.images
        key = layout.key(images, split)
        targets = {
            what: place.names(layout.key(place, split))
            for what, place in (("label", layout.labels), ("depth map", layout.depth))
            if place and place.has_split
        }
        taken = {path for found in targets.values() for paths in found.values() for path in paths}
        found = images.names(key)
        for name, paths in found.items():
            pictures = [path for path in paths if path not in taken]
            if len(pictures) == 1:
                yield self._item(f"{key}/{name}", split, name, pictures[0])
            elif pictures:
                both = " and ".join(str(path) for path in pictures)
                problem = f"example {key}/{name} has {len(pictures)} pictures: {both}; keep one"
                yield Item(f"{key}/{name}", partial(_refuse, problem))
        unread = images.names(key, REFUSED_SUFFIXES)
        for path in [path for paths in unread.values() for path in paths]:
            accepted = ", ".join(IMAGE_SUFFIXES)
            problem = f"image {path} is not of a format that is read: {accepted}; convert it"
            yield Item(f"{key}/{path.name}", partial(_refuse, problem))
        for what, named in targets.items():
            for name in [name for name in named if name not in found and name not in unread]:
                problem = (
                    f"{what} {named[name][0]} has no image in {images.folder(key)}: "
                    f"add the image or remove the {what}"
                )
                yield Item(f"{what} {key}/{name}", partial(_refuse, problem))

    def _item(self, identity: str, split: str, name: str, image: Path) -> Item:
        return Item(identity, partial(self._load, split, name, image), image)

    def _load(self, split: str, name: str, image: Path) -> Example:
        """A picture and all its targets."""
        layout, meaning = self.layout, self.meaning
        example: Example = {"image": read_image(image)}
        if layout.labels is not None:
            example["label"] = self._label(split, name, example["image"].shape[:2])
        if layout.depth is not None:
            path = layout.depth.path(layout.key(layout.depth, split), name)
            example["depth"] = read_depth(path, layout.settings.depth_unit)
        if layout.keypoints is not None:
            people = meaning.coco(layout.keypoints, split)
            size = example["image"].shape[:2]
            points, area = people.person(name, size, len(meaning.joints))
            example |= {"keypoints": points[None], "area": np.array([area], np.float32)}
        return example

    def _label(self, split: str, name: str, size: tuple[int, int]) -> np.ndarray:
        """The class of every pixel, drawn from a JSON's outlines or read from a file."""
        labels, values = self.layout.labels, self.meaning.label_map
        if labels.is_json:
            coco = self.meaning.coco(labels, split)
            return coco.mask(name, size, self.meaning.indices(coco), values.ignore)
        path = labels.path(self.layout.key(labels, split), name)
        return values(read_label(path, coloured=values.coloured), path)


def _refuse(problem: str) -> NoReturn:
    raise DataError(problem)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def _slug(name: str) -> str:
    """A folder's name as tfds accepts it."""
    return re.sub(r"\W+", "_", name.lower()).strip("_") or "data"
