"""Reads pictures from files: checks them before decoding and returns upright RGB bytes.

Data sets, ``nas-tf predict`` and the graph behind ``image_bytes`` (``serving.images``) decode a
file to the same pixels. 16 bits per channel become their high byte, as in TensorFlow's decoder;
alpha is dropped.
"""

import io
import os
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from nas_tf.errors import ConfigError, DataError

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")
REFUSED_SUFFIXES = (
    *(".heic", ".heif", ".avif", ".gif", ".jp2", ".jxl", ".jfif", ".psd", ".raw", ".dng"),
    *(".cr2", ".nef", ".arw", ".tga", ".ppm", ".pgm", ".exr", ".svg"),
)
"""Suffixes of pictures that are not supported, which raise an error instead of being skipped."""
FORMATS = ("JPEG", "PNG", "BMP", "TIFF", "WEBP")
"""Formats that Pillow may detect, regardless of the suffix; any other raises an error."""
MAX_PIXELS, LIMIT = 1 << 26, "NAS_TF_MAX_PIXELS"
"""The most pixels that are decoded, at three bytes each, and the variable that overrides it."""

_EXPECTED = "expected a JPEG, PNG, BMP, TIFF or WebP file"
_SIGNATURES = {
    b"GIF8": "a GIF",
    b"%PDF": "a PDF",
    b"8BPS": "a Photoshop",
    b"\0\0\0\x0cJXL ": "a JPEG XL",
    b"\0\0\0\x0cjP  ": "a JPEG 2000",
}
_BRANDS = {b"avif": "an AVIF", b"heic": "a HEIC", b"heix": "a HEIC", b"mif1": "a HEIC"}
_ORIENTATION = 0x0112


def max_pixels() -> int:
    """Returns the most pixels that a picture may have: NAS_TF_MAX_PIXELS, or about 67 million."""
    text = os.environ.get(LIMIT)
    if text is None:
        return MAX_PIXELS
    try:
        limit = int(text)
    except ValueError:
        limit = 0
    if limit < 1:
        raise ConfigError(f"{LIMIT} is {text!r}, expected a number of pixels such as {MAX_PIXELS}")
    return limit


def read(path: Path) -> np.ndarray:
    """Returns a picture's RGB bytes [height, width, 3]; the header alone refuses a huge one."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error
    return decoded(content, str(path))


def decoded(content: bytes, name: str) -> np.ndarray:
    """Returns the RGB bytes of the content of a file; errors refer to it by ``name``."""
    return np.asarray(rgb(opened(content, name), name))


def opened(content: bytes, name: str, *, turn: bool = True) -> Image.Image:
    """Returns a decoded picture in its own mode, turned upright if ``turn``."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's own limit, and damaged metadata
            with Image.open(io.BytesIO(content), formats=FORMATS) as picture:
                _check(picture, name)
                exif_orientation = orientation(picture) if turn else 1
                picture.load()
                return upright(picture, exif_orientation)
    except UnidentifiedImageError as error:
        kind = _kind(content)
        found = f"{kind} file" if kind else "not a picture"
        raise DataError(f"{name} is {found}, {_EXPECTED}") from error
    except Image.DecompressionBombError as error:
        raise DataError(f"{name} has too many pixels, {_remedy()}") from error
    except DataError:
        raise
    except Exception as error:  # Pillow raises a dozen kinds on damaged files
        raise DataError(f"{name} is damaged") from error


def orientation(picture: Image.Image) -> int:
    """Returns the EXIF orientation of a picture, 1 to 8, from the data before its pixels.

    It is 1 for a TIFF file, which Pillow turns when it decodes it.
    """
    if picture.format == "TIFF":
        return 1
    try:
        exif = Image.Exif()
        exif.load(picture.info.get("exif", b""))
        turn = exif.get(_ORIENTATION, 1)
    except Exception:  # damaged EXIF data turn nothing
        return 1
    return turn if turn in range(1, 9) else 1


def upright(picture: Image.Image, orientation: int) -> Image.Image:
    """Returns a picture turned upright by its EXIF orientation."""
    turned = picture.transpose(Image.Transpose.TRANSPOSE) if orientation > 4 else picture.copy()
    if orientation in (2, 3, 6, 7):
        turned = ImageOps.mirror(turned)
    return ImageOps.flip(turned) if orientation in (3, 4, 7, 8) else turned


def _check(picture: Image.Image, name: str) -> None:
    """Raises if the header shows too many pixels or several pages."""
    limit = max_pixels()
    if picture.width * picture.height > limit:
        raise DataError(f"{name} has {picture.width}x{picture.height} pixels, {_remedy(limit)}")
    pages = getattr(picture, "n_frames", 1)
    if pages > 1 and picture.format in ("TIFF", "WEBP"):
        raise DataError(f"{name} has {pages} pages or frames, expected one: save them apart")


def _remedy(limit: int | None = None) -> str:
    return (
        f"expected at most {max_pixels() if limit is None else limit:,}: scale it down, or set "
        f"{LIMIT} (three bytes of memory a pixel)"
    )


def rgb(picture: Image.Image, name: str) -> Image.Image:
    """Returns a picture in RGB, with the high byte of 16 bits, which Pillow would clip."""
    if picture.mode.startswith("I"):
        grey = np.asarray(picture).astype(np.int64)
        if not 0 <= grey.min() <= grey.max() < 1 << 16:
            raise DataError(f"{name} holds values beyond 16 bits, expected 8 or 16 bits")
        return Image.fromarray((grey >> 8).astype(np.uint8)).convert("RGB")
    if picture.mode in ("F", "LAB", "HSV"):
        kind = "floating-point values" if picture.mode == "F" else f"{picture.mode} colours"
        raise DataError(f"{name} holds {kind}, expected grey or RGB of 8 or 16 bits")
    if picture.mode == "P" and "transparency" in picture.info:
        picture = picture.convert("RGBA")  # Pillow warns of a palette's transparency otherwise
    return picture.convert("RGB")


def _kind(content: bytes) -> str | None:
    """Returns the kind of an unsupported file, by its first bytes; None if it is unknown."""
    if content[4:8] == b"ftyp":
        return _BRANDS.get(content[8:12])
    return next((kind for start, kind in _SIGNATURES.items() if content.startswith(start)), None)
