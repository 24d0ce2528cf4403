"""Draws answers over their images, and converts answers to pictures of their values."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib import colormaps
from PIL import Image, ImageDraw

from nas_tf.errors import ConfigError
from serving.answers import DEPTH_UNIT

_OPACITY = 0.55
_MIN_PEAK = 0.2
_LABELS = ("mask", "mask_png_bytes")
_DEPTHS = ("depth", "depth_png_bytes")


def draw(image: np.ndarray, answer: Mapping[str, Any], about: Mapping[str, Any]) -> np.ndarray:
    """Draws labels, depths or joints over an image, as RGB bytes of the image's size.

    Args:
        image: RGB bytes.
        answer: The answer to this image, without a batch dimension.
        about: The model's metadata: the input size, in whose pixels joints are, and its palette.
    """
    if "keypoints" in answer:
        return _joints(image, np.asarray(answer["keypoints"]), about)
    name = next((key for key in (*_LABELS, *_DEPTHS) if key in answer), None)
    if name is None:
        raise ConfigError(
            f"the model returns {', '.join(answer)}, expected labels, depths or joints, as models "
            "from nas-tf export do"
        )
    values = np.asarray(answer[name])
    colours = _label_colours(values, about) if name in _LABELS else _depth_colours(values)
    height, width = image.shape[:2]
    fitted = Image.fromarray(colours).resize((width, height), Image.Resampling.NEAREST)
    mixed = _OPACITY * np.asarray(fitted) + (1 - _OPACITY) * image
    return np.round(mixed).astype(np.uint8)


def values(answer: Mapping[str, Any], about: Mapping[str, Any]) -> Image.Image:
    """Returns the answer's values as a picture for PNG: class indices, or depths in 1/256 metres.

    Class indices have the palette attached, so that viewers show them in colour.
    """
    for name in _LABELS:
        if name in answer:
            picture = Image.fromarray(np.asarray(answer[name]).astype(np.uint8), "L")
            picture.putpalette(_palette(about).astype(np.uint8).tobytes())
            return picture
    for name in _DEPTHS:
        if name in answer:
            depth = np.asarray(answer[name])
            steps = depth if name == "depth_png_bytes" else np.round(depth * DEPTH_UNIT)
            return Image.fromarray(np.minimum(steps, 65535).astype(np.uint16))
    raise ConfigError(
        f"the model returns {', '.join(answer)}, expected labels or depths for --mask: joints are "
        "drawn by --out"
    )


def _palette(about: Mapping[str, Any]) -> np.ndarray:
    """Returns the palette of the metadata, or default colours."""
    colours = about.get("palette") or [
        colormaps["tab20"](n % 20, bytes=True)[:3] for n in range(256)
    ]
    return np.array(colours, np.uint8)


def _label_colours(labels: np.ndarray, about: Mapping[str, Any]) -> np.ndarray:
    """Returns labels in the palette's colours."""
    palette = np.array([*_palette(about), (0, 0, 0)], np.uint8)
    return palette[np.minimum(labels, len(palette) - 1)]


def _depth_colours(depth: np.ndarray) -> np.ndarray:
    """Returns depths as colours, near ones bright."""
    farthest = max(float(depth.max()), 1e-6)
    return np.ascontiguousarray(colormaps["inferno_r"](depth / farthest, bytes=True)[..., :3])


def _joints(image: np.ndarray, found: np.ndarray, about: Mapping[str, Any]) -> np.ndarray:
    """Draws a dot per joint whose peak exceeds noise."""
    height, width = image.shape[:2]
    canvas = Image.fromarray(image.copy())
    pen, radius = ImageDraw.Draw(canvas), max(2, min(height, width) // 80)
    down, across = (
        side / size for side, size in zip((height, width), about["input"]["size"], strict=True)
    )
    for number, (x, y, peak) in enumerate(found):
        if not peak > _MIN_PEAK:
            continue
        x, y = (x + 0.5) * across - 0.5, (y + 0.5) * down - 0.5
        colour = colormaps["hsv"](number / len(found), bytes=True)[:3]
        pen.ellipse([x - radius, y - radius, x + radius, y + radius], fill=tuple(colour))
    return np.asarray(canvas)
