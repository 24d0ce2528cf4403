"""Reads pictures, labels, depth maps, lists and matrices; errors are one line with the file."""

import os
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.io import loadmat
from scipy.io.matlab import MatReadError

from nas_tf import pictures
from nas_tf.errors import DataError

IMAGE_SUFFIXES = pictures.SUFFIXES
_INDEX_MODES = ("L", "P", "I", "I;16", "1")
_LONGEST_LIST = 1 << 28
_DEEP_MODES = ("I;16", "I;16B", "I")
_DEPTH_MODES = (*_DEEP_MODES, "F", "L")


def read_image(path: Path, *, upright: bool = True) -> np.ndarray:
    """Returns the picture as uint8 [H, W, 3], turned by its EXIF orientation if ``upright``.

    Keypoints of published datasets are positions in the stored pixels, so not ``upright``.
    """
    return np.asarray(pictures.rgb(_open(path, "image", upright=upright), f"image {path}"))


def read_label(path: Path, *, coloured: bool = False) -> np.ndarray:
    """Returns the raw values of a label file as int32 [H, W]; of a palette file the indices.

    If ``coloured``, the values are colours as 0xRRGGBB.
    """
    picture = _open(path, "label")
    if path.suffix.lower() in (".jpg", ".jpeg"):
        raise DataError(
            f"label {path} is a JPEG, whose compression changes classes: "
            "PNG is accepted; export the labels again"
        )
    if coloured:
        red, green, blue = np.moveaxis(np.asarray(picture.convert("RGB"), np.int32), -1, 0)
        return red << 16 | green << 8 | blue
    if picture.mode not in _INDEX_MODES:
        raise DataError(
            f"label {path} is a colour picture (mode {picture.mode}): a label file has one "
            "channel of class indices or a palette; convert it, or in a folder of your own "
            "declare its colours under label_map"
        )
    return np.asarray(picture).astype(np.int32)


def read_depth(path: Path, unit: float, *, deep: bool = False) -> np.ndarray:
    """Returns metres as float32 [H, W] from steps of ``unit`` metres; 0 is unknown.

    If ``deep``, the file must have 16 bits: 8 hold no depth in so small a unit.
    """
    picture = _open(path, "depth map")
    if picture.mode not in (_DEEP_MODES if deep else _DEPTH_MODES):
        raise DataError(
            f"depth map {path} has mode {picture.mode}: "
            "one channel of 16 bits is accepted, as in a 16-bit PNG; convert it"
        )
    steps = np.asarray(picture).astype(np.float32)
    return np.where(np.isfinite(steps) & (steps > 0), steps, 0) * np.float32(unit)


def read_lines(path: Path) -> list[list[str]]:
    """Returns the words of every line of a list file that is not blank."""
    return [line.split() for line in read_names(path)]


def read_names(path: Path) -> list[str]:
    """Returns every line of a list file that is not blank, without spaces around it."""
    try:
        if path.stat().st_size > _LONGEST_LIST:
            raise DataError(
                f"list {path} has more than {_LONGEST_LIST:,} bytes, expected a smaller file"
            )
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"list {path} cannot be read: {_reason(error)}") from error
    return [line.strip() for line in text.splitlines() if line.strip()]


def read_matrix(path: Path, key: str) -> np.ndarray:
    """Returns a variable of a MATLAB file."""
    try:
        return loadmat(path)[key]
    except (OSError, ValueError, KeyError, NotImplementedError, MatReadError, zlib.error) as error:
        raise DataError(
            f"{path} cannot be read: a MATLAB file with {key} is accepted; extract it again"
        ) from error


def list_files(folder: Path, suffixes: Sequence[str] = IMAGE_SUFFIXES) -> list[Path]:
    """Returns the files of a folder with one of the suffixes, sorted by name."""
    try:
        return sorted(
            path
            for path in folder.iterdir()
            if path.suffix.lower() in suffixes and not path.name.startswith(".")
        )
    except OSError as error:
        raise DataError(
            f"folder {folder} cannot be read: {_reason(error)}; check the path and its permissions"
        ) from error


def with_suffix(folder: Path, stem: str) -> Path:
    """Returns the image of that stem with any accepted suffix; with .jpg if there is none."""
    candidates = [folder / f"{stem}{suffix}" for suffix in IMAGE_SUFFIXES]
    return next((path for path in candidates if os.path.exists(path)), candidates[0])


def read_bytes(path: Path, what: str, *, most: int | None = None) -> bytes:
    """Returns a file's content; ``what`` names its role in errors, ``most`` its largest size."""
    try:
        if most is not None and path.stat().st_size > most:
            raise DataError(f"{what} {path} has more than {most:,} bytes, expected a smaller file")
        return path.read_bytes()
    except FileNotFoundError as error:
        raise DataError(
            f"{what} {path} is missing: restore it or drop it from its list"
        ) from error
    except (OSError, ValueError) as error:
        raise DataError(f"{what} {path} cannot be read: {_reason(error)}") from error


def is_plain_jpeg(path: Path) -> bool:
    """Returns whether TensorFlow decodes the file as Pillow does, so that its bytes are stored."""
    if path.suffix.lower() not in (".jpg", ".jpeg"):
        return False
    with Image.open(path, formats=pictures.FORMATS) as picture:
        plain = picture.format == "JPEG" and picture.mode in ("RGB", "L")
        return plain and pictures.orientation(picture) == 1


def _open(path: Path, what: str, *, upright: bool = True) -> Image.Image:
    """Returns a fully decoded picture; ``what`` names its role in errors."""
    content = read_bytes(path, what)
    try:
        return pictures.opened(content, f"{what} {path}", turn=upright)
    except DataError as error:
        raise DataError(f"{error}; replace it, or leave it out with --skip-broken") from error


def _reason(error: Exception) -> str:
    """Returns the operating system's message without its error number."""
    return getattr(error, "strerror", None) or str(error)
