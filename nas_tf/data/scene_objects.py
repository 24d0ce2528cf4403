"""Draws the masks of the embedded dataset's objects and of its person.

Each object class has a function that draws its outline; ``figure`` draws the person.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

Points = list[tuple[float, float]]
Outline = Callable[[ImageDraw.ImageDraw, float, float, float, float], None]

JOINTS = (
    *("head top", "neck", "right shoulder", "left shoulder", "right elbow", "left elbow"),
    *("right wrist", "left wrist", "right hip", "left hip", "right knee", "left knee"),
    *("right ankle", "left ankle"),
)
SWAPS = ((2, 3), (4, 5), (6, 7), (8, 9), (10, 11), (12, 13))

_ARMS = ((2, 4), (4, 6), (3, 5), (5, 7))
_LEGS = ((8, 10), (10, 12), (9, 11), (11, 13))
_HEAD = 0.15


@dataclass(frozen=True, slots=True)
class Figure:
    """A person: joints in pixels [14, 2], the head's length, masks of skin, shirt, trousers."""

    joints: np.ndarray
    head_size: float
    parts: tuple[np.ndarray, np.ndarray, np.ndarray]


def mask(
    outline: Outline, size: int, x: float, y: float, radius: float, turn: float
) -> np.ndarray:
    """Returns the pixels that an object of that outline, centre, radius and rotation covers."""
    canvas = Image.new("1", (size, size))
    outline(ImageDraw.Draw(canvas), x, y, radius, turn)
    return np.array(canvas)


def disc(draw: ImageDraw.ImageDraw, x: float, y: float, radius: float, turn: float) -> None:
    """Draws a full circle."""
    draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=1)


def ring(draw: ImageDraw.ImageDraw, x: float, y: float, radius: float, turn: float) -> None:
    """Draws a circle with a hole, which only its middle distinguishes from a disc."""
    disc(draw, x, y, radius, turn)
    hole = 0.55 * radius
    draw.ellipse((x - hole, y - hole, x + hole, y + hole), fill=0)


def box(draw: ImageDraw.ImageDraw, x: float, y: float, radius: float, turn: float) -> None:
    """Draws a square."""
    draw.polygon(_spokes(x, y, [radius] * 4, turn), fill=1)


def triangle(draw: ImageDraw.ImageDraw, x: float, y: float, radius: float, turn: float) -> None:
    """Draws a triangle with equal sides."""
    draw.polygon(_spokes(x, y, [radius] * 3, turn), fill=1)


def star(draw: ImageDraw.ImageDraw, x: float, y: float, radius: float, turn: float) -> None:
    """Draws a star with five points."""
    draw.polygon(_spokes(x, y, [radius, 0.42 * radius] * 5, turn), fill=1)


def cross(draw: ImageDraw.ImageDraw, x: float, y: float, radius: float, turn: float) -> None:
    """Draws two bars at a right angle."""
    for quarter in (0.0, np.pi / 2):
        _bar(draw, x, y, radius, radius / 3, turn + quarter)


def pole(draw: ImageDraw.ImageDraw, x: float, y: float, radius: float, turn: float) -> None:
    """Draws a long thin bar, nearly upright, which disappears at low resolution."""
    _bar(draw, x, y, 1.6 * radius, max(0.8, radius / 12), np.pi / 2 + 0.1 * np.sin(turn))


def figure(rng: np.random.Generator, size: int, x: float, foot: float, height: float) -> Figure:
    """Returns a figure of that height in a random posture, standing at (x, foot)."""
    joints = np.array([x, foot]) + height * _posture(rng)
    return Figure(joints, _HEAD * height, _parts(joints, size, height))


def _bar(
    draw: ImageDraw.ImageDraw, x: float, y: float, length: float, width: float, turn: float
) -> None:
    """Draws a filled rectangle of half length ``length`` and half width ``width``."""
    along = np.array([np.cos(turn), np.sin(turn)])
    across = np.array([-along[1], along[0]])
    signs = ((1, 1), (1, -1), (-1, -1), (-1, 1))
    corners = [np.array([x, y]) + a * length * along + b * width * across for a, b in signs]
    draw.polygon([tuple(corner) for corner in corners], fill=1)


def _spokes(x: float, y: float, lengths: list[float], turn: float) -> Points:
    """Returns the ends of equally spaced spokes."""
    angles = turn + 2 * np.pi * np.arange(len(lengths)) / len(lengths)
    return [(x + r * np.cos(a), y + r * np.sin(a)) for r, a in zip(lengths, angles, strict=True)]


def _posture(rng: np.random.Generator) -> np.ndarray:
    """Samples joints for height 1: y is negative upwards, ankles near 0, right joints at x < 0."""
    lean = rng.normal(0, 0.04)
    joints = np.zeros((14, 2))
    joints[1] = lean, -0.83
    joints[0] = joints[1] + (rng.normal(0, 0.02), -_HEAD)
    for side, sign in ((0, -1), (1, 1)):
        joints[2 + side] = joints[1] + (0.11 * sign, 0.03)
        joints[8 + side] = 0.07 * sign, -0.48
        upper = rng.uniform(-0.3, 2.4)
        lower = upper + rng.uniform(-0.4, 1.6)
        for joint, angle, length in ((4, upper, 0.17), (6, lower, 0.15)):
            step = length * np.array([sign * np.sin(angle), np.cos(angle)])
            joints[joint + side] = joints[joint - 2 + side] + step
        thigh, shin = rng.uniform(-0.1, 0.7), rng.uniform(-0.3, 0.3)
        for joint, angle in ((10, thigh), (12, shin)):
            step = 0.24 * np.array([sign * np.sin(angle), np.cos(angle)])
            joints[joint + side] = joints[joint - 2 + side] + step
    return joints


def _parts(
    joints: np.ndarray, size: int, height: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns the masks of head and forearms, of torso and upper arms, and of the legs."""
    skin, shirt, trousers = (Image.new("1", (size, size)) for _ in range(3))
    limb = max(2, round(0.05 * height))
    _limbs(trousers, joints, _LEGS, limb)
    _limbs(shirt, joints, _ARMS, limb)
    _limbs(skin, joints, _ARMS[1::2], limb)
    torso = [tuple(joints[joint]) for joint in (2, 3, 9, 8)]
    ImageDraw.Draw(shirt).polygon(torso, fill=1)
    x, y = joints[:2].mean(axis=0)
    radius = 0.55 * _HEAD * height
    ImageDraw.Draw(skin).ellipse((x - radius, y - radius, x + radius, y + radius), fill=1)
    ImageDraw.Draw(skin).line([tuple(joints[1]), (x, y)], fill=1, width=limb)
    return np.array(skin), np.array(shirt), np.array(trousers)


def _limbs(
    canvas: Image.Image, joints: np.ndarray, pairs: tuple[tuple[int, int], ...], width: int
) -> None:
    """Draws thick lines with round ends."""
    draw = ImageDraw.Draw(canvas)
    for first, second in pairs:
        draw.line([tuple(joints[first]), tuple(joints[second])], fill=1, width=width)
        for x, y in (joints[first], joints[second]):
            draw.ellipse((x - width / 2, y - width / 2, x + width / 2, y + width / 2), fill=1)
