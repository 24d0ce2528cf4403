"""Pictures from files: checked before they are decoded, turned upright, and given as RGB bytes.

Data sets, ``nas-tf predict`` and the graph behind ``image_bytes`` (``serving.images``) read the
same file as the same pixels. 16 bits a channel become their high byte, as in TensorFlow's decoder;
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
"""Names of pictures that are not read: they are named rather than passed over."""
FORMATS = ("JPEG", "PNG", "BMP", "TIFF", "WEBP")
"""What Pillow may take a file for, whatever its suffix: anything else is refused."""
MAX_PIXELS, LIMIT = 1 << 26, "NAS_TF_MAX_PIXELS"
"""Pixels that are decoded at most, unless the variable says otherwise: three bytes each."""

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
    """The most pixels that a picture may have: NAS_TF_MAX_PIXELS, or some 67 million."""
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
    """The RGB bytes [height, width, 3] of a picture; a huge one is refused by its header alone."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error
    return decoded(content, str(path))


def decoded(content: bytes, name: str) -> np.ndarray:
    """The RGB bytes of the content of a file; ``name`` is what errors call it."""
    return np.asarray(rgb(opened(content, name), name))


def opened(content: bytes, name: str, *, turn: bool = True) -> Image.Image:
    """A picture in its own mode, decoded, and turned upright if asked for."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's own limit, and damaged metadata
            with Image.open(io.BytesIO(content), formats=FORMATS) as picture:
                _check(picture, name)
                way = orientation(picture) if turn else 1
                picture.load()
                return upright(picture, way)
    except UnidentifiedImageError as error:
        kind = _kind(content)
        what = f"{kind} file" if kind else "not a picture"
        raise DataError(f"{name} is {what}, {_EXPECTED}") from error
    except Image.DecompressionBombError as error:
        raise DataError(f"{name} has too many pixels, {_remedy()}") from error
    except DataError:
        raise
    except Exception as error:  # what Pillow raises on a damaged file is any of a dozen kinds
        raise DataError(f"{name} is damaged") from error


def orientation(picture: Image.Image) -> int:
    """How a picture is to be turned, 1 to 8, by the EXIF data that come before its pixels.

    A TIFF file is not: Pillow turns it as it is decoded.
    """
    if picture.format == "TIFF":
        return 1
    try:
        exif = Image.Exif()
        exif.load(picture.info.get("exif", b""))
        turn = exif.get(_ORIENTATION, 1)
    except Exception:  # what is damaged turns nothing
        return 1
    return turn if turn in range(1, 9) else 1


def upright(picture: Image.Image, way: int) -> Image.Image:
    """A picture turned as an EXIF orientation says."""
    turned = picture.transpose(Image.Transpose.TRANSPOSE) if way > 4 else picture.copy()
    if way in (2, 3, 6, 7):
        turned = ImageOps.mirror(turned)
    return ImageOps.flip(turned) if way in (3, 4, 7, 8) else turned


def _check(picture: Image.Image, name: str) -> None:
    """Raises on what is refused by its header."""
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
    """A picture in RGB; the high byte of 16 bits, since Pillow would make most of it white."""
    if picture.mode.startswith("I"):
        grey = np.asarray(picture).astype(np.int64)
        if not 0 <= grey.min() <= grey.max() < 1 << 16:
            raise DataError(f"{name} holds values beyond 16 bits, expected 8 or 16 bits")
        return Image.fromarray((grey >> 8).astype(np.uint8)).convert("RGB")
    if picture.mode in ("F", "LAB", "HSV"):
        kind = "floating-point values" if picture.mode == "F" else f"{picture.mode} colours"
        raise DataError(f"{name} holds {kind}, expected grey or RGB of 8 or 16 bits")
    return picture.convert("RGB")


def _kind(content: bytes) -> str | None:
    """What a file is that is no picture that can be read, by its first bytes."""
    if content[4:8] == b"ftyp":
        return _BRANDS.get(content[8:12])
    return next((kind for start, kind in _SIGNATURES.items() if content.startswith(start)), None)
