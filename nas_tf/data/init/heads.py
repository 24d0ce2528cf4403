"""Sizes and kinds of pictures, by the heads of a part of the files."""

import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from nas_tf.pictures import FORMATS, orientation

MOST = 256
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


def survey(paths: Sequence[Path]) -> Pictures:
    """Sizes, 16-bit pictures and pictures that EXIF turns."""
    heads = [read_header(path) for path in paths[:: -(-len(paths) // MOST) or 1]]
    known = [head for head in heads if head is not None]
    return Pictures(
        len(known),
        Counter(head.size for head in known),
        sum(head.mode.startswith("I") for head in known),
        sum(head.turned for head in known),
    )
