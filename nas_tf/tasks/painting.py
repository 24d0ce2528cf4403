"""Paints answers on images, and puts pictures side by side, as bytes."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps
from PIL import Image, ImageDraw

from nas_tf.sizes import Size

_GAP = 4


def photograph(image: np.ndarray) -> np.ndarray:
    """Returns an image, in [-1, 1] or already in bytes, as bytes."""
    image = np.asarray(image)
    if image.dtype == np.uint8:
        return image
    return np.clip(np.round((image.astype(np.float32) + 1) * 127.5), 0, 255).astype(np.uint8)


def side_by_side(*pictures: np.ndarray) -> np.ndarray:
    """Returns pictures in a row, scaled to the size of the first, with white gaps."""
    height, width = pictures[0].shape[:2]
    row = []
    for picture in pictures:
        if picture.shape[:2] != (height, width):
            resized = Image.fromarray(picture).resize((width, height), Image.Resampling.NEAREST)
            picture = np.asarray(resized)
        row += [picture, np.full((height, _GAP, 3), 255, np.uint8)]
    return np.concatenate(row[:-1], axis=1)


def class_colours(count: int) -> list[tuple[int, int, int]]:
    """Returns default colours of classes, which repeat after twenty."""
    return [colormaps["tab20"](n % 20, bytes=True)[:3] for n in range(count)]


def scale_colours(values: np.ndarray, most: float) -> np.ndarray:
    """Returns values of 0 to ``most`` as colours, small ones bright."""
    colours = colormaps["inferno_r"](np.clip(values / most, 0, 1), bytes=True)
    return np.ascontiguousarray(colours[..., :3])


def covered(image: np.ndarray, colours: np.ndarray, opacity: float) -> np.ndarray:
    """Returns an image covered by colours, which are resized to it by the nearest pixel."""
    height, width = image.shape[:2]
    fitted = Image.fromarray(colours).resize((width, height), Image.Resampling.NEAREST)
    return np.round(opacity * np.asarray(fitted) + (1 - opacity) * image).astype(np.uint8)


def fitted_points(points: Any, size: Size | None, image: np.ndarray) -> np.ndarray:
    """Returns points (x, y) in pixels of the image from pixels of a size, by default its own."""
    points = np.asarray(points, np.float64)
    height, width = image.shape[:2]
    down, across = (1, 1) if size is None else (height / size[0], width / size[1])
    return (points + 0.5) * (across, down) - 0.5


def with_joints(
    image: np.ndarray,
    points: np.ndarray,
    shown: Sequence[int],
    limbs: Sequence[tuple[int, int]] = (),
) -> np.ndarray:
    """Returns an image with dots at the shown points (x, y), and lines between those of limbs."""
    canvas = Image.fromarray(image.copy())
    pen = ImageDraw.Draw(canvas)
    radius = max(2, min(image.shape[:2]) // 80)
    for first, second in limbs:
        if first in shown and second in shown:
            ends = [tuple(points[joint, :2]) for joint in (first, second)]
            pen.line(ends, fill=(255, 255, 255), width=radius)
    for joint in shown:
        x, y = points[joint, :2]
        colour = colormaps["hsv"](joint / len(points), bytes=True)[:3]
        pen.ellipse([x - radius, y - radius, x + radius, y + radius], fill=tuple(colour))
    return np.asarray(canvas)


def with_boxes(
    image: np.ndarray,
    boxes: np.ndarray,
    box_colours: Sequence[Sequence[int]],
    texts: Sequence[str],
) -> np.ndarray:
    """Returns an image with the outlines of boxes (x1, y1, x2, y2) and a text in each."""
    canvas = Image.fromarray(image.copy())
    pen = ImageDraw.Draw(canvas)
    width = max(1, min(image.shape[:2]) // 200)
    for (x1, y1, x2, y2), colour, text in zip(boxes, box_colours, texts, strict=True):
        fill = tuple(map(int, colour))
        pen.rectangle([x1, y1, max(x1, x2 - 1), max(y1, y2 - 1)], outline=fill, width=width)
        place = x1 + width, y1 + width
        pen.rectangle(pen.textbbox(place, text), fill=fill)
        is_dark = sum(fill) < 384
        pen.text(place, text, fill=(255, 255, 255) if is_dark else (0, 0, 0))
    return np.asarray(canvas)
