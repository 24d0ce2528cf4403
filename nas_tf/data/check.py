"""Reads every file of a dataset before any training starts and says what is wrong with which."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from nas_tf.data.builder import available
from nas_tf.data.info import DatasetInfo
from nas_tf.data.items import Item, read
from nas_tf.data.registry import builder_class
from nas_tf.data.store import resolve_source
from nas_tf.errors import DataError


@dataclass(slots=True)
class SplitReport:
    """One split: how many examples, pixels of each class, and a line for every broken example."""

    split: str
    count: int
    expected: int | None
    pixels: np.ndarray
    ignored: int = 0
    problems: list[str] = field(default_factory=list)

    @property
    def shares(self) -> np.ndarray:
        """The share of each class in all pixels that are not ignored."""
        return self.pixels / max(1, self.pixels.sum())


@dataclass(frozen=True, slots=True)
class Report:
    """The state of a dataset's source."""

    info: DatasetInfo
    splits: Mapping[str, SplitReport]

    @property
    def problems(self) -> list[str]:
        """Every problem, in the order of reading."""
        return [problem for split in self.splits.values() for problem in split.problems]

    @property
    def absent(self) -> tuple[str, ...]:
        """Published splits that the source does not hold."""
        return tuple(split for split in self.info.splits if split not in self.splits)


def check(name: str, source: Path | None = None) -> Report:
    """Reads all examples of all splits; what keeps a whole split from being read raises."""
    builder = builder_class(name)
    found = available(builder, resolve_source(name, source))
    info = builder.INFO
    return Report(info, {split: _check_split(info, split, found[split]) for split in found})


def _check_split(info: DatasetInfo, split: str, items: list[Item]) -> SplitReport:
    """Counts the label values of a split and collects its problems."""
    report = SplitReport(split, len(items), info.splits[split], np.zeros(len(info.classes), int))
    for item in items:
        try:
            example = read(item)
        except DataError as error:
            report.problems.append(str(error))
            continue
        if "label" in example:
            label = example["label"]
            used = label[label != info.ignore_label]
            report.pixels += np.bincount(used, minlength=len(info.classes))
            report.ignored += label.size - used.size
    return report
