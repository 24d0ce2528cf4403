"""Reads every file of a dataset before any training starts and says what is wrong with which."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from nas_tf.data.builder import Item, empty, found, read_item
from nas_tf.data.info import DatasetInfo
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
    def notes(self) -> list[str]:
        """What is no fault and has consequences all the same."""
        notes = []
        seen = sum(split.pixels for split in self.splits.values())
        if self.info.classes and not self.problems:
            never = [name for name, n in zip(self.info.classes, seen, strict=True) if not n]
            if never:
                notes.append(f"no pixel is of class {', '.join(never)}: nothing is learnt of it")
        if "train" in self.info.splits and "val" not in self.info.splits:
            held = ", ".join(self.info.splits)
            notes.append(
                f"no split val, there is {held}: a search needs none, and final scores need one; "
                "make one, or name another by data.val_split"
            )
        return notes

    @property
    def absent(self) -> tuple[str, ...]:
        """Published splits that the source does not hold."""
        return tuple(split for split in self.info.splits if split not in self.splits)


def check(name: str, source: Path | None = None) -> Report:
    """Reads all examples of all splits; only what keeps every split from being read raises."""
    builder = builder_class(name)
    place, info = resolve_source(name, source), builder.INFO
    unreadable: dict[str, str] = {}

    def items(source: Path, split: str) -> list[Item] | None:
        try:
            return builder.items(source, split)
        except DataError as error:
            unreadable[split] = str(error)
            return []

    splits = {
        split: _check_split(info, split, listed)
        for split, listed in found(builder, place, items).items()
    }
    for split, report in splits.items():
        if not report.count:
            report.problems.append(unreadable.get(split) or empty(info, place, split))
    return Report(info, splits)


def _check_split(info: DatasetInfo, split: str, items: list[Item]) -> SplitReport:
    """Counts the label values of a split and collects its problems."""
    report = SplitReport(split, len(items), info.splits[split], np.zeros(len(info.classes), int))
    for item in items:
        try:
            example = read_item(item)
        except DataError as error:
            report.problems.append(str(error))
            continue
        if "label" in example:
            label = example["label"]
            used = label[label != info.ignore_label]
            report.pixels += np.bincount(used, minlength=len(info.classes))
            report.ignored += label.size - used.size
    return report
