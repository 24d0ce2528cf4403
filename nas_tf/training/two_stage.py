"""Two-stage evaluation of candidates: cached features, the gate, training end to end.

See CVPR 2019, section 3.3. The recipes of the other papers are configurations of the same code.
"""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

import tensorflow as tf
from msgspec import structs

from nas_tf import spaces
from nas_tf.config.schema import Config, StageOne, StageTwo
from nas_tf.genotype import Genotype
from nas_tf.networks import cost
from nas_tf.networks.arrays import layouts
from nas_tf.networks.blueprint import Blueprint
from nas_tf.networks.state import State, from_arrays, initial_arrays
from nas_tf.runs import Stage, TrialRecord
from nas_tf.sizes import Size
from nas_tf.training import from_config, guards, hardware, own_data
from nas_tf.training.guards import Diverged, Guard, OverLimit, UnknownCost
from nas_tf.training.learner import Learner, Recipe
from nas_tf.training.optimizers import learning_rate_factor
from nas_tf.training.scoring import first_rows, metrics_of, shipped
from nas_tf.training.shared_data import SharedData

Observer = Callable[[str, int, int, float], None]
"""Called after every step with the stage, the finished steps, their total and the loss."""

OnScored = Callable[[Blueprint, State], None]
"""Called with the network that was scored last, and its state."""

Latency = Callable[[Blueprint], float]
"""Returns the milliseconds of a network once exported, or raises ``UnknownCost``."""


class GateLike(Protocol):
    """A gate, or a log that wraps a gate."""

    def admits(self, score: float) -> bool:
        """Returns whether a candidate with this stage-one score continues to stage two."""
        ...


@dataclass
class _Clock:
    """Accumulates the durations of a stage's activities."""

    seconds: dict[str, float] = field(default_factory=dict)

    def add(self, activity: str, since: float) -> float:
        """Adds the time since ``since`` to an activity, and returns the current time."""
        now = time.perf_counter()
        self.seconds[activity] = self.seconds.get(activity, 0.0) + now - since
        return now


@dataclass(frozen=True)
class _Stage:
    """A stage: its network by size, its data by epoch, and its losses and durations so far.

    A batch has inputs, targets and the teacher's logits. Without a state, the weights are random.
    """

    settings: StageOne | StageTwo
    crop: Size
    network: Callable[[Size], Blueprint]
    state: State | None
    steps: int
    batches: Callable[[int], Iterator[tuple[Any, Any, Any]]]
    validation: Callable[[], Iterator[tuple[Any, Any]]]
    clock: _Clock = field(default_factory=_Clock)
    losses: list[float] = field(default_factory=list)


class TwoStage:
    """Evaluates candidates of one configuration, one at a time in the calling thread.

    The gate may be a new one, as here, or that of a search::

        evaluator = TwoStage(configuration, SharedData(configuration))
        print(evaluator.evaluate(genotype, gate.make(configuration.gate, seed=1)).score)

    Args:
        config: Configuration of the search.
        shared: Data, features and encoder that all candidates share.
        latency: Returns a candidate's latency; None measures none.
    """

    def __init__(
        self, config: Config, shared: SharedData, *, latency: Latency | None = None
    ) -> None:
        self.config, self.shared, self.latency = own_data.completed(config), shared, latency
        self.precision = hardware.precision(config.precision)

    def evaluate(
        self,
        genotype: Genotype,
        gate: GateLike,
        *,
        seed: int | None = None,
        observer: Observer | None = None,
        on_scored: OnScored | None = None,
    ) -> TrialRecord:
        """Trains and scores one candidate; a failure affects only this candidate.

        ``on_scored`` is called with the network that was scored last and its state.
        """
        seed = self.config.seed if seed is None else seed
        reason = spaces.get(self.config.space).refusal(genotype)
        if reason is not None:
            floor = self.config.limits.failure_score
            return TrialRecord.of(genotype, floor, refused=True, stopped=reason, seed=seed)
        candidate = _Candidate(self, genotype, seed)
        try:
            result = candidate.run(gate, observer)
            if on_scored is not None:
                on_scored(*candidate.scored)
            return result
        except OverLimit as error:
            return candidate.failure(str(error), refused=True)
        except (UnknownCost, Diverged) as error:
            return candidate.failure(str(error))
        except (tf.errors.ResourceExhaustedError, MemoryError) as error:
            lines = str(error).splitlines() or [type(error).__name__]
            return candidate.failure(f"out of memory: {lines[0][:120]}")

    def with_epochs(self, epochs: int) -> "TwoStage":
        """Returns an evaluator with the same shared data and ``epochs`` epochs in stage one."""
        stage = structs.replace(self.config.stage_one, epochs=epochs)
        config = structs.replace(self.config, stage_one=stage)
        return TwoStage(config, self.shared, latency=self.latency)


class _Candidate:
    """The evaluation of one genotype: its network, limits and stage results."""

    def __init__(self, owner: TwoStage, genotype: Genotype, seed: int) -> None:
        self._owner, self._config, self._shared = owner, owner.config, owner.shared
        self._genotype, self._seed = genotype, seed
        self._guard = Guard(self._config.limits)
        self._stages: list[Stage] = []
        self.scored: tuple[Blueprint, State]
        self._blueprint_at = from_config.blueprint_builder(self._config, genotype, "search")
        self._scored_blueprint = self._blueprint_at(self._shared.reward_view.crop)
        self._cost, self._latency = cost(self._scored_blueprint.deployed()), None

    def run(self, gate: GateLike, observer: Observer | None) -> TrialRecord:
        """Runs stage one, the gate and stage two, and returns the result."""
        guards.check_cost(self._config.limits, self._cost)
        if self._owner.latency is not None:
            self._latency = self._owner.latency(self._scored_blueprint)
            guards.check_latency(self._config.limits, self._latency)
        state = self._run_stage(self._stage_one(), observer)
        if self._config.stage_two is None:
            return self._result(None)
        if not gate.admits(self._stages[0].score):
            return self._result("gate")
        self._run_stage(self._stage_two(self._config.stage_two, state), observer)
        return self._result(None)

    def failure(self, reason: str, *, refused: bool = False) -> TrialRecord:
        """Returns the result of a failure, scored at the floor."""
        return self._result(reason, failed=True, refused=refused)

    def _result(self, stopped: str | None, *, failed: bool = False, **marks: Any) -> TrialRecord:
        floor = self._config.limits.failure_score
        if len(self._scored_blueprint.outputs) == 1:
            marks["output_stride"] = self._scored_blueprint.output().stride
        return TrialRecord.of(
            self._genotype,
            floor if failed else self._stages[-1].score,
            failed=failed,
            stages=tuple(self._stages),
            params=self._cost.params,
            madds=self._cost.madds,
            latency_ms=self._latency,
            stopped=stopped,
            seed=self._seed,
            **marks,
        )

    def _stage_one(self) -> _Stage:
        stage, shared = self._config.stage_one, self._shared

        def batches(epoch: int) -> Iterator[tuple[Any, Any, Any]]:
            for stored in shared.train.epoch(batch=stage.batch, seed=self._seed, epoch=epoch):
                yield stored, stored["target"], stored.get("teacher")

        return _Stage(
            stage,
            shared.stage_one_view.crop,
            lambda crop: self._blueprint_at(crop).decoder(shared.taps),
            None,
            len(shared.train) // stage.batch,
            batches,
            shared.validation_taps,
        )

    def _stage_two(self, stage: StageTwo, state: State) -> _Stage:
        shared = self._shared
        return _Stage(
            stage,
            shared.stage_two_view.crop,
            self._blueprint_at,
            shared.with_encoder(self._scored_blueprint, state),
            shared.stage_two_steps(stage.batch),
            lambda epoch: (
                (*batch, None) for batch in shared.stage_two_batches(self._seed, epoch)
            ),
            shared.validation_images,
        )

    def _run_stage(self, stage: _Stage, observer: Observer | None) -> State:
        """Trains a stage and scores the result, which it returns."""
        started = time.perf_counter()
        blueprint = stage.network(stage.crop)
        guards.check_memory(self._config.limits, blueprint, stage.settings.batch)
        learner = self._learner(blueprint, stage)
        stage.clock.add("build", started)
        for epoch in range(stage.settings.epochs):
            self._train_epoch(learner, stage, epoch, observer)
        state = learner.state()
        self._validate(stage, state)
        return state

    def _learner(self, blueprint: Blueprint, stage: _Stage) -> Learner:
        parts, settings = layouts(blueprint), stage.settings
        recipe = Recipe(
            optimisers={part: getattr(settings, part) for part in parts},
            normalising=frozenset(parts),
            polyak=settings.polyak,
            distillation=getattr(settings, "distillation", 0.0),
            auxiliary_weight=settings.auxiliary_weight,
        )
        return Learner(
            blueprint,
            self._shared.task,
            {"train": recipe},
            stage.state or from_arrays(parts, initial_arrays(blueprint, seed=self._seed)),
            parts,
            precision=self._owner.precision,
            seed=self._seed,
        )

    def _train_epoch(
        self, learner: Learner, stage: _Stage, epoch: int, observer: Observer | None
    ) -> None:
        """Trains an epoch; the duration of a stage's first step counts as tracing."""
        settings, clock, now = stage.settings, stage.clock, time.perf_counter()
        total, parts = settings.epochs * stage.steps, learner.optimisers
        for step, (inputs, target, teacher) in enumerate(
            stage.batches(epoch), epoch * stage.steps
        ):
            now = clock.add("input", now)
            factor = learning_rate_factor(settings.schedule, step, total)
            rates = {part: factor * getattr(settings, part).learning_rate for part in parts}
            loss = float(learner.step(inputs, target, rates, teacher))
            stage.losses.append(loss)
            now = clock.add("steps" if step else "trace", now)
            if not math.isfinite(loss):
                raise Diverged(f"the loss is {loss} at step {step + 1} of stage {self._number}")
            self._guard.check()
            if observer is not None:
                observer(f"stage {self._number}", step + 1, total, loss)
            now = time.perf_counter()
        clock.add("input", now)

    @property
    def _number(self) -> int:
        """The number of the current stage, from 1."""
        return len(self._stages) + 1

    def _validate(self, stage: _Stage, state: State) -> None:
        """Scores the candidate on meta-val and appends the stage's result."""
        if not state.is_finite:
            raise Diverged(f"weights are not finite after stage {self._number}")
        shared, clock, losses = self._shared, stage.clock, stage.losses
        blueprint, now = stage.network(shared.reward_view.crop), time.perf_counter()
        metrics = metrics_of(shared.task)
        predict = tf.function(shipped(blueprint, state), autograph=False)
        for n, (inputs, target) in enumerate(stage.validation()):
            rows = len(tf.nest.flatten(target)[0])
            outputs = first_rows(predict(inputs), rows)
            metrics.update(target, outputs, shared.reward_view.crop)
            now = clock.add("validate" if n else "validate_trace", now)
            self._guard.check()
        self.scored = blueprint, state
        figures = metrics.result()
        self._separate_traces(clock, len(losses), n + 1)
        self._stages.append(
            Stage(
                score=float(shared.task.score(figures)),
                metrics={name: float(value) for name, value in figures.items()},
                losses=tuple(round(loss, 6) for loss in losses),
                steps=len(losses),
                seconds={key: round(value, 4) for key, value in clock.seconds.items()},
            )
        )

    @staticmethod
    def _separate_traces(clock: _Clock, steps: int, batches: int) -> None:
        """Moves the duration of a mean step from a first step, which also traces, to the steps."""
        for steady, traced, count in (
            ("steps", "trace", steps),
            ("validate", "validate_trace", batches),
        ):
            if count > 1:
                mean = clock.seconds[steady] / (count - 1)
                clock.seconds[steady] += mean
                clock.seconds[traced] = max(0.0, clock.seconds[traced] - mean)
