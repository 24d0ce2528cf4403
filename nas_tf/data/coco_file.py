"""A COCO annotation file of one's own: masks drawn from its outlines, and one person a picture."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath

import msgspec
import numpy as np
from pycocotools import mask as outlines

from nas_tf.errors import DataError

_FARTHEST = 8
"""Times a picture's size that an outline may leave it; pycocotools crashes far outside."""
_OUTERMOST = 1e6
"""Below this every coordinate of a joint is."""
_LONGEST = 60
"""Bits of a count in a compressed mask."""


class _Image(msgspec.Struct):
    id: int | str
    file_name: str
    height: int | None = None
    width: int | None = None


class _Runs(msgspec.Struct):
    counts: list[int] | str
    size: tuple[int, int]


class _Annotation(msgspec.Struct):
    image_id: int | str
    category_id: int
    segmentation: list[list[float]] | _Runs | None = None
    iscrowd: int = 0
    area: float = 0.0
    bbox: list[float] | None = None
    keypoints: list[float] | None = None

    @property
    def size(self) -> float:
        """Its area, or its box's where none is given."""
        return self.area or (self.bbox[2] * self.bbox[3] if len(self.bbox or ()) == 4 else 0.0)

    @property
    def posed(self) -> bool:
        """Whether it is a person with a joint."""
        return not self.iscrowd and any(seen > 0 for seen in (self.keypoints or ())[2::3])


class _Category(msgspec.Struct):
    id: int
    name: str
    keypoints: list[str] | None = None


class _Content(msgspec.Struct):
    images: list[_Image]
    annotations: list[_Annotation]
    categories: list[_Category]


@dataclass(frozen=True)
class CocoFile:
    """The pictures of a file by their names without suffix, and what is annotated on them."""

    path: Path
    images: Mapping[str, _Image]
    annotations: Mapping[int | str, Sequence[_Annotation]]
    categories: Sequence[_Category]
    endings: Mapping[str, Sequence[str]]

    @property
    def joints(self) -> tuple[str, ...]:
        """The joints of the first category that has them."""
        named = (category.keypoints for category in self.categories if category.keypoints)
        return tuple(name.replace("_", " ") for name in next(named, ()))

    def people(self) -> list[str]:
        """The names of the pictures on which a person has a joint."""
        return [
            name
            for name, image in self.images.items()
            if any(one.posed for one in self.annotations.get(image.id, ()))
        ]

    def find(self, name: str) -> _Image:
        """A picture by its name, or by the last part of it where that is unique."""
        keys = [name] if name in self.images else self.endings.get(PurePosixPath(name).name, ())
        if len(keys) != 1:
            raise DataError(f"picture {name} is not in {self.path}: add it or leave it out")
        return self.images[keys[0]]

    def mask(
        self, name: str, size: tuple[int, int], labels: Mapping[int, int], ignore: int
    ) -> np.ndarray:
        """The class of every pixel: 0 where nothing is, crowds ignored, small objects on top."""
        drawn = np.zeros(size, np.uint8)
        objects = self._annotated(name, size)
        for one in sorted(objects, key=lambda one: (not one.iscrowd, -one.size)):
            label = labels.get(one.category_id, 0)
            if one.segmentation is not None and label:
                inside = self._covered(one.segmentation, size, name)
                drawn[inside] = ignore if one.iscrowd else label
        return drawn

    def person(self, name: str, size: tuple[int, int], joints: int) -> tuple[np.ndarray, float]:
        """Keypoints [joints, 3] and area of the largest person of a picture."""
        people = [one for one in self._annotated(name, size) if one.posed]
        if not people:
            raise DataError(f"picture {name} has no person with a joint in {self.path}")
        person = max(people, key=lambda one: one.size)
        values = person.keypoints or []
        if len(values) != 3 * joints or not all(abs(value) < _OUTERMOST for value in values):
            raise DataError(
                f"picture {name} in {self.path} has {len(values)} keypoint values, "
                f"expected x, y and visibility of {joints} joints"
            )
        points = np.array(values, np.float32).reshape(joints, 3)
        points[:, 2] = np.clip(points[:, 2], 0, 2)
        points[points[:, 2] == 0] = 0
        seen = points[points[:, 2] > 0, :2]
        area = person.size if 0 < person.size < math.inf else float(np.prod(np.ptp(seen, 0) + 1))
        return points, area

    def _annotated(self, name: str, size: tuple[int, int]) -> Sequence[_Annotation]:
        """What is annotated on a picture, whose size (height, width) has to be the file's."""
        image = self.find(name)
        written = (image.height or size[0], image.width or size[1])
        if written != size:
            raise DataError(
                f"picture {name} is {size[1]}x{size[0]}, in {self.path} it is "
                f"{written[1]}x{written[0]} (width x height): both must be of one size"
            )
        return self.annotations.get(image.id, ())

    def _covered(
        self, shape: Sequence[Sequence[float]] | _Runs, size: tuple[int, int], name: str
    ) -> np.ndarray:
        """The pixels of one outline."""
        height, width = size
        if isinstance(shape, _Runs):
            counts = _decoded(shape.counts) if isinstance(shape.counts, str) else shape.counts
            whole = min(counts, default=-1) >= 0 and sum(counts) == height * width
            if tuple(shape.size) != size or not whole:
                raise DataError(
                    f"a mask of {name} in {self.path} does not cover its {width}x{height} pixels"
                )
            inked = np.arange(len(counts)) % 2 == 1
            return np.repeat(inked, counts).reshape(width, height).T
        far = _FARTHEST * max(size)
        for outline in shape:
            if len(outline) < 6 or len(outline) % 2 or not all(abs(v) <= far for v in outline):
                raise DataError(
                    f"an outline of {name} in {self.path} is no polygon, expected x, y of "
                    "3 or more corners near the picture"
                )
        if not shape:
            return np.zeros(size, bool)
        runs = outlines.frPyObjects([list(outline) for outline in shape], height, width)
        return outlines.decode(outlines.merge(runs)).astype(bool)


def read_coco(path: Path) -> CocoFile:
    """Reads a file; it is read once for as long as it does not change."""
    try:
        status = path.stat()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise DataError(f"{path} cannot be read: {reason}") from error
    return _read(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=4)
def _read(path: Path, size: int, changed: int) -> CocoFile:
    try:
        content = msgspec.json.decode(path.read_bytes(), type=_Content)
    except (OSError, msgspec.MsgspecError, RecursionError) as error:
        raise DataError(
            f"{path} is not a COCO JSON with images, annotations and categories: {error}"
        ) from error
    images: dict[str, _Image] = {}
    endings: dict[str, list[str]] = {}
    for image in content.images:
        place = PurePosixPath(image.file_name.replace("\\", "/"))
        if (
            not place.name
            or place.is_absolute()
            or ".." in place.parts
            or not str(place).isprintable()
        ):
            raise DataError(f"{path} names a picture {str(place)[:60]!r}, expected a file's name")
        name = str(place.with_suffix(""))
        if name in images:
            raise DataError(f"{path} has picture {name[:60]!r} twice, expected every one once")
        images[name] = image
        endings.setdefault(place.stem, []).append(name)
    annotations: dict[int | str, list[_Annotation]] = {}
    for annotation in content.annotations:
        annotations.setdefault(annotation.image_id, []).append(annotation)
    return CocoFile(path, images, annotations, content.categories, endings)


def _decoded(text: str) -> list[int]:
    """The counts of COCO's compressed text: base 32, each from the last but one on."""
    counts: list[int] = []
    value = shift = 0
    for character in text:
        if shift > _LONGEST:
            return [-1]
        bits = ord(character) - 48
        value |= (bits & 0x1F) << shift
        shift += 5
        if bits & 0x20:
            continue
        if bits & 0x10:
            value -= 1 << shift
        counts.append(value + (counts[-2] if len(counts) > 2 else 0))
        value = shift = 0
    return counts
