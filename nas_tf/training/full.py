"""Full training: stages with their own data and rates, resumable at any step bit for bit."""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import tensorflow as tf

from nas_tf.config.schema import Full, FullStage
from nas_tf.data import pipeline
from nas_tf.data.examples import Examples, JoinedExamples
from nas_tf.data.views import View
from nas_tf.networks.arrays import PartLayout, layouts
from nas_tf.networks.blueprint import Blueprint
from nas_tf.networks.functional import Precision
from nas_tf.networks.state import State
from nas_tf.tasks import Task
from nas_tf.training.checkpoint import Checkpoints
from nas_tf.training.guards import Diverged
from nas_tf.training.learner import Learner, Recipe, Tally
from nas_tf.training.optimizers import learning_rate_factor

_MOMENTUM = 0.97


@dataclass(frozen=True)
class StageData:
    """The examples of a stage, and the view that it takes of them."""

    examples: Examples | JoinedExamples
    view: View


@dataclass(frozen=True)
class Place:
    """The position of a step: stage, epoch of the stage and step of the epoch, all from 0."""

    stage: int
    epoch: int
    step: int


@dataclass(frozen=True)
class EpochEnd:
    """The record of a finished epoch."""

    stage: int
    epoch: int
    steps_done: int
    loss: float
    rates: Mapping[str, float]
    seconds: float


class FullTraining:
    """Trains a network in stages; ``epochs`` yields a record at the end of each epoch.

    Args:
        full: The stages, and the settings that apply to all of them.
        data: Examples and view of each stage.
        task: The task that is predicted.
        blueprints: The network at each stage's crop.
        state: The initial weights and statistics.
        folder: Folder of the checkpoints, which this object owns.
        precision: The arithmetic of the training.
        seed: Seed of data order, augmentation and dropout.
        strategy: Splits each batch over devices; None trains on one device.
        leads: False on a machine that only reads the checkpoints, which another one writes.
    """

    def __init__(
        self,
        full: Full,
        data: Sequence[StageData],
        task: Task,
        blueprints: Sequence[Blueprint],
        state: State,
        folder: Path,
        *,
        precision: Precision,
        seed: int,
        strategy: tf.distribute.Strategy | None = None,
        leads: bool = True,
    ) -> None:
        self._leads = leads
        self._full, self._data, self._task, self._seed = full, data, task, seed
        self._strategy = strategy or tf.distribute.get_strategy()
        self._blueprints, self._precision = blueprints, precision
        self.parts: Mapping[str, PartLayout] = layouts(blueprints[0])
        self._per_epoch = [
            pipeline.steps_per_epoch(len(part.examples), stage.batch)
            for part, stage in zip(data, full.stages, strict=True)
        ]
        self._lengths = [
            stage.epochs * steps for stage, steps in zip(full.stages, self._per_epoch, strict=True)
        ]
        self.steps = sum(self._lengths)
        self._tally = Tally.zero()
        self._folder = folder
        self._start_stage(0, state)

    @property
    def steps_done(self) -> int:
        """The number of updates made so far, over all stages."""
        return int(self._tally.steps)

    @property
    def state(self) -> State:
        """The network as it would be exported now."""
        return self._learner.state()

    def place(self, done: int) -> Place:
        """Returns the position after a number of steps; the end belongs to the last stage."""
        stage = 0
        while stage + 1 < len(self._lengths) and done >= self._lengths[stage]:
            done -= self._lengths[stage]
            stage += 1
        return Place(stage, *divmod(done, self._per_epoch[stage]))

    def resume(self) -> bool:
        """Restores the last checkpoint; returns False if there is none."""
        for number in reversed(range(len(self._full.stages))):
            if self._checkpoint_folder(number).is_dir():
                self._start_stage(number, self._learner.state())
                if self._checkpoints.restore():
                    return True
        self._start_stage(0, self._learner.state())
        return False

    def save(self) -> None:
        """Writes a checkpoint of everything a resumed run needs, unless the loss diverged."""
        if math.isfinite(float(self._tally.losses)):
            self._checkpoints.save(self.steps_done)

    def epochs(self, progress: Callable[[int, float], None] | None = None) -> Iterator[EpochEnd]:
        """Trains the remaining epochs; ``progress`` is called with every step and its loss.

        A checkpoint is written at the end of every epoch, after the caller has processed its
        record, and every ``save_minutes`` in between. After an interruption before that, the
        epoch is processed again without training.
        """
        if self._has_unrecorded_epoch:
            place = self.place(self.steps_done - 1)
            yield from self._recorded(self._end(place, self._rates_at(place), 0.0))
        while self.steps_done < self.steps:
            place = self.place(self.steps_done)
            if place.stage != self._stage:
                self._start_stage(place.stage, self._learner.state())
            yield from self._recorded(self._epoch(place, progress))

    def _recorded(self, end: EpochEnd) -> Iterator[EpochEnd]:
        """Yields an epoch's record, and writes a checkpoint after it."""
        yield end
        self._tally.losses.assign(0.0)
        self.save()

    @property
    def _has_unrecorded_epoch(self) -> bool:
        """True if all steps of an epoch are made, and its record was not processed."""
        done, loss_sum = self.steps_done, float(self._tally.losses)
        return done > 0 and self.place(done).step == 0 and loss_sum != 0.0

    def _epoch(self, place: Place, progress: Callable[[int, float], None] | None) -> EpochEnd:
        started = saved = time.perf_counter()
        steps = self._per_epoch[place.stage]
        stream = self._data[place.stage].examples.checked(self._stream(place))
        rates: Mapping[str, float] = {}
        for step in range(place.step, steps):
            frozen = self._is_frozen(place.stage, place.epoch, step)
            rates = self._rates_at(Place(place.stage, place.epoch, step))
            images, encoded = next(stream)
            by = "frozen" if frozen else "train"
            loss = float(self._learner.step(images, encoded, rates, by=by))
            if not math.isfinite(loss):
                raise Diverged(f"the loss is {loss} at step {self.steps_done}")
            if progress is not None:
                progress(self.steps_done, loss)
            now = time.perf_counter()
            if now - saved > 60 * self._full.save_minutes and step + 1 < steps:
                self.save()
                saved = now
        return self._end(place, rates, time.perf_counter() - started)

    def _end(self, place: Place, rates: Mapping[str, float], seconds: float) -> EpochEnd:
        loss = float(self._tally.losses) / self._per_epoch[place.stage]
        return EpochEnd(place.stage, place.epoch, self.steps_done, loss, rates, seconds)

    def _start_stage(self, number: int, state: State) -> None:
        self._stage = number
        with self._strategy.scope():
            self._learner = Learner(
                self._blueprints[number],
                self._task,
                self._recipes(self._full.stages[number]),
                state,
                self.parts,
                precision=self._precision,
                seed=self._seed,
                tallies={"train": self._tally, "frozen": self._tally},
            )
        counted = {"done": self._tally.steps, "loss_sum": self._tally.losses}
        tracked = {**self._learner.tracked, **counted}
        self._checkpoints = Checkpoints(
            self._checkpoint_folder(number), tracked, writes=self._leads
        )

    def _checkpoint_folder(self, number: int) -> Path:
        return self._folder / f"stage{number + 1}"

    def _stream(self, place: Place) -> Any:
        data, stage = self._data[place.stage], self._full.stages[place.stage]
        stream = pipeline.training(
            data.examples,
            self._task.target,
            data.view,
            batch=stage.batch,
            seed=self._seed + place.stage,
            start=(place.epoch, place.step),
            epochs=place.epoch + 1,
            extras=self._task.extras,
        )
        crop = data.view.crop
        stream = stream.map(lambda images, target: (images, self._task.encode(target, crop)))
        return self._strategy.experimental_distribute_dataset(stream)

    def _recipes(self, stage: FullStage) -> dict[str, Recipe]:
        train = Recipe(
            optimisers={part: getattr(stage, part) for part in self.parts},
            normalising=frozenset(self.parts),
            momentum=_MOMENTUM,
            polyak=self._full.polyak,
            auxiliary_weight=stage.auxiliary_weight,
            loss_at=self._full.loss_at,
        )
        weight = self._full.frozen_auxiliary_weight
        frozen = replace(
            train,
            normalising=frozenset(),
            auxiliary_weight=stage.auxiliary_weight if weight is None else weight,
        )
        return {"train": train, "frozen": frozen}

    def _is_frozen(self, number: int, epoch: int, step: int) -> bool:
        """Returns True in the second half of the last stage (CVPR 2019, section 5.1)."""
        if not self._full.freeze_batch_norm or number != len(self._full.stages) - 1:
            return False
        return 2 * (epoch * self._per_epoch[number] + step) >= self._lengths[number]

    def _rates_at(self, place: Place) -> dict[str, float]:
        """Returns the learning rates of a step."""
        stage, done = self._full.stages[place.stage], self._per_epoch[place.stage] * place.epoch
        factor = learning_rate_factor(
            stage.schedule, done + place.step, self._lengths[place.stage]
        )
        factor *= 0.5 if self._is_frozen(place.stage, place.epoch, place.step) else 1.0
        return {part: factor * getattr(stage, part).learning_rate for part in self.parts}
