"""Reads every file of a dataset before any training starts and reports every broken one."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from nas_tf.data.builder import Item, empty_split_message, present_splits, read_without_faults
from nas_tf.data.info import DatasetInfo
from nas_tf.data.registry import builder_class
from nas_tf.data.store import resolve_source
from nas_tf.data.targets import TARGETS
from nas_tf.errors import DataError


@dataclass(slots=True)
class SplitReport:
    """A split's number of examples, what it has of each class, and a line per broken example.

    ``expected`` is the published number of examples. ``counts`` has, for each target with
    classes, the number of pixels or boxes of each class, and of ignored pixels in the last place.
    ``faulty_boxes`` is the number of problems that are boxes, which preparing leaves out.
    """

    split: str
    count: int
    expected: int | None
    counts: dict[str, np.ndarray]
    problems: list[str] = field(default_factory=list)
    faulty_boxes: int = 0

    @property
    def pixels(self) -> np.ndarray:
        """The number of pixels of each class."""
        return self.counts["label"][:-1]

    @property
    def ignored(self) -> int:
        """The number of unlabelled pixels."""
        return int(self.counts["label"][-1])

    @property
    def shares(self) -> np.ndarray:
        """The share of each class in all pixels that are not ignored."""
        return self.pixels / max(1, self.pixels.sum())


@dataclass(frozen=True, slots=True)
class Report:
    """The findings about a dataset's source."""

    info: DatasetInfo
    splits: Mapping[str, SplitReport]

    @property
    def problems(self) -> list[str]:
        """Every problem, in the order of reading."""
        return [problem for split in self.splits.values() for problem in split.problems]

    @property
    def faulty_boxes(self) -> int:
        """The number of problems that are boxes, which preparing the data leaves out."""
        return sum(split.faulty_boxes for split in self.splits.values())

    @property
    def notes(self) -> list[str]:
        """Findings that are no faults but have consequences."""
        notes = []
        for key in _with_classes(self.info) if not self.problems else ():
            counts = sum(split.counts[key][:-1] for split in self.splits.values())
            unused = [name for name, n in zip(self.info.classes, counts, strict=True) if not n]
            if unused:
                noun, names = TARGETS[key].counted, ", ".join(unused)
                notes.append(f"no {noun} is of class {names}: nothing is learnt of it")
            notes += [
                f"split {name} has no {TARGETS[key].counted}: it can neither train nor score"
                for name, split in self.splits.items()
                if not split.counts[key][:-1].any()
            ]
        if "train" in self.info.splits and "val" not in self.info.splits:
            there = ", ".join(self.info.splits)
            notes.append(
                f"no split val, there is {there}: a search needs none, and final scores need one; "
                "make one, or name another by data.val_split"
            )
        return notes

    @property
    def absent(self) -> tuple[str, ...]:
        """Published splits that the source does not hold."""
        return tuple(split for split in self.info.splits if split not in self.splits)


def check(name: str, source: Path | None = None) -> Report:
    """Reads all examples of all splits; raises only if no split can be listed."""
    builder = builder_class(name)
    folder, info = resolve_source(name, source), builder.INFO
    unreadable: dict[str, str] = {}

    def items(source: Path, split: str) -> list[Item] | None:
        try:
            return builder.items(source, split)
        except DataError as error:
            unreadable[split] = str(error)
            return []

    splits = {
        split: _check_split(info, split, listed)
        for split, listed in present_splits(builder, folder, items).items()
    }
    for split, report in splits.items():
        if not report.count:
            problem = unreadable.get(split) or empty_split_message(info, folder, split)
            report.problems.append(problem)
    return Report(info, splits)


def _check_split(info: DatasetInfo, split: str, items: list[Item]) -> SplitReport:
    """Counts the classes of a split and collects its problems."""
    counts = {key: np.zeros(len(info.classes) + 1, int) for key in _with_classes(info)}
    report = SplitReport(split, len(items), info.splits[split], counts)
    for item in items:
        try:
            example, faults = read_without_faults(item, info)
            report.problems += faults
            report.faulty_boxes += len(faults)
        except DataError as error:
            report.problems.append(str(error))
            continue
        for key in counts:
            counts[key] += TARGETS[key].counts(example[key], info)
    return report


def _with_classes(info: DatasetInfo) -> list[str]:
    """Returns the targets of a dataset that have classes."""
    return [key for key in info.targets if TARGETS[key].counted]
