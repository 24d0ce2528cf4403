"""Reads the boxes of PASCAL VOC's XML files, and the data sets that are laid out as VOC is."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

import numpy as np

from nas_tf.data.builder import Example, Item
from nas_tf.data.coco_file import cut_at_edges
from nas_tf.data.files import read_bytes, read_image, read_lines
from nas_tf.errors import DataError

_MOST_BYTES = 1 << 24
"""An annotation of a picture has a few kilobytes."""
_SIDES = ("xmin", "ymin", "xmax", "ymax")


def voc_items(kit: Path, split: str, classes: Mapping[str, int]) -> list[Item] | None:
    """Returns the items of a list in ``ImageSets/Main``, None if there is none."""
    listing = kit / "ImageSets" / "Main" / f"{split}.txt"
    if not listing.exists():
        return None
    names = [line[0] for line in read_lines(listing)]
    return [_item(kit, name, classes) for name in names]


def _item(kit: Path, name: str, classes: Mapping[str, int]) -> Item:
    image = kit / "JPEGImages" / f"{name}.jpg"
    return Item(name, partial(_load, image, kit / "Annotations" / f"{name}.xml", classes), image)


def _load(image: Path, annotation: Path, classes: Mapping[str, int]) -> Example:
    pixels = read_image(image)
    return {"image": pixels, "boxes": read_boxes(annotation, classes, pixels.shape[:2])}


def read_names(path: Path) -> list[str]:
    """Returns the class of each box of a file."""
    return [(item.findtext("name") or "").strip() for item in _parsed(path).iter("object")]


def read_boxes(
    path: Path, classes: Mapping[str, int] | Sequence[str], size: tuple[int, int]
) -> np.ndarray:
    """Returns the boxes [boxes, 5] of a file: x1, y1, x2, y2 from the corner, and class.

    VOC counts pixels from 1, and the last pixel belongs to the box.
    """
    known = classes if isinstance(classes, Mapping) else {c: n for n, c in enumerate(classes)}
    rows = []
    for number, item in enumerate(_parsed(path).iter("object"), 1):
        name = (item.findtext("name") or "").strip()
        if name not in known:
            listed = ", ".join(known)
            raise DataError(
                f"object {number} of {path} is of class {name[:40]!r}, expected one of {listed}"
            )
        box = item.find("bndbox")
        try:
            x1, y1, x2, y2 = (float(box.findtext(side)) for side in _SIDES)  # type: ignore[union-attr]
        except (AttributeError, TypeError, ValueError) as error:
            raise DataError(
                f"object {number} of {path} has no box, expected numbers {', '.join(_SIDES)} in "
                "bndbox"
            ) from error
        if x1 < x2 and y1 < y2:  # others are faulty, and stay so
            x1, y1 = x1 - 1, y1 - 1
        rows.append((x1, y1, x2, y2, known[name]))
    return cut_at_edges(np.array(rows, float).reshape(-1, 5), size)


def _parsed(path: Path) -> Element:
    """Parses a file; one with a document type, which could define endless entities, is refused."""
    content = read_bytes(path, "annotation", most=_MOST_BYTES)
    tree, parser = TreeBuilder(), expat.ParserCreate()

    def refuse(*_: object) -> None:
        raise DataError(f"annotation {path} has a document type, expected VOC's XML without one")

    parser.StartDoctypeDeclHandler = refuse
    parser.StartElementHandler = tree.start
    parser.EndElementHandler = tree.end
    parser.CharacterDataHandler = tree.data
    try:
        parser.Parse(content, True)
        return tree.close()
    except (expat.ExpatError, AssertionError, ValueError, RecursionError) as error:
        raise DataError(f"annotation {path} is not XML: {error}; export it again") from error
