"""Two-stage evaluation of candidates: the decoder on cached features, the gate, end to end.

CVPR 2019, section 3.3. The recipes of the other papers are configurations of the same code.
"""

import math
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

import tensorflow as tf
from msgspec import structs

from nas_tf.config.schema import Config, StageOne, StageTwo
from nas_tf.genotype import Genotype
from nas_tf.networks.arrays import layouts
from nas_tf.networks.blueprint import Blueprint
from nas_tf.networks.state import State, from_arrays, initial_arrays
from nas_tf.training import from_config, guards, hardware, own_data
from nas_tf.training.guards import CannotTell, Diverged, Guard, OverLimit
from nas_tf.training.learner import Learner, Recipe
from nas_tf.training.optimizers import learning_rate_factor
from nas_tf.training.result import CandidateResult, StageResult
from nas_tf.training.scoring import shipped
from nas_tf.training.shared_data import SharedData

Observer = Callable[[str, int, int, float], None]
"""Hears of every step: the stage, how many steps are done, of how many, and the loss."""

Keep = Callable[[Blueprint, State], None]

Latency = Callable[[Blueprint], float]
"""Tells the milliseconds of a network as shipped, or raises ``CannotTell``."""


class Decides(Protocol):
    """A gate, or one that keeps a book of it."""

    def admits(self, reward: float) -> bool:
        """Whether a candidate of this stage-one reward is worth stage two."""
        ...


@dataclass
class _Clock:
    """Where the time of a stage goes."""

    seconds: dict[str, float] = field(default_factory=dict)

    def add(self, what: str, since: float) -> float:
        """Books the time since then, and returns the time now."""
        now = time.perf_counter()
        self.seconds[what] = self.seconds.get(what, 0.0) + now - since
        return now


class TwoStage:
    """Evaluates candidates of one experiment; what they share is computed once.

    Args:
        config: The experiment.
        ground: Data, features and encoder that all candidates share.
        latency: How long a candidate takes; None where nobody asks.
    """

    def __init__(
        self, config: Config, ground: SharedData, *, latency: Latency | None = None
    ) -> None:
        self.config, self.ground, self.latency = own_data.completed(config), ground, latency
        self._precision = hardware.precision(config.precision)

    def evaluate(
        self,
        genotype: Genotype,
        gate: Decides,
        *,
        seed: int | None = None,
        observer: Observer | None = None,
        keep: Keep | None = None,
    ) -> CandidateResult:
        """Trains and scores one candidate; whatever goes wrong with it costs only itself.

        ``keep`` is given the network that was scored last and its state.
        """
        candidate = _Candidate(self, genotype, self.config.seed if seed is None else seed)
        try:
            result = candidate.run(gate, observer)
            if keep is not None:
                keep(*candidate.scored)
            return result
        except OverLimit as error:
            return candidate.failure(str(error), over_limit=True)
        except (CannotTell, Diverged) as error:
            return candidate.failure(str(error))
        except (tf.errors.ResourceExhaustedError, MemoryError) as error:
            told = str(error).splitlines() or [type(error).__name__]
            return candidate.failure(f"out of memory: {told[0][:120]}")

    def lasting(self, epochs: int) -> "TwoStage":
        """One on the same ground whose stage one takes so many epochs."""
        stage = structs.replace(self.config.stage_one, epochs=epochs)
        config = structs.replace(self.config, stage_one=stage)
        return TwoStage(config, self.ground, latency=self.latency)

    @property
    def precision(self) -> Any:
        """The arithmetic candidates train in."""
        return self._precision


class _Candidate:
    """One genotype on its way through the stages."""

    def __init__(self, owner: TwoStage, genotype: Genotype, seed: int) -> None:
        self._owner, self._config, self._ground = owner, owner.config, owner.ground
        self._genotype, self._seed = genotype, seed
        self._guard = Guard(self._config.limits)
        self._stages: list[StageResult] = []
        self.scored: tuple[Blueprint, State]
        self._draw = from_config.drawer(self._config, genotype, "search")
        self._shipped = self._draw(self._ground.reward_view.crop)
        self._cost, self._latency = guards.costs(self._shipped), None

    def run(self, gate: Decides, observer: Observer | None) -> CandidateResult:
        """Stage one, the gate, stage two."""
        guards.check_cost(self._config.limits, self._cost)
        if self._owner.latency is not None:
            self._latency = self._owner.latency(self._shipped)
            guards.check_latency(self._config.limits, self._latency)
        state = self._stage_one(observer)
        if self._config.stage_two is None:
            return self._result(None)
        if not gate.admits(self._stages[0].score):
            return self._result("gate")
        self._stage_two(self._config.stage_two, state, observer)
        return self._result(None)

    def failure(self, reason: str, *, over_limit: bool = False) -> CandidateResult:
        """Scored at the floor."""
        return self._result(reason, failed=True, over_limit=over_limit)

    def _result(
        self, stopped: str | None, *, failed: bool = False, over_limit: bool = False
    ) -> CandidateResult:
        floor = self._config.limits.floor
        return CandidateResult(
            genotype=self._genotype,
            score=floor if failed else self._stages[-1].score,
            stages=tuple(self._stages),
            params=self._cost.params,
            madds=self._cost.madds,
            latency_ms=self._latency,
            stopped=stopped,
            failed=failed,
            over_limit=over_limit,
            seed=self._seed,
        )

    def _stage_one(self, observer: Observer | None) -> State:
        stage, ground, clock = self._config.stage_one, self._ground, _Clock()
        began = time.perf_counter()
        view = ground.stage_one_view
        blueprint = self._draw(view.crop).decoder(ground.taps)
        guards.check_memory(self._config.limits, blueprint, stage.batch)
        learner = self._learner(blueprint, stage, {"decoder": stage.decoder})
        clock.add("build", began)
        steps = len(ground.train) // stage.batch
        losses = []
        for epoch in range(stage.epochs):
            stream = ground.train.epoch(batch=stage.batch, seed=self._seed, epoch=epoch)
            batches = ((one, one["target"], one.get("teacher")) for one in stream)
            losses += self._epoch(learner, stage, batches, epoch, steps, clock, observer)
        rewarded = self._draw(ground.reward_view.crop).decoder(ground.taps)
        state = learner.state()
        self._validate(rewarded, state, ground.validation_taps(), losses, clock)
        return state

    def _stage_two(self, stage: StageTwo, state: State, observer: Observer | None) -> None:
        ground, clock = self._ground, _Clock()
        began = time.perf_counter()
        blueprint = self._draw(ground.stage_two_view.crop)
        guards.check_memory(self._config.limits, blueprint, stage.batch)
        state = ground.with_encoder(blueprint, state)
        learning = {"encoder": stage.encoder, "decoder": stage.decoder}
        learner = self._learner(blueprint, stage, learning, state)
        clock.add("build", began)
        steps = ground.stage_two_steps(stage.batch)
        losses = []
        for epoch in range(stage.epochs):
            batches = ((*batch, None) for batch in ground.stage_two_batches(self._seed, epoch))
            losses += self._epoch(learner, stage, batches, epoch, steps, clock, observer)
        rewarded = self._draw(ground.reward_view.crop)
        self._validate(rewarded, learner.state(), ground.validation_images(), losses, clock)

    def _learner(
        self,
        blueprint: Blueprint,
        stage: StageOne | StageTwo,
        optimisers: dict[str, Any],
        state: State | None = None,
    ) -> Learner:
        parts = layouts(blueprint)
        recipe = Recipe(
            optimisers=optimisers,
            normalising=frozenset(optimisers),
            polyak=stage.polyak,
            distillation=getattr(stage, "distillation", 0.0),
            auxiliary_weight=stage.auxiliary_weight,
        )
        return Learner(
            blueprint,
            self._ground.task,
            recipe,
            state or from_arrays(parts, initial_arrays(blueprint, seed=self._seed)),
            parts,
            precision=self._owner.precision,
            seed=self._seed,
        )

    def _epoch(
        self,
        learner: Learner,
        stage: StageOne | StageTwo,
        batches: Iterable[tuple[Any, Any, Any]],
        epoch: int,
        steps: int,
        clock: _Clock,
        observer: Observer | None,
    ) -> list[float]:
        """The losses of an epoch; the first step's excess is booked as tracing."""
        total, losses = stage.epochs * steps, []
        now = time.perf_counter()
        for step, (inputs, dense, teacher) in enumerate(batches, epoch * steps):
            now = clock.add("input", now)
            times = learning_rate_factor(stage.schedule, step, total)
            rates = {p: times * one.learning_rate for p, one in learner.recipe.optimisers.items()}
            losses.append(float(learner.step(inputs, dense, rates, teacher)))
            now = clock.add("steps" if step else "trace", now)
            if not math.isfinite(losses[-1]):
                raise Diverged(f"the loss is {losses[-1]} at step {step + 1} of stage {self._at}")
            self._guard.check()
            if observer is not None:
                observer(f"stage {self._at}", step + 1, total, losses[-1])
            now = time.perf_counter()
        clock.add("input", now)
        return losses

    @property
    def _at(self) -> int:
        return len(self._stages) + 1

    def _validate(
        self,
        blueprint: Blueprint,
        state: State,
        batches: Iterator[tuple[Any, Any]],
        losses: list[float],
        clock: _Clock,
    ) -> None:
        """Scores meta-val and closes the stage's books."""
        if not state.is_finite:
            raise Diverged(f"weights are not finite after stage {self._at}")
        ground, now = self._ground, time.perf_counter()
        metrics = ground.task.metrics()
        predict = tf.function(shipped(blueprint, state), autograph=False)
        for n, (inputs, target) in enumerate(batches):
            rows = len(tf.nest.flatten(target)[0])
            metrics.update(target, predict(inputs)[:rows], ground.reward_view.crop)
            now = clock.add("validate" if n else "validate_trace", now)
            self._guard.check()
        self.scored = blueprint, state
        figures = metrics.result()
        self._book_traces(clock, len(losses), n + 1)
        self._stages.append(
            StageResult(
                score=ground.task.score(figures),
                metrics=figures,
                losses=tuple(round(loss, 6) for loss in losses),
                steps=len(losses),
                seconds={key: round(value, 4) for key, value in clock.seconds.items()},
            )
        )

    @staticmethod
    def _book_traces(clock: _Clock, steps: int, batches: int) -> None:
        """A first step is a trace and a step: moves the mean step out of the former."""
        for whole, traced, count in (
            ("steps", "trace", steps),
            ("validate", "validate_trace", batches),
        ):
            if count > 1:
                one = clock.seconds[whole] / (count - 1)
                clock.seconds[whole] += one
                clock.seconds[traced] = max(0.0, clock.seconds[traced] - one)
