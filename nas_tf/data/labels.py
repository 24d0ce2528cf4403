"""From the values in a label file to class indices, explicitly: no shift, no silent clipping."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nas_tf.errors import DataError

_LARGEST = 65535
"""Value that a label file may hold."""


@dataclass(frozen=True, slots=True)
class LabelMap:
    """Which values a label file may hold and the class index each of them stands for.

    Without ``mapping`` the file holds class indices 0 to ``classes`` - 1 and ``ignore``.
    With it, exactly its keys are accepted, and ``ignore``.
    """

    classes: int
    ignore: int
    mapping: Mapping[int, int] | None = None

    def __post_init__(self) -> None:
        """Refuses maps that lead outside the classes."""
        if not 0 <= self.ignore <= 255:
            raise DataError(f"ignore_label is {self.ignore}: 0–255 is accepted")
        for value, label in (self.mapping or {}).items():
            if not 0 <= value <= _LARGEST:
                raise DataError(f"label_map maps value {value}: 0–{_LARGEST} is accepted")
            if label != self.ignore and not 0 <= label < self.classes:
                raise DataError(
                    f"label_map sends {value} to {label}: "
                    f"0–{self.classes - 1} and {self.ignore} (ignore) are accepted"
                )

    def __call__(self, raw: np.ndarray, where: str | Path) -> np.ndarray:
        """Maps a label image, or names the first pixel whose value is not declared."""
        table = np.full(_LARGEST + 2, -1, np.int32)  # its last entry stands for all that is larger
        table[self.ignore] = self.ignore
        for value, label in (self.mapping or {c: c for c in range(self.classes)}).items():
            table[value] = label
        labels = table[np.clip(raw, 0, _LARGEST + 1)]
        unknown = (labels < 0) | (raw < 0)
        if unknown.any():
            y, x = np.argwhere(unknown)[0]
            raise DataError(
                f"label {raw[y, x]} in {where} at ({x}, {y}): {self._accepted()}; "
                "map it or set ignore_label"
            )
        return labels.astype(np.uint8)

    def _accepted(self) -> str:
        """What was declared, in words."""
        if self.mapping is None:
            return f"{self.classes} classes and ignore {self.ignore} declared"
        values = ", ".join(str(value) for value in sorted({*self.mapping, self.ignore}))
        return f"values {values} declared"
