"""Reads sizes and headers of picture files, without decoding any pixel."""

import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from PIL import Image

from nas_tf.data.registry import builder_class
from nas_tf.data.store import resolve_source
from nas_tf.data.whole_pictures import spread
from nas_tf.errors import DataError
from nas_tf.pictures import FORMATS, orientation
from nas_tf.sizes import Size

MOST_SIZED = 500
"""The number of pictures whose size is read, spread evenly over each split."""
MOST_SURVEYED = 256
"""The number of pictures whose header is read, spread evenly over all."""

Value = TypeVar("Value")


def picture_sizes(name: str, splits: Sequence[str]) -> list[Size]:
    """Returns height and width of pictures of some splits as a viewer shows them.

    Broken pictures and absent splits are skipped; raises if no picture can be read.
    """
    builder, source = builder_class(name), resolve_source(name, None)
    sizes = []
    for split in splits:
        items = builder.items(source, split) if split in builder.INFO.splits else None
        for index in spread(range(len(items)), MOST_SIZED) if items else ():
            if (path := items[index].image) is not None and (size := _size(path)):
                sizes.append(size)
    if not sizes:
        raise DataError(f"{name} has no picture that can be read in {', '.join(splits)}")
    return sizes


def _size(path: Path) -> Size | None:
    """Returns (height, width) after the EXIF orientation, or None if the file is broken."""

    def upright_size(picture: Image.Image) -> Size:
        turned = orientation(picture) > 4
        width, height = picture.size
        return (width, height) if turned else (height, width)

    return _from_file(path, upright_size)


@dataclass(frozen=True, slots=True)
class Header:
    """The size, mode and orientation that a picture's file states before its pixels."""

    size: tuple[int, int]
    mode: str
    turned: bool


@dataclass(frozen=True, slots=True)
class Pictures:
    """Findings about a number of pictures; sizes are (width, height) as stored.

    ``read`` counts the readable pictures, ``deep`` those of 16 bits, ``turned`` those that EXIF
    turns.
    """

    read: int
    sizes: Mapping[tuple[int, int], int]
    deep: int
    turned: int

    @property
    def sizes_in_words(self) -> str:
        """The size of all pictures, or the smallest and the largest size."""
        ordered = sorted(self.sizes, key=lambda size: size[0] * size[1])
        ends = dict.fromkeys(f"{width}x{height}" for width, height in (ordered[:1] + ordered[-1:]))
        return " to ".join(ends) + " (width x height)"


def read_header(path: Path) -> Header | None:
    """Returns the header of a picture, or None if it cannot be read."""

    def header(picture: Image.Image) -> Header:
        return Header(picture.size, picture.mode, orientation(picture) != 1)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        return _from_file(path, header, formats=FORMATS)


def survey_headers(paths: Sequence[Path]) -> Pictures:
    """Counts the sizes, the 16-bit pictures and the pictures that EXIF turns."""
    headers = [read_header(path) for path in paths[:: -(-len(paths) // MOST_SURVEYED) or 1]]
    readable = [header for header in headers if header is not None]
    return Pictures(
        len(readable),
        Counter(header.size for header in readable),
        sum(header.mode.startswith("I") for header in readable),
        sum(header.turned for header in readable),
    )


def _from_file(
    path: Path, read: Callable[[Image.Image], Value], *, formats: Sequence[str] | None = None
) -> Value | None:
    """Returns ``read`` of the opened picture, or None if the file cannot be read."""
    try:
        with Image.open(path, formats=formats) as picture:
            return read(picture)
    except Exception:  # Pillow raises any of a dozen kinds on a damaged file
        return None
