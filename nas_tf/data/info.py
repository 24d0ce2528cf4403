"""Describes a dataset and its label values before any of its files is read."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nas_tf.data.palettes import Colour, colours
from nas_tf.errors import DataError

_LARGEST_VALUE = 65535
"""The largest value that a label file may hold."""
_WHITE = 0xFFFFFF
_MOST_LISTED = 40
"""The most declared values that an error message lists."""


@dataclass(frozen=True, slots=True)
class DatasetInfo:
    """A dataset's targets, splits, classes, colours and joints, and how a person gets its files.

    ``splits`` maps each split to its published number of examples, or to None if none is
    published. ``targets`` are keys of the example dictionary: label, depth, keypoints, boxes; and
    clean, which is the image before a view degrades it, or of ``pairs`` a picture of its own.
    ``channels`` is 1 for pictures that are restored as grey by default. ``extras`` are keys
    that only metrics read: head_size, area; the files of ``unscored_splits`` do not have them.
    ``swaps`` pairs the left and right joints that change places in a mirror image;
    ``unscored_joints`` are annotated and learned but left out of the dataset's own score.
    ``sigmas`` are the falloffs of OKS, one for each joint, if they are not COCO's. An image has
    at most ``most_boxes`` boxes.
    """

    name: str
    title: str
    targets: tuple[str, ...]
    splits: Mapping[str, int | None]
    how_to_get: str
    classes: tuple[str, ...] = ()
    ignore_label: int = 255
    palette: str | tuple[Colour, ...] = "voc"
    joints: tuple[str, ...] = ()
    swaps: tuple[tuple[int, int], ...] = ()
    unscored_joints: tuple[str, ...] = ()
    sigmas: tuple[float, ...] = ()
    extras: tuple[str, ...] = ()
    unscored_splits: tuple[str, ...] = ()
    most_boxes: int = 100
    pairs: bool = False
    channels: int = 3

    @property
    def colours(self) -> tuple[Colour, ...]:
        """The colour of every class, in class order."""
        return colours(self.palette, len(self.classes))

    @property
    def mirrored_joints(self) -> tuple[int, ...]:
        """For every joint, the index of the joint that it becomes in a mirror image."""
        order = list(range(len(self.joints)))
        for left, right in self.swaps:
            order[left], order[right] = right, left
        return tuple(order)


@dataclass(frozen=True, slots=True)
class LabelMap:
    """Maps the values that a label file may hold to class indices.

    Without ``mapping`` the file holds class indices 0 to ``classes`` - 1 and ``ignore``.
    With it, exactly its keys are accepted, and ``ignore``. If ``coloured``, the file holds
    colours, the keys are 0xRRGGBB, and exactly they are accepted. For example::

        labels = LabelMap(2, 255, {0: 0, 38: 1})
        labels(np.array([[0, 38, 255]]), "x.png")  # [[0, 1, 255]]
    """

    classes: int
    ignore: int
    mapping: Mapping[int, int] | None = None
    coloured: bool = False

    def __post_init__(self) -> None:
        """Raises if a value or a label of the map is out of range."""
        if not 0 <= self.ignore <= 255:
            raise DataError(f"ignore_label is {self.ignore}: 0–255 is accepted")
        for value, label in (self.mapping or {}).items():
            if not 0 <= value <= self._largest:
                raise DataError(f"label_map maps value {value}: 0–{self._largest} is accepted")
            if label != self.ignore and not 0 <= label < self.classes:
                raise DataError(
                    f"label_map sends {self._shown(value)} to {label}: "
                    f"0–{self.classes - 1} and {self.ignore} (ignore) are accepted"
                )

    def __call__(self, raw: np.ndarray, where: str | Path) -> np.ndarray:
        """Returns the class indices of a label image; raises with the first undeclared pixel."""
        # The last entry of the table stands for all larger values.
        table = np.full(self._largest + 2, -1, np.int16)
        if not self.coloured:
            table[self.ignore] = self.ignore
        for value, label in (self.mapping or {n: n for n in range(self.classes)}).items():
            table[value] = label
        labels = table[np.clip(raw, 0, self._largest + 1)]
        unknown = (labels < 0) | (raw < 0)
        if unknown.any():
            y, x = np.argwhere(unknown)[0]
            remedy = "add it to label_map" if self.coloured else "map it or set ignore_label"
            raise DataError(
                f"label {self._shown(raw[y, x])} in {where} at ({x}, {y}): {self._declared()}; "
                f"{remedy}"
            )
        return labels.astype(np.uint8)

    @property
    def _largest(self) -> int:
        """The largest value or colour that a file may hold."""
        return _WHITE if self.coloured else _LARGEST_VALUE

    def _shown(self, value: int) -> str:
        """Returns a value or colour for a message."""
        return f"#{value:06x}" if self.coloured else str(value)

    def _declared(self) -> str:
        """Describes the declared values in words."""
        if self.mapping is None:
            return f"{self.classes} classes and ignore {self.ignore} declared"
        declared = sorted({*self.mapping} | ({self.ignore} if not self.coloured else set()))
        listed = ", ".join(self._shown(value) for value in declared[:_MOST_LISTED])
        left_out = len(declared) - _MOST_LISTED
        more = f" and {left_out} more" if left_out > 0 else ""
        return f"{'colours' if self.coloured else 'values'} {listed}{more} declared"
