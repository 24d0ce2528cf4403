"""Reads a part of the label files and concludes which classes they hold."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nas_tf.data.files import read_label
from nas_tf.data.init.heads import read_header
from nas_tf.data.init.names import Names
from nas_tf.errors import DataError

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


def conclude(values: Values, names: Names | None) -> Classes:
    """The classes that values and a file of names make likely."""
    return _of_colours(values, names) if values.coloured else _of_indices(values, names)


def _of_colours(values: Values, names: Names | None) -> Classes:
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
    seen = sorted(values.pixels, key=lambda one: (one != 0, -values.pixels[one]))
    notes: tuple[str, ...] = ()
    if names is not None:
        notes = (f"{names.path.name} has no colours and the masks have: it is not used",)
    return Classes(_background_first(seen), tuple(seen), True, notes=notes)


def _of_indices(values: Values, names: Names | None) -> Classes:
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
