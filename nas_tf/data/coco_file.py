"""Reads a COCO annotation file: masks from outlines, boxes, and a person for each picture."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath

import msgspec
import numpy as np
from pycocotools import mask as outlines

from nas_tf.errors import DataError

_ROUNDING = 0.5
"""The pixels by which a box with rounded numbers may end outside its picture."""
_OUTLINE_LIMIT = 8
"""The limit of an outline's coordinates in picture sizes; pycocotools crashes far outside."""
_JOINT_LIMIT = 1e6
"""The limit of a joint's coordinates."""
_MOST_BITS = 60
"""The most bits of a count in a compressed mask."""
_MOST_BYTES = 1 << 30
"""The largest file; that of COCO 2017's training split has 448 MiB."""


class _Image(msgspec.Struct):
    """A picture of the file."""

    id: int | str
    file_name: str
    height: int | None = None
    width: int | None = None


class _Runs(msgspec.Struct):
    """A mask as run lengths down the columns, or their compressed text; ``size`` is (h, w)."""

    counts: list[int] | str
    size: tuple[int, int]


_Shape = list[list[float]] | _Runs


class _Annotation(msgspec.Struct):
    """An annotated object; polygons or run lengths outline it, and are read when needed."""

    image_id: int | str
    category_id: int
    segmentation: msgspec.Raw = msgspec.Raw()
    iscrowd: int = 0
    area: float = 0.0
    bbox: list[float] | None = None
    keypoints: list[float] | None = None

    @property
    def size(self) -> float:
        """The annotated area, or the area of the box if none is given."""
        return self.area or (self.bbox[2] * self.bbox[3] if len(self.bbox or ()) == 4 else 0.0)

    @property
    def is_outlined(self) -> bool:
        """True if the annotation has an outline or a mask."""
        return bytes(self.segmentation) not in (b"", b"null", b"[]")

    @property
    def has_joints(self) -> bool:
        """True if the annotation is of a single person with a joint."""
        return not self.iscrowd and any(value > 0 for value in (self.keypoints or ())[2::3])


class _Category(msgspec.Struct):
    """A category of objects, with the names of its joints if it has any."""

    id: int
    name: str
    keypoints: list[str] | None = None


class _Content(msgspec.Struct):
    """The parts of the file that are read."""

    images: list[_Image]
    annotations: list[_Annotation]
    categories: list[_Category]


@dataclass(frozen=True)
class CocoFile:
    """The pictures of a file by their names without suffix, and their annotations.

    ``by_last_part`` maps the last part of a name to all names that end with it.
    """

    path: Path
    images: Mapping[str, _Image]
    annotations: Mapping[int | str, Sequence[_Annotation]]
    categories: Sequence[_Category]
    by_last_part: Mapping[str, Sequence[str]]

    @property
    def joints(self) -> tuple[str, ...]:
        """The joints of the first category that has them."""
        named = (category.keypoints for category in self.categories if category.keypoints)
        return tuple(name.replace("_", " ") for name in next(named, ()))

    def pictures_with_joints(self) -> list[str]:
        """Returns the names of the pictures on which a person has a joint."""
        return [
            name
            for name, image in self.images.items()
            if any(person.has_joints for person in self.annotations.get(image.id, ()))
        ]

    def pictures_with_outlines(self, categories: Collection[int]) -> list[str]:
        """Returns the names of the pictures on which a single object of a category is outlined."""
        return [
            name
            for name, image in self.images.items()
            if any(
                item.is_outlined and not item.iscrowd and item.category_id in categories
                for item in self.annotations.get(image.id, ())
            )
        ]

    @property
    def has_outlines(self) -> bool:
        """True if an object is outlined."""
        return any(item.is_outlined for items in self.annotations.values() for item in items)

    def find(self, name: str) -> _Image:
        """Returns a picture by its name, or by the last part of the name if that is unique."""
        last_part = PurePosixPath(name).name
        names = [name] if name in self.images else self.by_last_part.get(last_part, ())
        if len(names) != 1:
            raise DataError(f"picture {name} is not in {self.path}: add it or leave it out")
        return self.images[names[0]]

    def mask(
        self, name: str, size: tuple[int, int], labels: Mapping[int, int], ignore: int
    ) -> np.ndarray:
        """Returns the class of every pixel: 0 is no object, crowds are ignored, small ones win."""
        mask = np.zeros(size, np.uint8)
        objects = self._objects(name, size)
        for item in sorted(objects, key=lambda item: (not item.iscrowd, -item.size)):
            label = labels.get(item.category_id, 0)
            if item.is_outlined and label:
                inside = self._covered(self._shape(item, name), size, name)
                mask[inside] = ignore if item.iscrowd else label
        return mask

    def boxes(self, name: str, size: tuple[int, int], labels: Mapping[int, int]) -> np.ndarray:
        """Returns the boxes [boxes, 5] of a picture, crowds left out: x1, y1, x2, y2, class."""
        rows = []
        for item in self._objects(name, size):
            if item.iscrowd or item.category_id not in labels:
                continue
            if len(item.bbox or ()) != 4 or not all(map(math.isfinite, item.bbox or ())):
                raise DataError(
                    f"an object of {name} in {self.path} has no box, expected bbox [x, y, width, "
                    "height]"
                )
            x, y, width, height = item.bbox  # type: ignore[misc]
            rows.append((x, y, x + width, y + height, labels[item.category_id]))
        return cut_at_edges(np.array(rows, float).reshape(-1, 5), size)

    def largest_person(
        self, name: str, size: tuple[int, int], joints: int
    ) -> tuple[np.ndarray, float]:
        """Returns keypoints [joints, 3] and area of the largest person of a picture."""
        people = [person for person in self._annotated(name, size) if person.has_joints]
        if not people:
            raise DataError(f"picture {name} has no person with a joint in {self.path}")
        person = max(people, key=lambda person: person.size)
        values = person.keypoints or []
        if len(values) != 3 * joints or not all(abs(value) < _JOINT_LIMIT for value in values):
            raise DataError(
                f"picture {name} in {self.path} has {len(values)} keypoint values, "
                f"expected x, y and visibility of {joints} joints"
            )
        points = np.array(values, np.float32).reshape(joints, 3)
        points[:, 2] = np.clip(points[:, 2], 0, 2)
        points[points[:, 2] == 0] = 0
        present = points[points[:, 2] > 0, :2]
        if 0 < person.size < math.inf:
            return points, person.size
        return points, float(np.prod(np.ptp(present, 0) + 1))

    def _objects(self, name: str, size: tuple[int, int]) -> Sequence[_Annotation]:
        """Returns a picture's annotations; raises if one of them is of an unknown category."""
        objects, known = self._annotated(name, size), {entry.id for entry in self.categories}
        for item in objects:
            if item.category_id not in known:
                raise DataError(
                    f"an object of {name} in {self.path} is of category {item.category_id}, "
                    "expected an id of categories"
                )
        return objects

    def _annotated(self, name: str, size: tuple[int, int]) -> Sequence[_Annotation]:
        """Returns a picture's annotations; raises if the file has another (height, width)."""
        image = self.find(name)
        stated = (image.height or size[0], image.width or size[1])
        if stated != size:
            raise DataError(
                f"picture {name} is {size[1]}x{size[0]}, in {self.path} it is "
                f"{stated[1]}x{stated[0]} (width x height): both must be of one size"
            )
        return self.annotations.get(image.id, ())

    def _shape(self, item: _Annotation, name: str) -> _Shape:
        """Returns the polygons or the run lengths of an object."""
        try:
            return msgspec.json.decode(item.segmentation, type=_Shape)
        except (msgspec.MsgspecError, RecursionError) as error:
            raise DataError(
                f"an outline of {name} in {self.path} is neither polygons nor run lengths: {error}"
            ) from error

    def _covered(self, shape: _Shape, size: tuple[int, int], name: str) -> np.ndarray:
        """Returns the pixels of an outline or of a run-length mask."""
        height, width = size
        if isinstance(shape, _Runs):
            compressed = isinstance(shape.counts, str)
            counts = _run_lengths(shape.counts) if compressed else shape.counts
            complete = min(counts, default=-1) >= 0 and sum(counts) == height * width
            if tuple(shape.size) != size or not complete:
                raise DataError(
                    f"a mask of {name} in {self.path} does not cover its {width}x{height} pixels"
                )
            is_object = np.arange(len(counts)) % 2 == 1
            return np.repeat(is_object, counts).reshape(width, height).T
        limit = _OUTLINE_LIMIT * max(size)
        for outline in shape:
            if len(outline) < 6 or len(outline) % 2 or not all(abs(v) <= limit for v in outline):
                raise DataError(
                    f"an outline of {name} in {self.path} is no polygon, expected x, y of "
                    "3 or more corners near the picture"
                )
        if not shape:
            return np.zeros(size, bool)
        runs = outlines.frPyObjects([list(outline) for outline in shape], height, width)
        return outlines.decode(outlines.merge(runs)).astype(bool)


def read_coco(path: Path) -> CocoFile:
    """Reads a file; the content is cached until the file changes."""
    try:
        status = path.stat()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise DataError(f"{path} cannot be read: {reason}") from error
    if status.st_size > _MOST_BYTES:
        raise DataError(
            f"{path} has {status.st_size:,} bytes, expected at most {_MOST_BYTES:,}: divide it "
            "into files of fewer pictures"
        )
    return _read_version(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=4)
def _read_version(path: Path, size: int, changed: int) -> CocoFile:
    """Reads a file; ``size`` and ``changed`` are only keys of the cache."""
    try:
        content = msgspec.json.decode(path.read_bytes(), type=_Content)
    except (OSError, msgspec.MsgspecError, RecursionError) as error:
        raise DataError(
            f"{path} is not a COCO JSON with images, annotations and categories: {error}"
        ) from error
    images: dict[str, _Image] = {}
    by_last_part: dict[str, list[str]] = {}
    for image in content.images:
        file = PurePosixPath(image.file_name.replace("\\", "/"))
        if (
            not file.name
            or file.is_absolute()
            or ".." in file.parts
            or not str(file).isprintable()
        ):
            raise DataError(f"{path} names a picture {str(file)[:60]!r}, expected a file's name")
        name = str(file.with_suffix(""))
        if name in images:
            raise DataError(f"{path} has picture {name[:60]!r} twice, expected every one once")
        images[name] = image
        by_last_part.setdefault(file.stem, []).append(name)
    annotations: dict[int | str, list[_Annotation]] = {}
    for annotation in content.annotations:
        annotations.setdefault(annotation.image_id, []).append(annotation)
    return CocoFile(path, images, annotations, content.categories, by_last_part)


def _run_lengths(text: str) -> list[int]:
    """Decodes the counts of COCO's compressed text: base 32, differences to the last but one."""
    counts: list[int] = []
    value = shift = 0
    for character in text:
        if shift > _MOST_BITS:
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


def cut_at_edges(boxes: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Cuts boxes [boxes, 5] of rounded numbers, which end up to half a pixel outside a picture."""
    cut = np.clip(boxes[:, :4], 0, (size[1], size[0]) * 2)
    near = np.abs(cut - boxes[:, :4]) <= _ROUNDING
    sides = np.where(near, cut, boxes[:, :4])
    return np.concatenate([sides, boxes[:, 4:]], axis=1).astype(np.float32)
