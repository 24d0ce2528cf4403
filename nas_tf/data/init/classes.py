"""Names of classes, and their colours, where a file beside the pictures has them."""

import csv
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nas_tf.data.files import read_label
from nas_tf.data.headers import read_header
from nas_tf.errors import DataError

_FILES = (
    *("label_colors.txt", "labelmap.txt", "class_dict.csv", "classes.csv", "labels.txt"),
    *("classes.txt", "class_names.txt", "label_names.txt", "names.txt", "categories.txt"),
    *("objectinfo150.txt", "classes.json", "labels.json", "categories.json"),
)
_MOST_BYTES = 1 << 20
_MOST_NAMES = 255
_NUMBER = r"[ ,:\t]+(\d{1,3})"
_COLOUR_FIRST = re.compile(r"(\d{1,3})[ ,\t]+(\d{1,3})[ ,\t]+(\d{1,3})[ ,\t]+(.+)")
_COLOUR_LAST = re.compile(rf"(.+?){_NUMBER}{_NUMBER}{_NUMBER}[ :,\t]*")
_INDEXED = re.compile(r"(\d{1,3})[ :,;\t]+(.+)")


@dataclass(frozen=True, slots=True)
class ClassNames:
    """Names of classes in order, with colours as 0xRRGGBB where the file has them."""

    path: Path
    names: tuple[str, ...]
    colours: tuple[int, ...] | None = None


def find_names(root: Path, *folders: Path) -> ClassNames | None:
    """The names in the first file of a usual name that holds some."""
    for folder in dict.fromkeys((root, *folders)):
        if not folder.is_dir():
            continue
        there = {path.name.lower(): path for path in sorted(folder.iterdir())}
        for name in _FILES:
            found = _read(there[name]) if name in there else None
            if found is not None:
                return found
    return None


def _read(path: Path) -> ClassNames | None:
    """The names of a file; None where it is something else."""
    try:
        if not path.is_file() or path.stat().st_size > _MOST_BYTES:
            return None
        text = path.read_text(encoding="utf-8-sig")
        if path.suffix.lower() == ".json":
            return _checked(path, _of_json(json.loads(text)), None)
    except (OSError, ValueError, RecursionError):
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


def _of_json(content: Any) -> list[str]:
    """Names from a list, or from a mapping between names and indices, either way round."""
    if isinstance(content, dict) and isinstance(content.get("categories"), list):
        content = content["categories"]
    if isinstance(content, list):
        found = [one.get("name") if isinstance(one, dict) else one for one in content]
        return [name for name in found if isinstance(name, str)]
    if not isinstance(content, dict):
        return []
    if all(isinstance(value, int) for value in content.values()):
        return sorted(content, key=content.__getitem__)
    if all(str(key).isdecimal() for key in content):
        return [str(content[key]) for key in sorted(content, key=int)]
    return []


def _checked(path: Path, names: list[str], colours: tuple[int, ...] | None) -> ClassNames | None:
    """The names, if they can be names of classes."""
    cleaned = tuple(" ".join(name.split()) for name in names)
    sound = all(name and name.isprintable() and len(name) <= 60 for name in cleaned)
    once = len(set(cleaned)) == len(cleaned) and len(set(colours or ())) == len(colours or ())
    most = all(colour <= 0xFFFFFF for colour in colours or ())
    if not cleaned or len(cleaned) > _MOST_NAMES or not (sound and once and most):
        return None
    return ClassNames(path, cleaned, colours)


MOST_MASKS = 64
"""Label files that are read, spread evenly over all."""
_MOST_COLOURS = 64
_GREY, _SOFT = 100, 5
"""More than so many light greys beside black and white are taken for soft edges."""
_IGNORED = 255


@dataclass(frozen=True, slots=True)
class Values:
    """Pixels of every value, or colour as 0xRRGGBB, in the label files that were read."""

    pixels: Mapping[int, int]
    coloured: bool
    read: int
    broken: tuple[str, ...]
    where: Path

    def share(self, value: int) -> float:
        """The share of a value in all pixels."""
        return self.pixels.get(value, 0) / max(1, sum(self.pixels.values()))


@dataclass(frozen=True, slots=True)
class Classes:
    """Names in order, the value of each in the files, and whether a label_map has to say so."""

    names: tuple[str, ...]
    values: tuple[int, ...]
    mapped: bool
    ignored: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()


def survey(paths: Sequence[Path]) -> Values:
    """The values of some label files; one that cannot be read is named."""
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
        values, places = np.unique(raw[starts], return_inverse=True)
        counts = np.bincount(places, lengths).astype(int)
        pixels.update(dict(zip(values.tolist(), counts.tolist(), strict=True)))
    if not pixels:
        raise DataError(broken[0] if broken else "no label file was found")
    return Values(pixels, coloured, len(chosen) - len(broken), tuple(broken), chosen[0].parent)


def conclude(values: Values, names: ClassNames | None) -> Classes:
    """The classes that values and a file of names make likely."""
    return _of_colours(values, names) if values.coloured else _of_indices(values, names)


def _of_colours(values: Values, names: ClassNames | None) -> Classes:
    """Colours of the file of names, else every colour that was seen, black first."""
    if names is not None and names.colours is not None:
        strange = sorted(set(values.pixels) - set(names.colours))
        if len(strange) > _MOST_COLOURS:
            raise _soft(values, "colours")
        notes = tuple(
            f"colour #{one:06x} is not in {names.path.name} and is ignored" for one in strange
        )
        return Classes(names.names, names.colours, True, tuple(strange), notes)
    if len(values.pixels) > _MOST_COLOURS:
        raise _soft(values, "colours")
    seen = sorted(values.pixels, key=lambda pixel: (pixel != 0, -values.pixels[pixel]))
    notes: tuple[str, ...] = ()
    if names is not None:
        notes = (f"{names.path.name} has no colours and the masks have: it is not used",)
    return Classes(_background_first(seen), tuple(seen), True, notes=notes)


def _of_indices(values: Values, names: ClassNames | None) -> Classes:
    """Indices as they are where they are dense, else a map from the values that were seen."""
    seen = sorted(values.pixels)
    small = [value for value in seen if value != _IGNORED]
    grey = [value for value in small if value >= _GREY]
    ends = values.share(0) + values.share(_IGNORED)
    if len(seen) > 256 or (len(grey) > _SOFT and _IGNORED in seen and ends > 0.8):
        raise _soft(values, "values")
    ignored = (_IGNORED,) if _IGNORED in seen and len(small) > 1 else ()
    used = small if ignored else seen
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
    found = ("background", "foreground") if count == 2 else _numbered(count)
    return Classes(found, tuple(range(count)), False, ignored, notes)


def _numbered(count: int) -> tuple[str, ...]:
    return tuple(f"class{number}" for number in range(count))


def _background_first(colours: Sequence[int]) -> tuple[str, ...]:
    names = list(_numbered(len(colours)))
    if colours[0] == 0:
        names[0] = "background"
    if list(colours) == [0, 0xFFFFFF]:
        names[1] = "foreground"
    return tuple(names)


def _soft(values: Values, what: str) -> DataError:
    return DataError(
        f"masks in {values.where} hold {len(values.pixels)} different {what}: they look as if "
        "drawn with soft edges or compressed with loss; export them with hard edges as PNG, "
        "a value or colour a class"
    )


def _has_colours(path: Path) -> bool:
    header = read_header(path)
    return header is not None and header.mode not in ("L", "P", "I", "I;16", "1", "F")
