"""Defines the class colours of label maps, the papers' and bright ones for a user's folder."""

import colorsys
import re
from collections.abc import Sequence

from nas_tf.errors import DataError

Colour = tuple[int, int, int]

_CAMVID: tuple[Colour, ...] = (
    (128, 128, 128),
    (128, 0, 0),
    (192, 192, 128),
    (128, 64, 128),
    (60, 40, 222),
    (128, 128, 0),
    (192, 128, 128),
    (64, 64, 128),
    (64, 0, 128),
    (64, 64, 0),
    (0, 128, 192),
)

_CITYSCAPES: tuple[Colour, ...] = (
    (128, 64, 128),
    (244, 35, 232),
    (70, 70, 70),
    (102, 102, 156),
    (190, 153, 153),
    (153, 153, 153),
    (250, 170, 30),
    (220, 220, 0),
    (107, 142, 35),
    (152, 251, 152),
    (70, 130, 180),
    (220, 20, 60),
    (255, 0, 0),
    (0, 0, 142),
    (0, 0, 70),
    (0, 60, 100),
    (0, 80, 100),
    (0, 0, 230),
    (119, 11, 32),
)

_SHAPES: tuple[Colour, ...] = (
    (70, 74, 84),
    (230, 85, 80),
    (64, 132, 214),
    (242, 184, 60),
    (150, 98, 196),
    (68, 176, 120),
    (238, 130, 178),
    (160, 112, 72),
    (96, 206, 214),
)

_FIXED = {"camvid": _CAMVID, "cityscapes": _CITYSCAPES, "shapes": _SHAPES}


_BACKGROUNDS = frozenset(
    ("background", "bg", "void", "unlabelled", "unlabeled", "none", "nothing", "other", "ignore")
)
"""The names of a first class that may be black."""


def colours(palette: str | Sequence[Colour], count: int) -> tuple[Colour, ...]:
    """Returns the first ``count`` colours of a palette, which is a name or a list of colours.

    ``voc`` and ``distinct`` have any number of colours; camvid, cityscapes and shapes have one
    for each of their classes.
    """
    if palette == "voc":
        return tuple(_voc(label) for label in range(count))
    if palette == "distinct":
        return tuple(_distinct(label) for label in range(count))
    if isinstance(palette, str) and palette not in _FIXED:
        accepted = ", ".join(sorted([*_FIXED, "distinct", "voc"]))
        raise DataError(f"palette {palette!r} is unknown: {accepted} are accepted")
    fixed = _FIXED[palette] if isinstance(palette, str) else tuple(palette)
    if count > len(fixed):
        name = f"palette {palette}" if isinstance(palette, str) else "palette"
        raise DataError(
            f"{name} has {len(fixed)} colours for {count} classes: "
            "voc and distinct have as many as there are classes"
        )
    return fixed[:count]


def distinct(classes: Sequence[str]) -> tuple[Colour, ...]:
    """Returns bright colours; only a first class with a background's name is black."""
    chosen = colours("distinct", len(classes))
    black = bool(classes) and is_background(classes[0])
    return ((0, 0, 0), *chosen[: len(classes) - 1]) if black else chosen


def is_background(name: str) -> bool:
    """Returns whether a class name stands for everything around the other classes."""
    return name.strip("_ ").lower() in _BACKGROUNDS


def colour_of(text: str) -> Colour | None:
    """Returns the colour of a text ``#rrggbb``, or None for any other text."""
    if not re.fullmatch(r"#[0-9a-fA-F]{6}", text):
        return None
    return int(text[1:3], 16), int(text[3:5], 16), int(text[5:7], 16)


def _voc(label: int) -> Colour:
    """Spreads the bits of a label over the three channels, as PASCAL VOC does."""
    channels = [0, 0, 0]
    for bit in range(8):
        for channel in range(3):
            channels[channel] |= (label >> (3 * bit + channel) & 1) << (7 - bit)
    return channels[0], channels[1], channels[2]


def _distinct(label: int) -> Colour:
    """Returns hues a golden ratio apart, in two saturations and three values."""
    hue = (0.58 + 0.61803398875 * label) % 1
    rgb = colorsys.hsv_to_rgb(hue, (0.75, 0.5)[label // 3 % 2], (0.95, 0.7, 0.82)[label % 3])
    red, green, blue = (round(255 * channel) for channel in rgb)
    return red, green, blue
