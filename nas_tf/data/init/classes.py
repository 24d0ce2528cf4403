"""Infers the classes of a folder from a file of names and from the values of the masks.

``find_names`` looks for a file with names, and colours, of classes next to the pictures;
``survey_values`` counts the values of a part of the masks; ``infer_classes`` combines them.
"""

import csv
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from nas_tf.data.files import read_label
from nas_tf.data.headers import read_header
from nas_tf.errors import DataError

RESTORATION_HINT = "for pictures to be restored, add --task restoration"
MOST_MASKS = 64
"""The most label files that are read, spread evenly over all."""
_NAME_FILES = (
    *("label_colors.txt", "labelmap.txt", "class_dict.csv", "classes.csv", "labels.txt"),
    *("classes.txt", "class_names.txt", "label_names.txt", "names.txt", "categories.txt"),
    *("objectinfo150.txt", "classes.json", "labels.json", "categories.json"),
)
_OTHER_ENDINGS = (".yaml", ".yml", ".names")
"""The endings of YOLO's descriptions of a data set, under any name."""
_MOST_BYTES = 1 << 20
_MOST_NAMES = 255
_MOST_COLOURS = 64
_LIGHT_GREY, _MOST_GREYS = 100, 5
"""More different light greys in addition to black and white are taken for soft edges."""
_IGNORED = 255
_STRAY = 1e-5
"""The share of pixels below which a value may be a mistake."""
_NUMBER = r"[ ,:\t]+(\d{1,3})"
_COLOUR_FIRST = re.compile(r"(\d{1,3})[ ,\t]+(\d{1,3})[ ,\t]+(\d{1,3})[ ,\t]+(.+)")
_COLOUR_LAST = re.compile(rf"(.+?){_NUMBER}{_NUMBER}{_NUMBER}[ :,\t]*")
_INDEXED = re.compile(r"(\d{1,3})[ :,;\t]+(.+)")


@dataclass(frozen=True, slots=True)
class ClassNames:
    """Names of classes in order, with colours as 0xRRGGBB if the file has them."""

    path: Path
    names: tuple[str, ...]
    colours: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class Values:
    """Pixels of every value, or colour as 0xRRGGBB, in the label files that were read.

    ``broken`` has an error message for each label file that cannot be read.
    """

    pixels: Mapping[int, int]
    coloured: bool
    read: int
    broken: tuple[str, ...]
    where: Path

    def share(self, value: int) -> float:
        """Returns the share of a value in all pixels."""
        return self.pixels.get(value, 0) / max(1, sum(self.pixels.values()))


@dataclass(frozen=True, slots=True)
class Classes:
    """Names of classes in order, the value of each in the files, and the ignored values.

    ``mapped`` is True if the values are not class indices and need a label_map.
    """

    names: tuple[str, ...]
    values: tuple[int, ...]
    mapped: bool
    ignored: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()


def find_names(root: Path, *folders: Path) -> ClassNames | None:
    """Returns the names in the first file that has a usual name and holds some."""
    for folder in dict.fromkeys((root, *folders)):
        if not folder.is_dir():
            continue
        present = {path.name.lower(): path for path in sorted(folder.iterdir())}
        others = [name for name in present if name.endswith(_OTHER_ENDINGS)]
        for name in (*_NAME_FILES, *others):
            found = _read_names(present[name]) if name in present else None
            if found is not None:
                return found
    return None


def survey_values(paths: Sequence[Path]) -> Values:
    """Counts the values of a sample of label files; raises if none can be read."""
    chosen = list(paths[:: -(-len(paths) // MOST_MASKS) or 1])
    coloured = any(_has_colours(path) for path in chosen)
    pixels: Counter[int] = Counter()
    broken = []
    for path in chosen:
        try:
            raw = read_label(path, coloured=coloured).ravel()
        except DataError as error:
            broken.append(str(error))
            continue
        starts = np.flatnonzero(np.diff(raw, prepend=raw[0] - 1))
        lengths = np.diff(starts, append=raw.size)
        values, indices = np.unique(raw[starts], return_inverse=True)
        counts = np.bincount(indices, lengths).astype(int)
        pixels.update(dict(zip(values.tolist(), counts.tolist(), strict=True)))
    if not pixels:
        raise DataError(broken[0] if broken else "no label file was found")
    return Values(pixels, coloured, len(chosen) - len(broken), tuple(broken), chosen[0].parent)


def infer_classes(values: Values, names: ClassNames | None) -> Classes:
    """Returns the most likely classes for the values and a file of names."""
    if values.coloured:
        return _from_colours(values, names)
    found = _from_indices(values, names)
    return found if names else replace(found, notes=(*found.notes, *_doubts(values, found)))


def _doubts(values: Values, found: Classes) -> tuple[str, ...]:
    """Returns notes on classes without a pixel, and on those with hardly any."""
    absent = [value for value in found.values if value not in values.pixels]
    rare = [value for value in found.values if 0 < values.share(value) < _STRAY]
    notes = []
    if absent:
        listed = ", ".join(map(str, absent[:6])) + " ..." * (len(absent) > 6)
        notes.append(f"classes without a pixel in {values.read} masks: {listed}")
    if rare:
        listed = ", ".join(f"{value} (pixels: {values.pixels[value]})" for value in rare[:6])
        notes.append(f"rare values of masks, each a class of its own: {listed}")
    return tuple(notes)


def _read_names(path: Path) -> ClassNames | None:
    """Returns the names in a file, or None if it is another kind of file."""
    try:
        if not path.is_file() or path.stat().st_size > _MOST_BYTES:
            return None
        text = path.read_text(encoding="utf-8-sig")
        if path.suffix.lower() == ".json":
            return _checked(path, _names_from_json(json.loads(text)), None)
        if path.suffix.lower() in (".yaml", ".yml"):
            content = yaml.BaseLoader(text).get_single_data()  # of texts: a class may be no, or 20
            names = content.get("names") if isinstance(content, dict) else None
            return _checked(path, _names_from_json(names), None)
    except (OSError, ValueError, RecursionError, yaml.YAMLError):
        return None
    lines = [line.strip() for line in text.splitlines()]
    lines = [line for line in lines if line and not line.startswith("#")]
    if path.suffix.lower() == ".csv":
        lines = [", ".join(row) for row in csv.reader(lines)]
        lines = [line for line in lines if not re.search(r"\bname\b.*\br\b", line.lower())]
    for expression, name, colour in ((_COLOUR_FIRST, 4, 1), (_COLOUR_LAST, 1, 2)):
        matches = [expression.fullmatch(line) for line in lines]
        if matches and all(matches):
            rgb = [[int(m[colour + n]) for n in range(3)] for m in matches if m]
            packed = tuple(red << 16 | green << 8 | blue for red, green, blue in rgb)
            return _checked(path, [m[name] for m in matches if m], packed)
    indexed = [_INDEXED.fullmatch(line) for line in lines]
    if indexed and all(indexed):
        lines = [m[2] for m in sorted((m for m in indexed if m), key=lambda m: int(m[1]))]
    return _checked(path, lines, None)


def _names_from_json(content: Any) -> list[str]:
    """Returns names from a list, or from a mapping of names to indices or of indices to names."""
    if isinstance(content, dict) and isinstance(content.get("categories"), list):
        content = content["categories"]
    if isinstance(content, list):
        found = [item.get("name") if isinstance(item, dict) else item for item in content]
        return [str(name) for name in found] if all(map(_is_name, found)) else []
    if not isinstance(content, dict):
        return []
    if all(str(key).isdecimal() for key in content) and all(map(_is_name, content.values())):
        return [str(content[key]) for key in sorted(content, key=int)]
    if all(str(value).isdecimal() for value in content.values()):
        return sorted(map(str, content), key=lambda name: int(content[name]))
    return []


def _is_name(item: Any) -> bool:
    """Returns whether an entry may name a class; a number may, and true may not."""
    return isinstance(item, str | int) and not isinstance(item, bool)


def _checked(path: Path, names: list[str], colours: tuple[int, ...] | None) -> ClassNames | None:
    """Returns the names, or None if they cannot be names of classes."""
    cleaned = tuple(" ".join(name.split()) for name in names)
    readable = all(name and name.isprintable() and len(name) <= 60 for name in cleaned)
    unique = len(set(cleaned)) == len(cleaned) and len(set(colours or ())) == len(colours or ())
    in_range = all(colour <= 0xFFFFFF for colour in colours or ())
    if not cleaned or len(cleaned) > _MOST_NAMES or not (readable and unique and in_range):
        return None
    return ClassNames(path, cleaned, colours)


def _from_colours(values: Values, names: ClassNames | None) -> Classes:
    """Returns the colours of the file of names, else all colours of the masks, black first."""
    if names is not None and names.colours is not None:
        unnamed = sorted(set(values.pixels) - set(names.colours))
        if len(unnamed) > _MOST_COLOURS:
            raise _soft_edges(values, "colours")
        notes = tuple(
            f"colour #{colour:06x} is not in {names.path.name} and is ignored"
            for colour in unnamed
        )
        return Classes(names.names, names.colours, True, tuple(unnamed), notes)
    if len(values.pixels) > _MOST_COLOURS:
        raise _soft_edges(values, "colours")
    found = sorted(values.pixels, key=lambda colour: (colour != 0, -values.pixels[colour]))
    notes: tuple[str, ...] = ()
    if names is not None:
        notes = (f"{names.path.name} has no colours and the masks have: it is not used",)
    return Classes(_background_first(found), tuple(found), True, notes=notes)


def _from_indices(values: Values, names: ClassNames | None) -> Classes:
    """Returns the indices unchanged if they are dense, else a map from the values."""
    found = sorted(values.pixels)
    not_ignored = [value for value in found if value != _IGNORED]
    greys = [value for value in not_ignored if value >= _LIGHT_GREY]
    black_and_white = values.share(0) + values.share(_IGNORED)
    is_soft = len(greys) > _MOST_GREYS and _IGNORED in found and black_and_white > 0.8
    if len(found) > 256 or is_soft:
        raise _soft_edges(values, "values")
    ignored = (_IGNORED,) if _IGNORED in found and len(not_ignored) > 1 else ()
    used = not_ignored if ignored else found
    if len(used) == 2 and used[0] == 0 and used[1] > 1 and names is None:
        return Classes(("background", "foreground"), tuple(used), True, ignored)
    top = used[-1]
    if names is not None:
        count = len(names.names)
        if top < count:
            return Classes(names.names, tuple(range(count)), False, ignored)
        if len(used) == count:
            return Classes(names.names, tuple(used), True, ignored)
        if top == count and used[0] == 1:
            return Classes(names.names, tuple(range(1, top + 1)), True, ignored)
        if top == count and "background" not in names.names:
            return Classes(("background", *names.names), tuple(range(top + 1)), False, ignored)
    notes: tuple[str, ...] = ()
    if names is not None:
        notes = (f"{names.path.name} has {len(names.names)} names, masks hold {top}: not used",)
    if top > 254 or top + 1 > 2 * len(used) + 2:
        return Classes(_numbered(len(used)), tuple(used), True, ignored, notes)
    if used[0] == 1:
        return Classes(_numbered(top), tuple(range(1, top + 1)), True, ignored, notes)
    count = top + 1
    chosen = ("background", "foreground") if count == 2 else _numbered(count)
    return Classes(chosen, tuple(range(count)), False, ignored, notes)


def _numbered(count: int) -> tuple[str, ...]:
    """Returns the names class0, class1 and so on."""
    return tuple(f"class{number}" for number in range(count))


def _background_first(colours: Sequence[int]) -> tuple[str, ...]:
    """Returns names for colours; black is the background."""
    names = list(_numbered(len(colours)))
    if colours[0] == 0:
        names[0] = "background"
    if list(colours) == [0, 0xFFFFFF]:
        names[1] = "foreground"
    return tuple(names)


def _soft_edges(values: Values, kind: str) -> DataError:
    """Returns the error on masks with more different values than classes can have."""
    return DataError(
        f"masks in {values.where} hold {len(values.pixels)} different {kind}: they look as if "
        "drawn with soft edges or compressed with loss; export them with hard edges as PNG, "
        f"a value or colour a class; {RESTORATION_HINT}"
    )


def _has_colours(path: Path) -> bool:
    """Returns whether a label file holds colours instead of indices."""
    header = read_header(path)
    return header is not None and header.mode not in ("L", "P", "I", "I;16", "1", "F")
