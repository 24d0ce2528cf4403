"""The outlines of the drawn objects, one for each class of the embedded dataset."""

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw

Points = list[tuple[float, float]]
Outline = Callable[[ImageDraw.ImageDraw, float, float, float, float], None]


def mask(
    outline: Outline, size: int, x: float, y: float, radius: float, turn: float
) -> np.ndarray:
    """The pixels an object of that outline, centre, radius and rotation covers."""
    canvas = Image.new("1", (size, size))
    outline(ImageDraw.Draw(canvas), x, y, radius, turn)
    return np.array(canvas)


def disc(draw: ImageDraw.ImageDraw, x: float, y: float, radius: float, turn: float) -> None:
    """A full circle."""
    draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=1)


def ring(draw: ImageDraw.ImageDraw, x: float, y: float, radius: float, turn: float) -> None:
    """A circle with a hole: only its middle tells it from a disc."""
    disc(draw, x, y, radius, turn)
    hole = 0.55 * radius
    draw.ellipse((x - hole, y - hole, x + hole, y + hole), fill=0)


def box(draw: ImageDraw.ImageDraw, x: float, y: float, radius: float, turn: float) -> None:
    """A square."""
    draw.polygon(_spokes(x, y, [radius] * 4, turn), fill=1)


def triangle(draw: ImageDraw.ImageDraw, x: float, y: float, radius: float, turn: float) -> None:
    """Three equal sides."""
    draw.polygon(_spokes(x, y, [radius] * 3, turn), fill=1)


def star(draw: ImageDraw.ImageDraw, x: float, y: float, radius: float, turn: float) -> None:
    """Five points."""
    draw.polygon(_spokes(x, y, [radius, 0.42 * radius] * 5, turn), fill=1)


def cross(draw: ImageDraw.ImageDraw, x: float, y: float, radius: float, turn: float) -> None:
    """Two bars at a right angle."""
    for quarter in (0.0, np.pi / 2):
        _bar(draw, x, y, radius, radius / 3, turn + quarter)


def pole(draw: ImageDraw.ImageDraw, x: float, y: float, radius: float, turn: float) -> None:
    """A long thin bar, nearly upright: lost where resolution is lost."""
    _bar(draw, x, y, 1.6 * radius, max(0.8, radius / 12), np.pi / 2 + 0.1 * np.sin(turn))


def _bar(
    draw: ImageDraw.ImageDraw, x: float, y: float, length: float, width: float, turn: float
) -> None:
    """A filled rectangle from its half length and half width."""
    along = np.array([np.cos(turn), np.sin(turn)])
    across = np.array([-along[1], along[0]])
    signs = ((1, 1), (1, -1), (-1, -1), (-1, 1))
    corners = [np.array([x, y]) + a * length * along + b * width * across for a, b in signs]
    draw.polygon([tuple(corner) for corner in corners], fill=1)


def _spokes(x: float, y: float, lengths: list[float], turn: float) -> Points:
    """The ends of equally spread spokes."""
    angles = turn + 2 * np.pi * np.arange(len(lengths)) / len(lengths)
    return [(x + r * np.cos(a), y + r * np.sin(a)) for r, a in zip(lengths, angles, strict=True)]
