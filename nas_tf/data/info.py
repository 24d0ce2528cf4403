"""What is known of a dataset before any of its files are read."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nas_tf.data.palettes import Colour, colours
from nas_tf.errors import DataError


@dataclass(frozen=True, slots=True)
class DatasetInfo:
    """One dataset: what it holds, how it is drawn and how a person gets it.

    ``splits`` gives the published number of examples, or None where there is none.
    ``targets`` are keys of the example dictionary: label, depth, keypoints. ``extras`` are keys
    that only metrics read: head_size, area; in ``unscored_splits`` they are not given.
    ``swaps`` pairs the left and right joints that change places in a mirror; ``unscored_joints``
    are annotated and learned but left out of the data set's own score. ``sigmas`` are the
    falloffs of OKS, a joint each, where they are not COCO's.
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

    @property
    def colours(self) -> tuple[Colour, ...]:
        """The colour of every class, in class order."""
        return colours(self.palette, len(self.classes))

    @property
    def mirrored_joints(self) -> tuple[int, ...]:
        """For every joint, the joint it becomes in a mirror."""
        order = list(range(len(self.joints)))
        for left, right in self.swaps:
            order[left], order[right] = right, left
        return tuple(order)


_LARGEST = 65535
"""Value that a label file may hold."""
_WHITE = 0xFFFFFF
_NAMED = 40
"""Declared values that an error lists at most."""


@dataclass(frozen=True, slots=True)
class LabelMap:
    """Which values a label file may hold and the class index each of them stands for.

    Without ``mapping`` the file holds class indices 0 to ``classes`` - 1 and ``ignore``.
    With it, exactly its keys are accepted, and ``ignore``. Where ``coloured``, the file holds
    colours, the keys are 0xRRGGBB, and exactly they are accepted.
    """

    classes: int
    ignore: int
    mapping: Mapping[int, int] | None = None
    coloured: bool = False

    def __post_init__(self) -> None:
        """Refuses maps that lead outside the classes."""
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
        """Maps a label image, or names the first pixel whose value is not declared."""
        # The last entry of the table stands for all that is larger.
        table = np.full(self._largest + 2, -1, np.int16)
        if not self.coloured:
            table[self.ignore] = self.ignore
        for value, label in (self.mapping or {c: c for c in range(self.classes)}).items():
            table[value] = label
        labels = table[np.clip(raw, 0, self._largest + 1)]
        unknown = (labels < 0) | (raw < 0)
        if unknown.any():
            y, x = np.argwhere(unknown)[0]
            remedy = "add it to label_map" if self.coloured else "map it or set ignore_label"
            raise DataError(
                f"label {self._shown(raw[y, x])} in {where} at ({x}, {y}): {self._accepted()}; "
                f"{remedy}"
            )
        return labels.astype(np.uint8)

    @property
    def _largest(self) -> int:
        return _WHITE if self.coloured else _LARGEST

    def _shown(self, value: int) -> str:
        return f"#{value:06x}" if self.coloured else str(value)

    def _accepted(self) -> str:
        """What was declared, in words."""
        if self.mapping is None:
            return f"{self.classes} classes and ignore {self.ignore} declared"
        declared = sorted({*self.mapping} | ({self.ignore} if not self.coloured else set()))
        named = ", ".join(self._shown(value) for value in declared[:_NAMED])
        more = f" and {len(declared) - _NAMED} more" if len(declared) > _NAMED else ""
        return f"{'colours' if self.coloured else 'values'} {named}{more} declared"
