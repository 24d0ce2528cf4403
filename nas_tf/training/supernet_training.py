"""Trains a super-net: its architecture weights and its other weights in turn, as HiNAS does."""

import itertools
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from nas_tf import spaces
from nas_tf.config.schema import Config, Gradient
from nas_tf.data import pipeline
from nas_tf.networks.arrays import layouts
from nas_tf.networks.blueprint import Blueprint
from nas_tf.networks.state import State, from_arrays, initial_arrays, to_arrays
from nas_tf.networks.supernet import ARCHITECTURE, supernet
from nas_tf.networks.wide import WideFunctional
from nas_tf.sizes import Size
from nas_tf.training import from_config, hardware
from nas_tf.training.checkpoint import Checkpoints
from nas_tf.training.guards import Diverged
from nas_tf.training.learner import Learner, Recipe, Tally
from nas_tf.training.optimizers import learning_rate_factor

WEIGHTS = "decoder"
"""The part of a super-net that has all its weights but the architecture's."""
_MOMENTUM = 0.9


@dataclass(frozen=True)
class SuperNetEpoch:
    """The record of a finished epoch; ``loss`` is that of the weights' batches."""

    epoch: int
    steps_done: int
    loss: float
    learning_rate: float
    seconds: float


@dataclass(frozen=True)
class Architecture:
    """The logits of the operations of each edge, and of the moves of each level of each layer."""

    alpha: np.ndarray
    beta: np.ndarray


class SuperNetTraining:
    """Trains the super-net of a configuration; ``epochs`` yields a record after each epoch.

    A step of the architecture comes before a step of the weights, each on a batch of its own half
    of meta-train. It resumes at any step, with the same numbers.

    Args:
        config: The configuration; its space must have a super-net.
        folder: Folder of the checkpoints, which this object owns.
    """

    def __init__(self, config: Config, folder: Path) -> None:
        hardware.without_fusion()
        self._settings = settings = config.gradient
        self._seed, self._task = config.seed, from_config.task_for(config)
        self._space, self._head = spaces.get(config.space), self._task.head
        self._view = from_config.view_of(config, "stage_one", settings.crop, config.data.name)
        self._examples = from_config.training_examples(config)
        meta_train, self.meta_val = from_config.meta_indices(config, len(self._examples))
        self._halves = halves(meta_train, config.data.split_seed)
        self.per_epoch = pipeline.steps_per_epoch(len(self._halves[0]), settings.batch)
        pipeline.steps_per_epoch(len(self._halves[1]), settings.batch)
        self.steps = settings.epochs * self.per_epoch
        blueprint = self.blueprint_at(settings.crop)
        self.parts = layouts(blueprint)
        self._tally, self._others = Tally.zero(), Tally.zero()
        self._learner = Learner(
            blueprint,
            self._task,
            {
                part: Recipe(
                    optimisers={part: optimiser},
                    normalising=frozenset({WEIGHTS}),
                    momentum=_MOMENTUM,
                )
                for part, optimiser in (
                    (WEIGHTS, settings.weights),
                    (ARCHITECTURE, settings.architecture),
                )
            },
            from_arrays(self.parts, initial_arrays(blueprint, seed=config.seed)),
            self.parts,
            precision=hardware.precision(config.precision),
            seed=config.seed,
            network=WideFunctional,
            tallies={WEIGHTS: self._tally, ARCHITECTURE: self._others},
        )
        counted = {"done": self._tally.steps, "loss_sum": self._tally.losses}
        counted["architecture_done"] = self._others.steps
        self._checkpoints = Checkpoints(folder, {**self._learner.tracked, **counted})

    def blueprint_at(self, size: Size) -> Blueprint:
        """Returns the super-net at an input size."""
        return supernet(self._space, self._head, width=self._settings.width, input_size=size)

    @property
    def steps_done(self) -> int:
        """The number of updates of the weights made so far."""
        return int(self._tally.steps)

    @property
    def state(self) -> State:
        """The super-net's weights, statistics and architecture."""
        return self._learner.state()

    @property
    def architecture(self) -> Architecture:
        """The architecture weights as they are now."""
        return architecture_of(self.parts, self.state)

    def resume(self) -> bool:
        """Restores the last checkpoint; returns False if there is none."""
        return self._checkpoints.restore()

    def save(self) -> None:
        """Writes a checkpoint of everything a resumed run needs, unless the loss diverged."""
        if math.isfinite(float(self._tally.losses) + float(self._others.losses)):
            self._checkpoints.save(self.steps_done)

    def epochs(
        self, progress: Callable[[int, float], None] | None = None
    ) -> Iterator[SuperNetEpoch]:
        """Trains the remaining epochs; ``progress`` is called with every step and its loss.

        A checkpoint is written at the end of every epoch, after the caller has processed its
        record, and every ``save_minutes`` in between. After an interruption before that, the
        epoch is processed again without training.
        """
        if self._has_unrecorded_epoch:
            yield from self._recorded(self._end(0.0))
        while self.steps_done < self.steps:
            first = self.steps_done % self.per_epoch
            yield from self._recorded(self._epoch(first, progress))

    @property
    def _has_unrecorded_epoch(self) -> bool:
        """True if all steps of an epoch are made, and its record was not processed."""
        done, losses = self.steps_done, float(self._tally.losses)
        return done > 0 and done % self.per_epoch == 0 and losses != 0.0

    def _recorded(self, end: SuperNetEpoch) -> Iterator[SuperNetEpoch]:
        """Yields an epoch's record, and writes a checkpoint after it."""
        yield end
        self._tally.losses.assign(0.0)
        self.save()

    def _epoch(self, first: int, progress: Callable[[int, float], None] | None) -> SuperNetEpoch:
        started = saved = time.perf_counter()
        epoch = self.steps_done // self.per_epoch
        batches = self._batches(0, (epoch, first))
        learns = epoch >= self._settings.warmup_epochs
        others = self._batches(1, self._place_of_others()) if learns else None
        for step in range(first, self.per_epoch):
            # after an interruption between the two, the architecture has made its step
            if others is not None and int(self._others.steps) == self._steps_with_others:
                self._step(ARCHITECTURE, others, self._settings.architecture.learning_rate)
            loss = self._step(WEIGHTS, batches, self._rate_at(self.steps_done))
            if progress is not None:
                progress(self.steps_done, loss)
            now = time.perf_counter()
            if now - saved > 60 * self._settings.save_minutes and step + 1 < self.per_epoch:
                self.save()
                saved = now
        return self._end(time.perf_counter() - started)

    def _end(self, seconds: float) -> SuperNetEpoch:
        done, mean = self.steps_done, float(self._tally.losses) / self.per_epoch
        return SuperNetEpoch(
            done // self.per_epoch - 1, done, mean, self._rate_at(done - 1), seconds
        )

    def _rate_at(self, done: int) -> float:
        """Returns the learning rate of the weights after a number of steps."""
        factor = learning_rate_factor(self._settings.schedule, done, self.steps)
        return factor * self._settings.weights.learning_rate

    def _step(self, part: str, batches: Iterator[tuple[Any, Any]], rate: float) -> float:
        """Makes one step of a part, and returns the loss; raises if that is not finite."""
        images, target = next(batches)
        encoded = self._task.encode(target, self._settings.crop)
        step = self.steps_done + 1
        loss = float(self._learner.step(images, encoded, {part: rate}, by=part))
        if not math.isfinite(loss):
            raise Diverged(f"the loss of the {_NAMES[part]} is {loss} at step {step}")
        return loss

    @property
    def _steps_with_others(self) -> int:
        """The number of the weights' steps before which the architecture made its own."""
        return self.steps_done - self._settings.warmup_epochs * self.per_epoch

    def _place_of_others(self) -> tuple[int, int]:
        """Returns epoch and step of the architecture's own half."""
        return divmod(
            int(self._others.steps),
            pipeline.steps_per_epoch(len(self._halves[1]), self._settings.batch),
        )

    def _batches(self, half: int, start: tuple[int, int]) -> Iterator[tuple[Any, Any]]:
        stream = pipeline.training(
            self._examples,
            self._task.target,
            self._view,
            batch=self._settings.batch,
            seed=self._seed + half,
            subset=self._halves[half],
            start=start,
            extras=self._task.extras,
        )
        return iter(self._examples.checked(stream))


_NAMES: Mapping[str, str] = {WEIGHTS: "weights", ARCHITECTURE: "architecture"}


def halves(subset: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Divides indices at random into those of the weights and those of the architecture."""
    order = np.random.default_rng([seed, 2]).permutation(subset)
    middle = (len(order) + 1) // 2
    return np.sort(order[:middle]), np.sort(order[middle:])


def architecture_of(parts: Mapping[str, Any], state: State) -> Architecture:
    """Returns the architecture weights of a super-net's state."""
    tables = {name: array for (name, _), array in to_arrays(parts, state).items()}
    return Architecture(tables["alpha"], tables["beta"])


def first_images(
    config: Config, subset: np.ndarray, settings: Gradient, count: int
) -> list[tf.Tensor]:
    """Returns the images of the first batches of a subset, in the crops of a super-net."""
    examples, task = from_config.training_examples(config), from_config.task_for(config)
    stream = pipeline.training(
        examples,
        task.target,
        from_config.view_of(config, "stage_one", settings.crop, config.data.name),
        batch=settings.batch,
        seed=config.data.split_seed,
        subset=subset,
        extras=task.extras,
    )
    return [images for images, _ in itertools.islice(examples.checked(stream), count)]
