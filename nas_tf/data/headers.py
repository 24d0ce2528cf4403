"""The sizes of a data set's pictures, read from the heads of their files."""

import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from nas_tf.data.registry import builder_class
from nas_tf.data.store import resolve_source
from nas_tf.data.whole_pictures import spread
from nas_tf.errors import DataError
from nas_tf.pictures import FORMATS, orientation

MOST_SIZED = 500
"""Pictures that are looked at, evenly from all over each split."""
_ORIENTATION, _TURNED = 0x0112, (5, 6, 7, 8)

Size = tuple[int, int]


def picture_sizes(name: str, splits: Sequence[str]) -> list[Size]:
    """Height and width of pictures of some splits as a viewer shows them; broken ones are skipped.

    Splits that are not there have none.
    """
    builder, source = builder_class(name), resolve_source(name, None)
    found = []
    for split in splits:
        items = builder.items(source, split) if split in builder.INFO.splits else None
        for place in spread(range(len(items)), MOST_SIZED) if items else ():
            if (path := items[place].image) is not None and (size := _size(path)):
                found.append(size)
    if not found:
        raise DataError(f"{name} has no picture that can be read in {', '.join(splits)}")
    return found


def _size(path: Path) -> Size | None:
    try:
        with Image.open(path) as picture:
            turned = picture.getexif().get(_ORIENTATION) in _TURNED
            width, height = picture.size
    except Exception:  # what Pillow raises on a damaged file is any of a dozen kinds
        return None
    return (width, height) if turned else (height, width)


MOST_SURVEYED = 256
"""Pictures whose heads are read, spread evenly over all."""


@dataclass(frozen=True, slots=True)
class Header:
    """What a picture's file says before its pixels."""

    size: tuple[int, int]
    mode: str
    turned: bool


@dataclass(frozen=True, slots=True)
class Pictures:
    """What was found of the pictures; sizes are (width, height) as stored."""

    read: int
    sizes: Mapping[tuple[int, int], int]
    deep: int
    turned: int

    @property
    def sizes_in_words(self) -> str:
        """One size, or the smallest and the largest."""
        ordered = sorted(self.sizes, key=lambda size: size[0] * size[1])
        named = dict.fromkeys(
            f"{width}x{height}" for width, height in (ordered[:1] + ordered[-1:])
        )
        return " to ".join(named) + " (width x height)"


def read_header(path: Path) -> Header | None:
    """The head of a picture; None where it cannot be read."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path, formats=FORMATS) as picture:
                return Header(picture.size, picture.mode, orientation(picture) != 1)
    except Exception:  # what Pillow raises on a damaged file is any of a dozen kinds
        return None


def survey_headers(paths: Sequence[Path]) -> Pictures:
    """Sizes, 16-bit pictures and pictures that EXIF turns."""
    heads = [read_header(path) for path in paths[:: -(-len(paths) // MOST_SURVEYED) or 1]]
    known = [head for head in heads if head is not None]
    return Pictures(
        len(known),
        Counter(head.size for head in known),
        sum(head.mode.startswith("I") for head in known),
        sum(head.turned for head in known),
    )
