"""The gradient search: trains a super-net, and reads a genotype off it after each epoch."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf
from filelock import FileLock
from msgspec import structs

from nas_tf import files, networks, spaces
from nas_tf.config import resumed
from nas_tf.config.load import dump
from nas_tf.config.schema import Config, Evaluation
from nas_tf.errors import ConfigError, DataError, TrainingError
from nas_tf.genotype import Genotype
from nas_tf.networks import cost
from nas_tf.runs import Run, Stage, TrialRecord, filenames, record
from nas_tf.runs.trial_store import TrialStore
from nas_tf.search import candidate_models, pricing
from nas_tf.search.outcome import ended
from nas_tf.search.provenance import run_info
from nas_tf.search.read_off import ReadOff, entropy, read_off
from nas_tf.spaces.restoration import RestorationSpace
from nas_tf.training import from_config, own_data, own_files, preflight
from nas_tf.training.guards import Diverged
from nas_tf.training.history import History
from nas_tf.training.prediction_sheet import predictions_picture
from nas_tf.training.scoring import Scorer, Split
from nas_tf.training.supernet_training import Architecture, SuperNetEpoch, SuperNetTraining

ORACLE = "gradient"
OnEpoch = Callable[[Mapping[str, Any]], None]


class GradientSearch:
    """A gradient search in a folder; the same call resumes it where it was interrupted.

    The genotype that is read off after each of the last epochs is a trial of the run, whose score
    is the super-net's on meta-val::

        search = GradientSearch(config.load("shapes_denoise"), Path("runs/denoise"))
        search.run()
        print(Run("runs/denoise").best()[0].genotype)

    Args:
        config: The configuration, whose space must be ``restoration``.
        folder: Folder that everything is saved in.
    """

    def __init__(self, config: Config, folder: Path) -> None:
        check(config)
        config = own_data.completed(config)
        preflight.before_gradient_search(config)
        pricing.check(config)
        self.config, self.folder = config, folder
        self.space = spaces.get(config.space)
        self.task = from_config.task_for(config)
        _check_limits(config, self.space, self._costs)
        self._claim()
        self.training = SuperNetTraining(config, folder / "checkpoints")
        view = from_config.reward_view(config)
        self._scorer = Scorer(
            self.training.blueprint_at,
            self.task,
            self.training.parts,
            view.crop,
            Evaluation(batch=config.evaluation.batch),
        )
        subset = tuple(self.training.meta_val.tolist())
        self._pictures = Split(from_config.training_examples(config), view, subset)
        self._store = TrialStore(folder)
        self.resumed = self.training.resume()
        self._history = History(folder / filenames.SUPERNET)
        self._history.cut(self.training.steps_done)
        self._cut_architectures()

    @property
    def epochs_done(self) -> int:
        """The number of finished epochs."""
        return self.training.steps_done // self.training.per_epoch

    def run(
        self,
        progress: Callable[[int, int, float], None] | None = None,
        on_epoch: OnEpoch | None = None,
        on_trial: Callable[[TrialRecord], None] | None = None,
    ) -> None:
        """Trains to the end.

        Args:
            progress: Called at every step with its number, their total and the loss.
            on_epoch: Called with the figures of each finished epoch.
            on_trial: Called with the record of each trial.
        """

        def step(done: int, loss: float) -> None:
            if progress is not None:
                progress(done, self.training.steps, loss)

        with files.reporting_full_disk(self.folder):
            try:
                for end in self.training.epochs(step):
                    row = self._after(end, on_trial)
                    if on_epoch is not None:
                        on_epoch(row)
            except Diverged as error:
                raise TrainingError(
                    f"{error}; lower gradient.weights.learning_rate, or clip gradients"
                ) from error

    def _after(
        self, end: SuperNetEpoch, on_trial: Callable[[TrialRecord], None] | None
    ) -> Mapping[str, Any]:
        """Scores the super-net, reads the genotype off it, and writes both."""
        since, state = time.perf_counter(), self.training.state
        if not state.is_finite:
            raise Diverged(f"weights are not finite after epoch {end.epoch + 1}")
        architecture, number = self.training.architecture, end.epoch + 1
        self._add_architecture(number, end.steps_done, architecture)
        found = self._read_off(architecture)
        row: dict[str, Any] = {
            "epoch": number,
            "step": end.steps_done,
            "loss": round(end.loss, 6),
            "learning_rate": f"{end.learning_rate:.3e}",
            "entropy": round(entropy(architecture.alpha.tolist()), 6),
            "path": "-".join(map(str, found.genotype.parts[1])),
            "probability": round(found.probability, 6),
            "seconds": round(end.seconds, 2),
        }
        settings = self.config.gradient
        last = number == settings.epochs
        if last or number % settings.validate_every == 0:
            figures = self._scorer.score(state, self._pictures).result()
            row |= {name: round(float(value), 6) for name, value in figures.items()}
            row["score"] = round(float(self.task.score(figures)), 6)
            if last or number > settings.chosen_from * settings.epochs:
                trial = self._record(end, found, figures, since)
                if on_trial is not None:
                    on_trial(trial)
        self._history.cut(end.steps_done - 1)  # a row of an epoch that is processed again
        self._history.add(row)
        return row

    def _record(
        self, end: SuperNetEpoch, found: ReadOff, figures: Mapping[str, float], since: float
    ) -> TrialRecord:
        """Stores the genotype of an epoch as a trial, and the super-net if it is the best."""
        counted = self._cost(found.genotype)
        stage = Stage(
            score=float(self.task.score(figures)),
            metrics={name: float(value) for name, value in figures.items()},
            losses=(round(end.loss, 6),),
            steps=self.training.per_epoch,
            seconds={"steps": end.seconds, "validate": time.perf_counter() - since},
        )
        trial = ended(
            TrialRecord.of(
                found.genotype,
                stage.score,
                stages=(stage,),
                params=counted.params,
                madds=counted.madds,
                seed=self.config.seed,
            ),
            f"epoch-{end.epoch + 1:0{len(str(self.config.gradient.epochs))}d}",
            self.config.search.goals,
            since=since - end.seconds,
            worker="",
        )
        records = self._store.add(trial)
        if trial.trial == _best(records).trial:
            self._save_best(trial, records)
        return trial

    def _save_best(self, trial: TrialRecord, records: Sequence[TrialRecord]) -> None:
        """Saves the super-net from which the best genotype was read, and shows what it does."""
        state, size = self.training.state, self._pictures.view.crop
        blueprint = self.training.blueprint_at(size)
        candidate_models.save_arrays(self.folder, trial.trial, blueprint, state)
        candidate_models.prune_arrays(self.folder, records, 1)
        picture = predictions_picture(self.task, self._scorer, state, self._pictures)
        files.write(self.folder / filenames.SAMPLES, tf.io.encode_png(picture).numpy())

    def _read_off(self, architecture: Architecture) -> ReadOff:
        limits = self.config.limits
        limited = limits.params is not None or limits.madds is not None
        tables = architecture.alpha.tolist(), architecture.beta.tolist()
        return read_off(self.space, *tables, self._costs if limited else None)

    def _cost(self, genotype: Genotype) -> networks.Cost:
        build = from_config.blueprint_builder(self.config, genotype, "search")
        return cost(build(from_config.reward_view(self.config).crop).deployed())

    def _costs(self, genotype: Genotype) -> list[float]:
        """Returns the parameters and multiply-adds, each divided by its limit if it has one."""
        counted, limits = self._cost(genotype), self.config.limits
        pairs = (counted.params, limits.params), (counted.madds, limits.madds)
        return [value / limit for value, limit in pairs if limit is not None]

    def _claim(self) -> None:
        """Writes configuration and provenance, or raises if the folder has others."""
        config, path = self.config, self.folder / filenames.RUN
        self.folder.mkdir(parents=True, exist_ok=True)
        with FileLock(self.folder / filenames.LOCK):
            own_files.claim(self.folder, config)
            if path.exists():
                config = resumed.check(self.folder, config)
                info = structs.replace(Run(self.folder).info, data=config.data.name)
            else:
                info = run_info(config, oracle=ORACLE, max_trials=_trials(config))
            files.write(self.folder / filenames.CONFIG, dump(config))
            files.write(path, record.text(info))

    def _add_architecture(self, epoch: int, step: int, architecture: Architecture) -> None:
        line = {
            "epoch": epoch,
            "step": step,
            "alpha": architecture.alpha.tolist(),
            "beta": architecture.beta.tolist(),
        }
        before = [each for each in self._architectures if each["step"] < step]
        self._architectures = [*before, line]
        text = "".join(f"{json.dumps(each)}\n" for each in self._architectures)
        files.write(self.folder / filenames.ARCHITECTURE, text)

    def _cut_architectures(self) -> None:
        """Reads the architectures so far, without those of epochs that will be trained again."""
        path = self.folder / filenames.ARCHITECTURE
        done = self.training.steps_done
        try:
            lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
            self._architectures = [line for line in map(json.loads, lines) if line["step"] <= done]
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(
                f"{path} can't be read: {error}; put back a copy, or delete it: only the figures "
                "of past epochs are lost"
            ) from error


def check(config: Config) -> None:
    """Raises if a configuration cannot be searched by gradient."""
    space = spaces.get(config.space)
    if not isinstance(space, RestorationSpace):
        raise ConfigError(
            f"search.oracle is {ORACLE}, and space {space.name} has no super-net, expected space "
            "restoration, or another oracle"
        )
    settings = config.gradient
    if settings.warmup_epochs >= settings.epochs:
        raise ConfigError(
            f"gradient.warmup_epochs is {settings.warmup_epochs} and gradient.epochs is "
            f"{settings.epochs}, expected fewer, since the architecture learns after them"
        )
    for key, value in (
        ("search.warm_start", config.search.warm_start),
        ("search.latency", config.search.latency),
        ("limits.memory_gib", config.limits.memory_gib),
        ("limits.seconds", config.limits.seconds),
    ):
        if value is not None:
            raise ConfigError(
                f"{key} is {value}, expected null, as search.oracle is {ORACLE}, which trains "
                "no candidates"
            )


def _check_limits(
    config: Config, space: RestorationSpace, costs: Callable[[Genotype], Sequence[float]]
) -> None:
    """Raises if even the smallest network exceeds the limits."""
    if config.limits.params is None and config.limits.madds is None:
        return
    skip = space.variant.ops.index("skip")
    pairs = [(skip, source) for _ in range(space.nodes) for source in (0, 1)]
    narrow = [0] * (space.layers - 1)
    paths = [*narrow, 0], [*narrow, min(1, space.levels - 1)]  # the last decides on the decoder
    over = min(max(costs(space.genotype_of([pairs] * space.layers, path))) for path in paths)
    if over > 1:
        raise ConfigError(
            f"limits.params or limits.madds excludes every network: the smallest has {over:.2f} "
            "times as many, expected larger limits or a smaller network.width"
        )


def _trials(config: Config) -> int:
    """Returns the number of epochs whose genotypes become trials."""
    settings = config.gradient
    each = settings.validate_every
    return sum(
        number == settings.epochs
        or (number % each == 0 and number > settings.chosen_from * settings.epochs)
        for number in range(1, settings.epochs + 1)
    )


def _best(records: Sequence[TrialRecord]) -> TrialRecord:
    return max(records, key=lambda trial: trial.reward)
