"""Reads a study: how well cheaper trainings rank genotypes as a longer one does, and their time.

The folder of a study has ``study.json``, what is measured, and ``results.jsonl``, a line for each
genotype that was trained under a setting, or scored without training.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import fmean, median
from typing import Annotated

import msgspec

from nas_tf.errors import DataError
from nas_tf.runs.statistics import Correlation, spearman

ABOUT, RESULTS = "study.json", "results.jsonl"
LONGER = "longer training"
"""The name of the training that the others are compared with."""


class StudyInfo(msgspec.Struct, frozen=True, kw_only=True):
    """The subject of a study: overrides by the name of a setting, and genotypes as texts.

    ``config`` is the configuration before them, as YAML. ``untrained`` are the names of scores
    without training.
    """

    nas_tf: str
    space: str
    data: str
    config: str
    settings: dict[str, tuple[str, ...]]
    untrained: tuple[str, ...] = ()
    genotypes: tuple[str, ...]
    created: str
    command: str


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """The score of a genotype under a setting, and the seconds of its training and scoring.

    The score may be one without training, which the setting then names.
    """

    setting: str
    genotype: str
    score: float
    seconds: Annotated[float, msgspec.Meta(ge=0)]
    failed: bool = False
    stopped: str | None = None


@dataclass(frozen=True)
class Measured:
    """A setting over the genotypes that it and the longer training have scored.

    ``seconds`` is the median of a candidate, ``correlation`` that with the longer training.
    """

    name: str
    overrides: Sequence[str]
    count: int
    mean: float
    seconds: float
    correlation: Correlation | None


@dataclass(frozen=True)
class Study:
    """A study's folder; everything is read at its first use."""

    folder: Path

    @cached_property
    def info(self) -> StudyInfo:
        """The content of ``study.json``."""
        path = self.folder / ABOUT
        if not path.exists():
            raise DataError(f"{self.folder} is no study: it has no {ABOUT}")
        try:
            return msgspec.json.decode(path.read_bytes(), type=StudyInfo)
        except (msgspec.MsgspecError, ValueError) as error:
            raise DataError(f"{path} is damaged: {error}; put back a copy") from error

    @cached_property
    def results(self) -> list[Result]:
        """All results; a line that a kill has cut short is left out."""
        path = self.folder / RESULTS
        complete = path.read_bytes().rpartition(b"\n")[0] if path.exists() else b""
        try:
            return [
                msgspec.json.decode(line, type=Result) for line in complete.splitlines() if line
            ]
        except (msgspec.MsgspecError, ValueError) as error:
            raise DataError(
                f"{path} is damaged: {error}; delete the line, and its genotype is trained again"
            ) from error

    @property
    def remaining(self) -> list[tuple[str, str]]:
        """The genotypes to score and their settings, one genotype after another."""
        done = {(result.genotype, result.setting) for result in self.results}
        names = (*self.info.untrained, *self.info.settings)
        every = ((text, name) for text in self.info.genotypes for name in names)
        return [each for each in every if each not in done]

    @cached_property
    def measured(self) -> list[Measured]:
        """The settings in the order of the study, the longer training last."""
        return self._all_measured(self.info.settings)

    @cached_property
    def untrained(self) -> list[Measured]:
        """The scores without training, in the order of the study."""
        return self._all_measured(self.info.untrained)

    def pairs(self, setting: str) -> list[tuple[Result, Result]]:
        """Returns the results of a setting, each with that of the longer training."""
        own, longer = self._scored.get(setting, {}), self._scored.get(LONGER, {})
        return [(own[key], longer[key]) for key in own if key in longer]

    @cached_property
    def _scored(self) -> dict[str, dict[str, Result]]:
        scored: dict[str, dict[str, Result]] = {}
        for result in self.results:
            if not result.failed:
                scored.setdefault(result.setting, {})[result.genotype] = result
        return scored

    def _all_measured(self, names: Collection[str]) -> list[Measured]:
        return [self._measured(name, pairs) for name in names if (pairs := self.pairs(name))]

    def _measured(self, name: str, pairs: Sequence[tuple[Result, Result]]) -> Measured:
        own, longer = zip(*pairs, strict=True)
        scores = [result.score for result in own]
        correlation = spearman(scores, [result.score for result in longer])
        return Measured(
            name,
            self.info.settings.get(name, ()),
            len(own),
            fmean(scores),
            median(result.seconds for result in own),
            None if name == LONGER else correlation,
        )

    @property
    def front(self) -> list[Measured]:
        """The settings that no other beats in both ρ and time, the cheapest first."""
        found: list[Measured] = []
        known = [item for item in self.measured if item.correlation is not None]
        for item in sorted(known, key=lambda item: (item.seconds, -rho(item))):
            if not found or rho(item) > rho(found[-1]):
                found.append(item)
        return found

    def cheapest(self, least: float) -> Measured | None:
        """Returns the cheapest setting whose ρ is ``least`` or more."""
        return next((item for item in self.front if rho(item) >= least), None)


def rho(item: Measured) -> float:
    """Returns the rank correlation of a setting, −1 where there is none."""
    return -1.0 if item.correlation is None else item.correlation.rho
