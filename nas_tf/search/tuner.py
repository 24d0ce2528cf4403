"""Defines the tuner: each trial is one candidate, evaluated in two stages and recorded."""

import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras_tuner as kt
from filelock import FileLock
from keras_tuner.src.distribute import utils as distribution
from keras_tuner.src.engine.base_tuner import BaseTuner
from keras_tuner.src.engine.trial import Trial, TrialStatus
from msgspec import structs
from tensorflow import keras

from nas_tf import files
from nas_tf.config import resumed
from nas_tf.config.load import dump, load_saved
from nas_tf.errors import NasTfError, full_disk
from nas_tf.genotype import Genotype
from nas_tf.networks.blueprint import Blueprint
from nas_tf.networks.state import State
from nas_tf.runs import Run, TrialRecord, filenames, record, saved_arrays
from nas_tf.runs.trial_store import TrialStore
from nas_tf.search import candidate_models, refusal, sample_images, second_seed
from nas_tf.search.gate_log import GateLog
from nas_tf.search.hypermodel import SearchHyperModel, metrics_of, open_gate
from nas_tf.search.one_shot import OneShot
from nas_tf.search.outcome import crashed, ended, unrecorded_failures
from nas_tf.search.provenance import run_info
from nas_tf.search.sample_images import TrialViews
from nas_tf.training import own_files
from nas_tf.training.two_stage import GateLike, Observer, TwoStage

if TYPE_CHECKING:
    import pandas

SAVED_WEIGHTS = 5
EPOCHS = "tuner/epochs"
"""The hyperparameter by which Hyperband sets a trial's number of epochs."""


class TwoStageTuner(BaseTuner):
    """Evaluates the candidates that an oracle proposes, and records them in the run's folder::

        oracle = RandomOracle(OBJECTIVE, 20, seed=1)
        tuner = TwoStageTuner(model, oracle, directory="runs", project_name="search")
        tuner.search()

    Workers in other processes may search in the same folder, under KerasTuner's chief; one
    instance is not safe for threads.

    Args:
        hypermodel: Space, task and configuration.
        oracle: The oracle, with objective ``kt.Objective("val_reward", "max")``.
        directory: The run is the folder ``directory/project_name``.
        project_name: The run's name below ``directory``.
        overwrite: Whether to delete an existing run.
        observer: Called at every training step.
        progress: Called while features are cached, with a name, the rows done and their total.
        on_trial: Called with the record of every finished trial.
        saved_weights: The number of best trials whose weights are saved.
    """

    def __init__(
        self,
        hypermodel: SearchHyperModel,
        oracle: kt.Oracle,
        *,
        directory: str | Path = "runs",
        project_name: str = "search",
        overwrite: bool = False,
        observer: Observer | None = None,
        progress: Callable[[str, int, int], None] | None = None,
        on_trial: Callable[[TrialRecord], None] | None = None,
        saved_weights: int = SAVED_WEIGHTS,
    ) -> None:
        self.model = hypermodel
        self._observer, self._progress, self._on_trial = observer, progress, on_trial
        self._saved_weights, self._proposer = saved_weights, oracle
        space = kt.HyperParameters()
        hypermodel.declare_hyperparameters(space)
        space.values = {}
        oracle.update_space(space)  # BaseTuner would build a model for it
        refusal.exempt(oracle)
        super().__init__(
            oracle, directory=str(directory), project_name=project_name, overwrite=overwrite
        )
        self._store = TrialStore(self.folder)
        self._gate_log: GateLog | None = None
        self._views = TrialViews(self.folder, self.tuner_id, hypermodel.space, self._store)

    @property
    def folder(self) -> Path:
        """The run's folder."""
        return Path(self.project_dir)

    def search(self, train_data: str | None = None, **kwargs: Any) -> None:
        """Searches on a data set by its name, such as ``camvid``; None takes the configuration's.

        The reward comes from a part of the training split that no candidate is trained on. Absent
        data, teachers or latency tables raise before the run's folder is written.
        """
        self.model.check(train_data)
        self._describe(train_data)
        if not distribution.is_chief_oracle():
            # within a trial, KerasTuner would catch its errors
            self.model.evaluator(train_data, self._progress)
        super().search(train_data, **kwargs)
        floor = self.model.config(train_data).limits.failure_score
        for lost in unrecorded_failures(self.folder, self.model.space, floor):
            self._store.add(lost)

    def on_search_begin(self) -> None:
        """Saves the state that KerasTuner would save only after a trial, and needs to resume."""
        if not self._is_worker():
            self.save()

    def run_trial(self, trial: Trial, train_data: str | None = None, **_: Any) -> dict[str, float]:
        """Evaluates one candidate; a failure is recorded before it is reported to the oracle."""
        evaluator, gate = self._evaluator(trial, train_data)
        genotype = self.model.genotype(trial.hyperparameters)
        since, config = time.perf_counter(), evaluator.config
        first = second_seed.first_trial(config, self._store, trial.trial_id, genotype)
        if first is not None:
            gate = second_seed.SameGate(first)
        scored: sample_images.Scored | None = None

        def save_weights(blueprint: Blueprint, state: State) -> None:
            nonlocal scored
            with files.reporting_faults(self.folder):
                candidate_models.save_arrays(self.folder, trial.trial_id, blueprint, state)
            scored = blueprint, state

        def recorded(found: TrialRecord) -> TrialRecord:
            found = second_seed.named(found, first)
            goals = config.search.goals
            done = ended(found, trial.trial_id, goals, since=since, worker=self.tuner_id)
            self._record(done, evaluator, scored)
            return done

        try:
            found = evaluator.evaluate(
                *(genotype, gate),
                seed=config.seed + (first is not None),
                observer=self._observer,
                on_scored=save_weights,
            )
        except NasTfError:
            raise
        except Exception as error:
            self._check_disk(error)
            recorded(crashed(genotype, error, config.limits.failure_score))
            raise
        done = recorded(found)
        refusal.raise_if_failed(done)
        return metrics_of(done)

    def _evaluator(
        self, trial: Trial, train_data: str | None
    ) -> tuple[TwoStage | OneShot, GateLike]:
        """Returns the evaluator of a trial and its gate.

        Hyperband's halving replaces the gate, and compares trials of equal numbers of epochs.
        """
        evaluator = self.model.evaluator(train_data, self._progress)
        epochs = trial.hyperparameters.values.get(EPOCHS)
        if epochs is not None or evaluator.config.search.supernet is not None:
            return evaluator.with_epochs(epochs), open_gate()
        if self._gate_log is None:
            self._gate_log = GateLog(self.folder, evaluator.config)
        return evaluator, self._gate_log.of(trial.trial_id)

    def _record(
        self,
        trial: TrialRecord,
        evaluator: TwoStage | OneShot,
        scored: sample_images.Scored | None,
    ) -> None:
        """Stores and shows a trial, completed or failed."""
        with files.reporting_faults(self.folder):
            records = self._store.add(trial)
            candidate_models.prune_arrays(self.folder, records, self._saved_weights)
            self._views.show(trial, records, evaluator, scored)
        if self._on_trial is not None:
            self._on_trial(trial)

    def _try_run_and_update_trial(self, trial: Trial, *args: Any, **kwargs: Any) -> None:
        """Replaces KerasTuner's, which prints a traceback for a candidate's expected failure."""
        try:
            self._run_and_update_trial(trial, *args, **kwargs)
            trial.status = TrialStatus.COMPLETED
        except (kt.errors.FatalError, NasTfError):
            raise
        except kt.errors.FailedTrialError as error:
            trial.status, trial.message = TrialStatus.FAILED, str(error)
        except Exception as error:
            self._check_disk(error)
            trial.status, trial.message = TrialStatus.INVALID, traceback.format_exc()

    def _check_disk(self, error: Exception) -> None:
        """Raises if the disk is full: the search ends, and the trial is run again, not failed."""
        place = getattr(error, "filename", None) or self.folder
        if fault := full_disk(error, place):
            raise fault from error

    def best_genotypes(self, count: int = 1) -> list[Genotype]:
        """Returns the best genotypes so far, best first."""
        return [trial.parsed for trial in Run(self.folder).best(count)]

    def load_model(self, trial: Trial) -> keras.Model:
        """Loads the trained Keras model of a trial whose weights are saved."""
        if not saved_arrays.arrays_path(self.folder, trial.trial_id).exists():
            raise NasTfError(
                f"the weights of trial {trial.trial_id} are not saved: those of the best "
                f"{self._saved_weights} are, give TwoStageTuner a larger saved_weights="
            )
        config = load_saved(self.folder / filenames.CONFIG)
        model = SearchHyperModel.of(config, self.model.space).build(trial.hyperparameters)
        candidate_models.fill(model, config, saved_arrays.read_arrays(self.folder, trial.trial_id))
        return model

    def results_dataframe(self) -> "pandas.DataFrame":
        """Returns all finished trials as a table."""
        return Run(self.folder).to_frame()

    def _describe(self, train_data: str | None) -> None:
        """Writes the run's provenance, once, and the configuration, of which some keys may change.

        The chief does not search, so a worker may write it.
        """
        config, path = self.model.config(train_data), self.folder / filenames.RUN
        max_trials = self._proposer.max_trials
        with FileLock(self.folder / filenames.LOCK):
            own_files.claim(self.folder, config)
            if path.exists():
                config = resumed.check(self.folder, config)
                started = Run(self.folder).info
                info = structs.replace(started, data=config.data.name, max_trials=max_trials)
            else:
                oracle = type(self._proposer).__name__
                info = run_info(config, oracle=oracle, max_trials=max_trials)
            files.write(self.folder / filenames.CONFIG, dump(config))
            files.write(path, record.text(info))
