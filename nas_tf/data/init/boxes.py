"""Finds the files of boxes of a folder's pictures, VOC's XML or YOLO's text, and their classes."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

from nas_tf.data.files import IMAGE_SUFFIXES, read_lines
from nas_tf.data.init import tree
from nas_tf.data.init.classes import find_names
from nas_tf.data.init.tree import Arrangement
from nas_tf.data.voc_boxes import read_names
from nas_tf.data.yolo_boxes import read_yolo
from nas_tf.errors import DataError

_TITLES = {".xml": "pictures and VOC's XML", ".txt": "pictures and YOLO's text"}
_MOST_TRIED = 32
"""The most files of which one must have a box."""
_MOST_CLASSES = 255


@dataclass(frozen=True, slots=True)
class Boxes:
    """The classes of the boxes in order, with the number of boxes of each."""

    counts: Mapping[str, int]
    notes: tuple[str, ...]


def find(root: Path) -> Arrangement | None:
    """Returns pictures with a file of boxes of the same name, or None if there are none."""
    groups: dict[str, dict[str, set[str]]] = {kind: {} for kind in ("", *_TITLES)}
    for path in tree.files_below(root, (*IMAGE_SUFFIXES, *_TITLES)):
        kind = path.suffix.lower() if path.suffix.lower() in _TITLES else ""
        _, folder, split = tree.classified(path.relative_to(root).parts[:-1])
        groups[kind].setdefault(folder, set()).add(split)
    for kind, title in _TITLES.items():
        best, most = None, 0
        for images, boxes in product(groups[""], groups[kind]):
            paths = tree.pattern_below(images), tree.pattern_below(boxes) + kind
            found = Arrangement(title, paths[0], boxes=paths[1])
            pairs = _pairs(root, found, groups[""][images])
            if len(pairs) > most and any(map(_has_boxes, pairs[:_MOST_TRIED])):
                best, most = (found, groups[""][images]), len(pairs)
        if best is not None:
            return tree.simplified(_divided(root, *best))
    return None


def survey(root: Path, paths: Sequence[Path]) -> Boxes:
    """Returns the classes of all boxes, by a file of names if it has them all."""
    counts: Counter[str | int] = Counter()
    broken = []
    for path in paths:
        try:
            counts.update(_classes(path))
        except DataError as error:
            broken.append(str(error))
    named = find_names(root, paths[0].parent, paths[0].parent.parent)
    notes = tuple(broken[:3])
    numbers = [label for label in counts if isinstance(label, int)]
    if numbers:
        names = named.names if named else ()
        if max(numbers) >= len(names):
            seen = f"boxes have classes up to {max(numbers)}"
            where = f"{named.path.name} has {len(names)} names" if named else "no file has names"
            notes += (f"{seen} and {where}: they are numbered",)
            names = tuple(f"class{number}" for number in range(max(numbers) + 1))
        return Boxes({name: counts[number] for number, name in enumerate(names)}, notes)
    known = named is not None and set(counts) <= set(named.names)
    names = named.names if named and known else sorted(map(str, counts))
    if len(names) > _MOST_CLASSES:
        raise DataError(f"{root} has boxes of {len(names)} classes, expected {_MOST_CLASSES}")
    return Boxes({name: counts[name] for name in names}, notes)


def _pairs(root: Path, found: Arrangement, words: set[str]) -> list[Path]:
    """Returns the files of boxes that have a picture of the same name."""
    return [
        path
        for word in sorted(words)
        for name, (path, *_) in tree.named_files(root, found.boxes, word).items()
        if name in tree.named_files(root, found.images, word)
    ]


def _divided(root: Path, found: Arrangement, words: set[str]) -> Arrangement:
    """Adds the splits: VOC's own lists, else those that the folders show or that are drawn."""
    folder = root / found.images.removesuffix("/{name}")
    lists = folder.parent / "ImageSets" / "Main"
    splits = {}
    for path in (lists / f"{split}.txt" for split in ("train", "val", "test")):
        if path.is_file() and folder.is_dir() and read_lines(path):
            splits[path.stem] = str(path.relative_to(root))
    if {"train", "val"} <= splits.keys():
        return replace(found, splits=splits)
    return tree.with_splits(root, found, {word for word in words if word})


def _has_boxes(path: Path) -> bool:
    """Returns whether a file is of the expected format and has a box."""
    try:
        return bool(_classes(path))
    except DataError:
        return False


def _classes(path: Path) -> list[str] | list[int]:
    """Returns the class of every box of a file: a name in XML, a number in text."""
    if path.suffix.lower() == ".xml":
        return read_names(path)
    return read_yolo(path, (1, 1), _MOST_CLASSES)[:, 4].astype(int).tolist()
