"""Estimates what a search takes on this machine, from a few steps of a few candidates."""

import math
import random
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from statistics import median

from msgspec import structs

from nas_tf import spaces
from nas_tf.config.schema import Config
from nas_tf.data.store import count
from nas_tf.errors import ConfigError, TrainingError
from nas_tf.genotype import Genotype
from nas_tf.runs import TrialRecord
from nas_tf.search import preflight
from nas_tf.training import from_config, gate, hardware, own_data
from nas_tf.training.shared_data import SharedData
from nas_tf.training.split_cache import features_dir
from nas_tf.training.two_stage import TwoStage

MEASURED = 3
"""The number of candidates that are measured."""
_SAMPLED, _STEPS, _SCORED = 20, 4, 32
_ROWS = 128
"""The number of rows of features to compute, more than are written at once."""
_PREDICTION = 1 / 3
"""The time of a prediction as a share of that of a training step."""


@dataclass(frozen=True)
class Estimate:
    """The time and the disk space of a search.

    Args:
        trials: Number of candidates.
        images: Number of images that stage one learns from.
        scored: Number of images that candidates are scored on.
        stage_one: Seconds of stage one of each measured candidate.
        stage_two: Seconds of stage two of each, likewise; empty without a stage two.
        feature_bytes: Size of the cached features.
        feature_seconds: Seconds of their computation.
        free_bytes: Free space where they are stored.
    """

    trials: int
    images: int
    scored: int
    stage_one: tuple[float, ...]
    stage_two: tuple[float, ...]
    feature_bytes: int
    feature_seconds: float
    free_bytes: int

    def seconds(self, workers: int = 1) -> tuple[float, float]:
        """Returns the time of the search if no candidate passes the gate, and if all do."""
        rounds = math.ceil(self.trials / workers)
        least = self.feature_seconds + rounds * median(self.stage_one)
        return least, least + rounds * (median(self.stage_two) if self.stage_two else 0.0)


def estimate(config: Config, *, on_candidate: Callable[[int], None] | None = None) -> Estimate:
    """Makes all checks of a search, and estimates it from a few steps of a few candidates.

    The data set is prepared if it is not; nothing else stays on the disk.

    Args:
        config: Configuration of the search.
        on_candidate: Called with the number of candidates that are measured.
    """
    if config.search.oracle_name == "gradient":
        raise ConfigError(
            "search.oracle is gradient, which prints the time of each epoch, expected another "
            "oracle to estimate the time of"
        )
    if config.search.supernet is not None:
        raise ConfigError(
            f"search.supernet is {config.search.supernet}, with which nothing is trained: the "
            "time of a search is estimated from that of its trainings, expected null"
        )
    hardware.use_threads(config.threads)
    config = own_data.completed(config)
    preflight.check(config)
    sample, rows = _Sample(config), _Rows()
    with tempfile.TemporaryDirectory() as folder:
        shared = SharedData(sample.config, root=Path(folder), progress=rows)
        measured = []
        for each in islice(sample.measured(shared), MEASURED):
            measured.append(each)
            if on_candidate is not None:
                on_candidate(len(measured))
    if not measured:
        raise TrainingError(
            f"none of {_SAMPLED} random candidates could be trained: {sample.failure}"
        )
    return Estimate(
        trials=config.search.trials,
        images=sample.images,
        scored=sample.scored,
        stage_one=tuple(first for first, _ in measured),
        stage_two=tuple(second for _, second in measured if second is not None),
        feature_bytes=round(shared.train.size / shared.train.rows_stored * sample.rows),
        feature_seconds=rows.seconds_each * sample.rows,
        free_bytes=_free_bytes(),
    )


def _free_bytes() -> int:
    """Returns the free space where features are stored, also if that folder is yet to be made."""
    folder = features_dir()
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


class _Rows:
    """Times the rows of caches while they are built; a graph is traced before the first ones."""

    def __init__(self) -> None:
        self._label, self._first, self._least = "", (time.perf_counter(), 0), math.inf

    def __call__(self, label: str, done: int, _: int) -> None:
        """Called with a label, the number of finished rows, and their total."""
        now = time.perf_counter()
        if label == self._label or not math.isfinite(self._least):
            self._least = min(self._least, (now - self._first[0]) / (done - self._first[1]))
        self._label, self._first = label, (now, done)

    @property
    def seconds_each(self) -> float:
        """The seconds of a row where they were least."""
        return self._least if math.isfinite(self._least) else 0.0


class _Enough(Exception):
    """Ends a stage of which enough steps were measured."""


@dataclass
class _Watch:
    """Records when stage one ended, and the times of the first steps of stage two."""

    before: float = 0.0
    times: list[float] = field(default_factory=list)
    total: int = 0

    def __call__(self, stage: str, _: int, total: int, __: float) -> None:
        """Called after each step, as an observer of candidates."""
        now = time.perf_counter()
        if stage == "stage 1":
            self.before = now
            return
        self.times.append(now)
        self.total = total
        if len(self.times) > _STEPS:
            raise _Enough


class _Sample:
    """A search on a few images, whose times are scaled to all of them."""

    def __init__(self, config: Config) -> None:
        total, stage = count(config.data.name, config.data.train_split), config.stage_one
        meta_train, meta_val = from_config.meta_indices(config, total)
        self.images = len(from_config.stage_one_indices(config, meta_train))
        self.scored = len(meta_val)
        self.rows = self.images * stage.views + self.scored
        self.steps = stage.epochs * (self.images // stage.batch)
        images = max(_STEPS * stage.batch, _ROWS // stage.views)
        few = structs.replace(
            stage,
            epochs=1,
            image_share=min(1.0, images / len(meta_train), stage.image_share),
            schedule=structs.replace(stage.schedule, warmup_steps=0),
        )
        scored = min(config.data.meta_val_share, _SCORED / total)
        self.config = structs.replace(
            config,
            stage_one=few,
            data=structs.replace(config.data, meta_val_share=scored),
            gate=structs.replace(config.gate, policy="open"),
        )
        self.failure: str | None = None

    def measured(self, shared: SharedData) -> Iterator[tuple[float, float | None]]:
        """Yields the seconds of both stages of candidates that do not fail."""
        space, rng = spaces.get(self.config.space), random.Random(self.config.seed)
        alone = TwoStage(structs.replace(self.config, stage_two=None), shared)
        for _ in range(_SAMPLED):
            genotype = space.sample(rng)
            trial = alone.evaluate(genotype, gate.make(self.config.gate, 1))
            if trial.failed:
                self.failure = trial.stopped
                continue
            second = None
            if self.config.stage_two is not None:
                second = self._stage_two(shared, genotype, trial)
                if second is None:
                    continue
            yield self._stage_one(trial), second

    def _stage_one(self, trial: TrialRecord) -> float:
        (stage,) = trial.stages
        seconds, more = stage.seconds, self.steps / stage.steps
        fixed = seconds["build"] + seconds["trace"] + seconds["validate_trace"]
        steps = seconds.get("steps", seconds["trace"])  # absent after a single step
        return fixed + more * (seconds["input"] + steps) + self._validated(trial)

    def _validated(self, trial: TrialRecord) -> float:
        """Returns the seconds of a validation on all images of meta-val."""
        seconds = trial.stages[0].seconds.get("validate", 0.0)  # absent after a single batch
        return seconds * self.scored / min(self.scored, _SCORED)

    def _stage_two(
        self, shared: SharedData, genotype: Genotype, trial: TrialRecord
    ) -> float | None:
        """Returns the seconds of stage two, from its first steps; None if the candidate fails."""
        watch, seconds = _Watch(), trial.stages[0].seconds
        evaluator = TwoStage(self.config, shared)
        try:
            ended = evaluator.evaluate(genotype, gate.make(self.config.gate, 1), observer=watch)
        except _Enough:
            ended = None
        if ended is not None and ended.failed:
            self.failure = ended.stopped
            return None
        step = (watch.times[-1] - watch.times[0]) / max(1, len(watch.times) - 1)
        validated = seconds.get("validate", 0.0) + seconds["validate_trace"]
        first = max(step, watch.times[0] - watch.before - validated)
        scored = self.scored / self.config.stage_two.batch * step * _PREDICTION
        return first + step * (watch.total - 1) + scored
