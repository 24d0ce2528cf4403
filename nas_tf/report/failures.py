"""Why trials failed: reasons that differ by their numbers only are told as one."""

import itertools
import re
from collections.abc import Iterable
from dataclasses import dataclass

from nas_tf.runs import TrialRecord

_NUMBER = re.compile(
    r"(?<![\w.])-?(?:\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?(?:e[+-]?\d+)?)(?!\w)"
)


@dataclass(frozen=True)
class Failure:
    """A reason, and the trials that failed for it in their order."""

    reason: str
    trials: tuple[TrialRecord, ...]


def grouped(trials: Iterable[TrialRecord]) -> list[Failure]:
    """The reasons of the trials that failed, the most common first.

    Where numbers of a group differ, the reason tells the lowest and the highest.
    """
    groups: dict[tuple[str, ...], list[TrialRecord]] = {}
    for trial in trials:
        if trial.status == "failed":
            groups.setdefault(tuple(_NUMBER.split(_reason(trial))), []).append(trial)
    ordered = sorted(groups.items(), key=lambda group: -len(group[1]))
    return [Failure(_told(words, same), tuple(same)) for words, same in ordered]


def _reason(trial: TrialRecord) -> str:
    return trial.stopped or "unknown"


def _told(words: tuple[str, ...], same: list[TrialRecord]) -> str:
    """The words that reasons share, with what each number of theirs was."""
    places = zip(*(_NUMBER.findall(_reason(trial)) for trial in same), strict=True)
    numbers = [_range(found) for found in places]
    return "".join(itertools.chain(*itertools.zip_longest(words, numbers, fillvalue="")))


def _range(found: tuple[str, ...]) -> str:
    low, high = min(found, key=_value), max(found, key=_value)
    return low if _value(low) == _value(high) else f"{low} to {high}"


def _value(number: str) -> float:
    return float(number.replace(",", ""))
