"""Reads a user's own dataset: a folder of pictures, described by its dataset.yaml."""

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
from nas_tf.data.files import IMAGE_SUFFIXES, read_depth, read_image, read_label
from nas_tf.data.folder_annotations import Annotations
from nas_tf.data.folder_layout import Layout
from nas_tf.data.voc_boxes import read_boxes
from nas_tf.data.yolo_boxes import read_yolo
from nas_tf.errors import DataError
from nas_tf.pictures import REFUSED_SUFFIXES

PREFIX = "folder:"


def folder_builder(name: str) -> type[DenseBuilder]:
    """Returns the builder class of ``folder:DIR``, whose prepared copy depends on the files."""
    layout = folder_layout(name)
    root = layout.root
    annotations = Annotations(layout)
    info, folder = annotations.info(name), _Folder(layout, annotations)

    class Folder(DenseBuilder, skip_registration=True):
        """Reads this folder and no other."""

        VERSION = tfds.core.Version("1.0.0")
        INFO = info
        name = f"folder_{_slug(root.name)}_{layout.state()}"
        source = root

        @classmethod
        def items(cls, source: Path, split: str) -> list[Item] | None:
            """Returns the examples of a split; a label without a picture is a broken example."""
            return list(folder.items(split))

    return Folder


def folder_layout(name: str) -> Layout:
    """Returns the layout of ``folder:DIR``."""
    root = Path(name.removeprefix(PREFIX)).expanduser().resolve()
    return Layout(root, read_settings(root / NAME))


@dataclass(frozen=True)
class _Folder:
    """A folder with the layout and the annotations of its dataset.yaml."""

    layout: Layout
    annotations: Annotations

    def items(self, split: str) -> Iterator[Item]:
        """Yields the examples of a split, then the files that belong to no example."""
        if self.layout.listing(split):
            yield from self._listed(split)
        elif self.layout.names_from:
            yield from self._annotated(split)
        else:
            yield from self._found(split)

    def _listed(self, split: str) -> Iterator[Item]:
        """Yields the examples of a list file: paths below the pictures, with or without suffix."""
        images = self.layout.images
        for name in self.layout.listed(split):
            image = images.path(self.layout.split_folder(images, split), name)
            yield self._item(name, split, name, image)

    def _annotated(self, split: str) -> Iterator[Item]:
        """Yields the pictures of a JSON; for keypoints, only those with a person."""
        source, images = self.layout.names_from, self.layout.images
        coco = self.annotations.coco(source, split)
        has_joints = source is self.layout.keypoints
        for name in coco.pictures_with_joints() if has_joints else coco.images:
            usual = images.path(self.layout.split_folder(images, split), name)
            from_root = self.layout.root / coco.images[name].file_name
            candidates = (usual, images.path(None, name), from_root)
            image = next((path for path in candidates if _is_file(path)), usual)
            yield self._item(f"{split}/{name}", split, name, image)

    def _found(self, split: str) -> Iterator[Item]:
        """Yields the pictures of a split's folder, and targets or pictures that are not usable."""
        layout, images = self.layout, self.layout.images
        subfolder = layout.split_folder(images, split)
        kinds = (
            *(("label", layout.labels), ("depth map", layout.depth)),
            *(("annotation", layout.xml), ("clean picture", layout.clean)),
        )
        targets = {
            what: pattern.names(layout.split_folder(pattern, split))
            for what, pattern in kinds
            if pattern and pattern.has_split
        }
        target_files = {
            path for named in targets.values() for paths in named.values() for path in paths
        }
        found = images.names(subfolder)
        for name, paths in found.items():
            pictures = [path for path in paths if path not in target_files]
            if len(pictures) == 1:
                yield self._item(f"{subfolder}/{name}", split, name, pictures[0])
            elif pictures:
                both = " and ".join(str(path) for path in pictures)
                example = f"{subfolder}/{name}"
                problem = f"example {example} has {len(pictures)} pictures: {both}; keep one"
                yield Item(example, partial(_refuse, problem))
        unsupported = images.names(subfolder, REFUSED_SUFFIXES)
        for path in [path for paths in unsupported.values() for path in paths]:
            accepted = ", ".join(IMAGE_SUFFIXES)
            problem = f"image {path} is not of a format that is read: {accepted}; convert it"
            yield Item(f"{subfolder}/{path.name}", partial(_refuse, problem))
        used = found.keys() | unsupported.keys()
        for what, named in targets.items():
            for name in [name for name in named if name not in used]:
                problem = (
                    f"{what} {named[name][0]} has no image in {images.folder(subfolder)}: "
                    f"add the image or remove the {what}"
                )
                yield Item(f"{what} {subfolder}/{name}", partial(_refuse, problem))

    def _item(self, identity: str, split: str, name: str, image: Path) -> Item:
        """Returns the item of a picture and its targets."""
        return Item(identity, partial(self._load, split, name, image), image)

    def _load(self, split: str, name: str, image: Path) -> Example:
        """Reads a picture and all its targets."""
        layout, annotations = self.layout, self.annotations
        example: Example = {"image": read_image(image)}
        if layout.labels is not None:
            example["label"] = self._label(split, name, example["image"].shape[:2])
        if layout.depth is not None:
            path = layout.depth.path(layout.split_folder(layout.depth, split), name)
            example["depth"] = read_depth(path, layout.settings.depth_unit)
        if layout.clean is not None:
            path = layout.clean.path(layout.split_folder(layout.clean, split), name)
            example["clean"] = read_image(path)
        if layout.boxes is not None:
            example["boxes"] = self._boxes(split, name, example["image"].shape[:2])
        if layout.keypoints is not None:
            coco = annotations.coco(layout.keypoints, split)
            size = example["image"].shape[:2]
            points, area = coco.largest_person(name, size, len(annotations.joints))
            example |= {"keypoints": points[None], "area": np.array([area], np.float32)}
        return example

    def _boxes(self, split: str, name: str, size: tuple[int, int]) -> np.ndarray:
        """Returns the boxes of a picture, from a JSON, VOC's XML or YOLO's text."""
        boxes, annotations = self.layout.boxes, self.annotations
        if boxes.is_json:
            coco = annotations.coco(boxes, split)
            return coco.boxes(name, size, annotations.indices(coco))
        path = boxes.path(self.layout.split_folder(boxes, split), name)
        if path.suffix.lower() == ".xml":
            return read_boxes(path, annotations.classes, size)
        return read_yolo(path, size, len(annotations.classes))

    def _label(self, split: str, name: str, size: tuple[int, int]) -> np.ndarray:
        """Returns the class of every pixel, from a JSON's outlines or from a label file."""
        labels, label_map = self.layout.labels, self.annotations.label_map
        if labels.is_json:
            coco = self.annotations.coco(labels, split)
            return coco.mask(name, size, self.annotations.indices(coco), label_map.ignore)
        path = labels.path(self.layout.split_folder(labels, split), name)
        return label_map(read_label(path, coloured=label_map.coloured), path)


def _refuse(problem: str) -> NoReturn:
    """Raises the problem when a broken example is read."""
    raise DataError(problem)


def _is_file(path: Path) -> bool:
    """Returns whether a file is there; False for a path that cannot exist."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def _slug(name: str) -> str:
    """Returns a folder's name in the characters that tfds accepts, cut for a file's name."""
    return re.sub(r"\W+", "_", name.lower()).strip("_")[:40] or "data"
