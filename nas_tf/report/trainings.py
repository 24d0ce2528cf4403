"""Compares finished trainings: the found network and its baselines, at equal training."""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import fmean
from typing import Any

from matplotlib.figure import Figure

from nas_tf.errors import ConfigError, DataError
from nas_tf.report.comparison import Difference, different_folders, differing, short_names
from nas_tf.report.document import CYCLE, paper, sheet
from nas_tf.report.formatting import duration, score
from nas_tf.runs.statistics import Interval, mean_difference
from nas_tf.runs.trainings import Training

_SAME = ("data.name", "data.target", "data.val_split")
_EQUAL = (
    *("full_training.", "data.", "degradation", "evaluation.", "network.weights", "precision"),
    "task.",
)
"""The keys in which trainings are unequal if they differ; others describe the network."""
_OF_NETWORK = ".auxiliary_weight"
_UNUSED = ("search", "stage_one", "stage_two", "gate", "limits", "threads", "teacher")
_UNKNOWN = "–"


@dataclass(frozen=True)
class Group:
    """Trainings that differ in their seed only."""

    name: str
    trainings: tuple[Training, ...]

    def values(self, figure: str) -> list[float]:
        """Returns a figure of each training."""
        return [training.figures[figure] for training in self.trainings]

    def recorded(self, key: str) -> Any:
        """Returns what the trainings recorded about their network, None if they did not."""
        return self.trainings[0].record.get(key)


@dataclass(frozen=True)
class TrainingComparison:
    """A comparison of trainings on the same data with the first of them, and those like it."""

    trainings: Sequence[Training]

    def __post_init__(self) -> None:
        if len(self.trainings) < 2:
            raise ConfigError(
                f"{len(self.trainings)} training is given, expected two or more to compare"
            )
        different_folders([training.folder for training in self.trainings])
        for difference in differing([item.settings for item in self.trainings], _SAME):
            raise DataError(
                f"{difference.key} is {' and '.join(difference.values)}: figures on different "
                "data can't be compared, expected trainings on the same"
            )
        for training in self.trainings[1:]:
            if list(training.figures) != list(self.trainings[0].figures):
                raise DataError(
                    f"{training.folder} has {', '.join(training.figures)}, expected "
                    f"{', '.join(self.trainings[0].figures)} as the first training"
                )

    @cached_property
    def groups(self) -> list[Group]:
        """The trainings by network and settings, in the order given."""
        names = short_names([training.folder for training in self.trainings])
        found: list[Group] = []
        for name, training in zip(names, self.trainings, strict=True):
            for place, group in enumerate(found):
                if _differ_in_seed(training, group.trainings):
                    found[place] = Group(group.name, (*group.trainings, training))
                    break
            else:
                found.append(Group(name, (training,)))
        return found

    @property
    def figure(self) -> str:
        """The task's usual figure, by which the trainings are compared."""
        return next(iter(self.trainings[0].figures))

    def against_first(self, group: Group) -> Interval | None:
        """Returns the difference to the first group, with an interval if each has two seeds."""
        first = self.groups[0]
        if group is first:
            return None
        return mean_difference(group.values(self.figure), first.values(self.figure))

    @cached_property
    def differences(self) -> list[Difference]:
        """The keys in which the networks and their trainings differ."""
        settings = [group.trainings[0].settings for group in self.groups]
        keys = dict.fromkeys(key for found in settings for key in found if _matters(key))
        return differing(settings, [key for key in keys if key not in _SAME])

    @cached_property
    def lines(self) -> list[str]:
        """Sentences on what makes the comparison uneven, or too weak to tell."""
        unequal = [
            str(difference)
            for difference in self.differences
            if difference.key.startswith(_EQUAL) and not difference.key.endswith(_OF_NETWORK)
        ]
        found = [f"the trainings are not equal: {'; '.join(unequal)}"] if unequal else []
        if any(len(group.trainings) == 1 for group in self.groups):
            found.append(
                "a network that was trained once may differ by chance: train it with seed=2 and "
                "seed=3 too"
            )
        return found


def rows(comparison: TrainingComparison) -> Iterator[dict[str, str]]:
    """Yields a row for each network: costs, figures, and the difference to the first."""
    for group in comparison.groups:
        params, madds = group.recorded("parameters"), group.recorded("multiply_adds")
        seconds = [training.record.get("seconds") for training in group.trainings]
        row = {
            "network": group.name,
            "trainings": str(len(group.trainings)),
            "epochs": str(group.trainings[0].epochs),
            "time each": _UNKNOWN if None in seconds else duration(fmean(seconds)),
            "parameters": _UNKNOWN if params is None else f"{params:,}",
            "multiply-adds": _UNKNOWN if madds is None else f"{madds / 1e9:.2f} B",
        }
        for figure in comparison.trainings[0].figures:
            values = group.values(figure)
            row[figure] = score(fmean(values))
            if figure == comparison.figure:
                several = len(values) > 1
                row["range"] = f"{score(min(values))} to {score(max(values))}" if several else ""
        row["minus the first"] = str(comparison.against_first(group) or "")
        yield row


def by_class(comparison: TrainingComparison) -> list[dict[str, str]]:
    """Returns a row for each row of the first training's table, with every network's mean."""
    first = comparison.trainings[0].record["table"]
    if len(first) < 2:
        return []
    label, figure = list(first[0])[:2]
    found = []
    for line in first:
        row = {label: str(line[label])}
        for group in comparison.groups:
            lines = [other for item in group.trainings for other in item.record["table"]]
            values = [other.get(figure) for other in lines if other.get(label) == line[label]]
            known = [value for value in values if value is not None]
            row[group.name] = score(fmean(known)) if known else _UNKNOWN
        found.append(row)
    return found


def write_table(comparison: TrainingComparison, path: Path) -> None:
    """Writes a line for each training as CSV: network, folder, seed and figures."""
    figures = list(comparison.trainings[0].figures)
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["network", "genotype", "folder", "seed", "epochs", "seconds", *figures])
        for group in comparison.groups:
            for item in group.trainings:
                about = (item.folder.name, item.settings.get("seed"), item.epochs)
                values = [round(item.figures[figure], 6) for figure in figures]
                seconds = item.record.get("seconds")
                table.writerow([group.name, str(item.genotype), *about, seconds, *values])


def figure(comparison: TrainingComparison) -> Figure:
    """Draws the figure of every training against the multiply-adds of its network."""
    with paper():
        drawing, (axes,) = sheet(size=(6.4, 3.6))
        known = all(group.recorded("multiply_adds") for group in comparison.groups)
        for number, group in enumerate(comparison.groups):
            values, colour = group.values(comparison.figure), CYCLE[number % len(CYCLE)]
            x = group.recorded("multiply_adds") / 1e9 if known else number
            axes.plot([x] * len(values), values, "o", color=colour, alpha=0.7)
            axes.annotate(
                group.name,
                (x, fmean(values)),
                textcoords="offset points",
                xytext=(7, -2),
                fontsize=8,
            )
        axes.margins(x=0.25)
        if not known:
            axes.set_xticks([])
        axes.set(ylabel=comparison.figure, xlabel="multiply-adds, billions" if known else "")
        return drawing


def _differ_in_seed(training: Training, others: Sequence[Training]) -> bool:
    """Returns whether a training is as others are, but for the seed, which none of them has.

    With an equal seed too, something differs that no configuration states, such as a compression
    or the weights to start from.
    """
    seeds = [other.settings.get("seed") for other in others]
    return training.settings.get("seed") not in seeds and _network(training) == _network(others[0])


def _network(training: Training) -> tuple[str, dict[str, Any]]:
    settings = {key: value for key, value in training.settings.items() if _matters(key)}
    return str(training.genotype), settings


def _matters(key: str) -> bool:
    """Returns whether a key is part of what a training is, beside its seed."""
    return key != "seed" and key.partition(".")[0] not in _UNUSED
