"""Scores candidates with the weights of a trained super-net, instead of training each of them."""

import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from nas_tf import spaces
from nas_tf.config.load import load_saved
from nas_tf.config.schema import Config
from nas_tf.errors import ConfigError, DataError
from nas_tf.genotype import Genotype
from nas_tf.networks import cost
from nas_tf.networks.arrays import layouts
from nas_tf.networks.blueprint import Blueprint
from nas_tf.networks.state import from_arrays
from nas_tf.networks.supernet import supernet, with_operations
from nas_tf.networks.wide import WideFunctional
from nas_tf.runs import Run, Stage, TrialRecord, filenames, saved_arrays
from nas_tf.search.gradient import ORACLE
from nas_tf.spaces.derivation import edges_of, sources_of
from nas_tf.spaces.restoration import RestorationDesign, RestorationSpace
from nas_tf.training import from_config, guards, hardware, own_data
from nas_tf.training.guards import OverLimit
from nas_tf.training.scoring import Split, first_rows, padded
from nas_tf.training.shared_data import SharedData
from nas_tf.training.supernet_training import (
    WEIGHTS,
    Architecture,
    architecture_of,
    first_images,
)
from nas_tf.training.two_stage import GateLike, Latency, Observer, OnScored, TwoStage

_CHOSEN = 50.0
"""The logit of what a genotype has; the rest of a row is 0, so that its share vanishes."""
BATCHES = 4
"""The number of batches from which the statistics of a candidate are computed."""


class OneShot:
    """Evaluates candidates by a super-net; oracles and tuners use it as they do ``TwoStage``.

    A candidate is the super-net without the operations that it lacks, and with all but its moves
    turned off. Its batch statistics are computed on the same training batches for all candidates;
    the score is that on meta-val.

    Args:
        config: Configuration of the search, whose ``search.supernet`` is a run by gradient.
        latency: Returns a candidate's latency; None measures none.
    """

    def __init__(self, config: Config, *, latency: Latency | None = None) -> None:
        self.config, self.latency = own_data.completed(config), latency
        hardware.without_fusion()
        run = trained_supernet(self.config)
        trained = load_saved(run.folder / filenames.CONFIG)
        self._space, self._task = spaces.get(config.space), from_config.task_for(self.config)
        self._examples = from_config.training_examples(self.config)
        self._meta_train, meta_val = from_config.meta_indices(self.config, len(self._examples))
        self._view = from_config.reward_view(self.config)
        self._val = Split(self._examples, self._view, tuple(meta_val.tolist()))
        crop, width = trained.gradient.crop, trained.gradient.width
        self._nets = [
            supernet(self._space, self._task.head, width=width, input_size=size)
            for size in (crop, self._view.crop)
        ]
        self.parts = layouts(self._nets[0])
        self._arrays = saved_arrays.read_arrays(run.folder, run.best()[0].trial)
        self._beta = architecture_of(self.parts, from_arrays(self.parts, self._arrays)).beta
        self._batches = first_images(self.config, self._meta_train, trained.gradient, BATCHES)

    def evaluate(
        self,
        genotype: Genotype,
        gate: GateLike,
        *,
        seed: int | None = None,
        observer: Observer | None = None,
        on_scored: OnScored | None = None,
    ) -> TrialRecord:
        """Scores one candidate. Nothing is trained, so no gate decides, and no weights result."""
        floor, limits = self.config.limits.failure_score, self.config.limits
        reason = self._space.refusal(genotype)
        if reason is not None:
            return TrialRecord.of(genotype, floor, refused=True, stopped=reason)
        build = from_config.blueprint_builder(self.config, genotype, "search")
        blueprint = build(self._view.crop)
        counted, latency = cost(blueprint.deployed()), None
        costs = {"params": counted.params, "madds": counted.madds}
        try:
            guards.check_cost(limits, counted)
            if self.latency is not None:
                latency = self.latency(blueprint)
                guards.check_latency(limits, latency)
        except OverLimit as error:
            return TrialRecord.of(genotype, floor, refused=True, stopped=str(error), **costs)
        stage = self._score(genotype)
        return TrialRecord.of(
            genotype,
            stage.score,
            stages=(stage,),
            latency_ms=latency,
            seed=self.config.seed if seed is None else seed,
            **costs,
        )

    def with_epochs(self, epochs: int) -> "OneShot":
        """Returns itself: no epochs are trained."""
        return self

    def _score(self, genotype: Genotype) -> Stage:
        started = time.perf_counter()
        candidate = _Candidate(self._nets, self._arrays, chosen(self._space, genotype, self._beta))
        candidate.measure(self._batches)
        measured = time.perf_counter()
        metrics, batch = self._task.metrics(), self.config.evaluation.batch
        for images, target in self._val.batches(self._task, batch):
            outputs = candidate.predict(padded(images, batch))
            metrics.update(target, first_rows(outputs, len(images)), self._view.crop)
        figures = metrics.result()
        return Stage(
            score=float(self._task.score(figures)),
            metrics={name: float(value) for name, value in figures.items()},
            losses=(),
            steps=0,
            seconds={
                "build": measured - started,
                "validate": time.perf_counter() - measured,
            },
        )


class _Candidate:
    """The part of a super-net that an architecture of single operations needs.

    Args:
        nets: The super-net at the size of batches that are measured, and at that of predictions.
        arrays: The super-net's own arrays.
        architecture: The tables that take the place of those among them.
    """

    def __init__(
        self,
        nets: Sequence[Blueprint],
        arrays: Mapping[tuple[str, str], np.ndarray],
        architecture: Architecture,
    ) -> None:
        tables = vars(architecture)
        operations = architecture.alpha[:, :-1] == _CHOSEN  # the last column is none
        entries = set(map(tuple, np.argwhere(operations).tolist()))
        nets = [with_operations(net, entries) for net in nets]
        parts = layouts(nets[0])
        state = from_arrays(
            parts,
            {(name, role): tables.get(name, array) for (name, role), array in arrays.items()},
        )
        self._vectors = [
            {part: tf.constant(vector) for part, vector in own.items()}
            for own in (state.trainable, state.statistics)
        ]
        measuring, scoring = (WideFunctional(net, parts=parts) for net in nets)
        self._measured = tf.function(
            lambda images, *vectors: (
                measuring(images, *vectors, training=frozenset({WEIGHTS})).measured
            ),
            autograph=False,
        )
        self._outputs = tf.function(
            lambda images, *vectors: scoring(images, *vectors).outputs, autograph=False
        )

    def measure(self, batches: Sequence[tf.Tensor]) -> None:
        """Takes the mean of the batch statistics over the batches."""
        found = [self._measured(images, *self._vectors) for images in batches]
        self._vectors[1] |= {
            part: tf.add_n([each[part] for each in found]) / len(found) for part in found[0]
        }

    def predict(self, images: np.ndarray) -> dict[str, tf.Tensor]:
        """Returns the outputs for a batch."""
        return self._outputs(images, *self._vectors)


def chosen(space: RestorationSpace, genotype: Genotype, beta: np.ndarray) -> Architecture:
    """Returns the architecture whose operations and moves are those of a genotype alone.

    An edge that it does not have gets ``none``. What leaves a level that its path does not pass
    keeps the shares of ``beta``, by which the decoder has learnt.
    """
    design, edges = RestorationDesign.of(genotype), edges_of(space.nodes)
    cells = design.cells[: 1 if space.variant.tied else None]
    alpha = np.zeros((len(cells) * len(edges), len(space.variant.ops) + 1), np.float32)
    for number, cell in enumerate(cells):
        has = {(n, edge.source): edge.op for n, node in enumerate(cell) for edge in node}
        for row, edge in enumerate(edges):
            alpha[number * len(edges) + row, has.get(edge, -1)] = _CHOSEN
    sources, beta = sources_of(space.layers, space.levels), beta.copy()
    for layer, (before, after) in enumerate(itertools.pairwise([0, *design.levels])):
        row = sources.index((layer, before))
        beta[row] = 0
        beta[row, after - before + 1] = _CHOSEN
    return Architecture(alpha, beta)


def evaluator(
    config: Config,
    *,
    latency: Latency | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> TwoStage | OneShot:
    """Returns what scores candidates: a super-net if one is configured, else their training.

    ``progress`` is called while features are cached, with a name, the rows done and their total.
    """
    if config.search.supernet is not None:
        return OneShot(config, latency=latency)
    return TwoStage(config, SharedData(config, progress=progress), latency=latency)


def trained_supernet(config: Config) -> Run:
    """Returns the run whose super-net scores candidates; raises if it does not fit."""
    folder = Path(config.search.supernet or "")
    run = Run(folder)
    if run.info.oracle != ORACLE:
        raise ConfigError(
            f"search.supernet is {folder}, a run by {run.info.oracle}, expected one by {ORACLE}"
        )
    own, other = spaces.get(config.space), spaces.get(run.info.space)
    if own != other:
        raise ConfigError(
            f"search.supernet is {folder}, of space {other}, expected {own}, that of this search"
        )
    channels = from_config.task_for(config).head.channels
    if run.info.outputs != channels:
        raise ConfigError(
            f"search.supernet is {folder}, which restores {run.info.outputs} channels, expected "
            f"{channels}, as here"
        )
    if not run.completed:
        raise DataError(f"{folder} has no finished epoch yet, expected one at least")
    return run
