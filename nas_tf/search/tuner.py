"""The tuner: each trial is one candidate, evaluated in two stages and written down."""

import json
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
from tensorflow import keras

from nas_tf.config import resumed
from nas_tf.config.load import dump, load
from nas_tf.errors import NasTfError, full_disk
from nas_tf.genotype import Genotype
from nas_tf.networks.blueprint import Blueprint
from nas_tf.networks.state import State
from nas_tf.runs import Run, TrialRecord, files
from nas_tf.runs.trial_store import TrialStore
from nas_tf.search import candidate_models, sample_images
from nas_tf.search.gate_log import GateLog
from nas_tf.search.hypermodel import SearchHyperModel, everybody, figures
from nas_tf.search.outcome import crashed, now, record_of, unrecorded_failures
from nas_tf.search.provenance import about
from nas_tf.search.sample_images import TrialViews
from nas_tf.training.result import CandidateResult
from nas_tf.training.two_stage import Decides, Observer, TwoStage

if TYPE_CHECKING:
    import pandas

KEPT = 5
EPOCHS = "tuner/epochs"
"""Where Hyperband says how many epochs a trial takes."""


class TwoStageTuner(BaseTuner):
    """Evaluates the candidates an oracle proposes, and keeps everything known of them.

    Args:
        hypermodel: Space, task and configuration.
        oracle: Who proposes, for objective ``kt.Objective("val_reward", "max")``.
        directory: The run is the folder ``directory/project_name``.
        project_name: See there.
        overwrite: Whether a run that is there is deleted.
        observer: Hears of every training step.
        progress: Hears of the rows of features being cached.
        on_trial: Hears of every finished trial.
        kept: Of how many of the best trials the weights are kept.
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
        kept: int = KEPT,
    ) -> None:
        self.model = hypermodel
        self._observer, self._progress, self._on_trial = observer, progress, on_trial
        self._kept, self._proposer = kept, oracle
        space = kt.HyperParameters()
        hypermodel.declare_hyperparameters(space)
        space.values = {}
        oracle.update_space(space)  # BaseTuner would build a model to learn of it
        super().__init__(
            oracle, directory=str(directory), project_name=project_name, overwrite=overwrite
        )
        self._shelf = TrialStore(self.folder)
        self._book: GateLog | None = None
        self._showcase = TrialViews(self.folder, self.tuner_id, hypermodel.space, self._shelf)

    @property
    def folder(self) -> Path:
        """The run's folder."""
        return Path(self.project_dir)

    def search(self, train_data: str | None = None, **kwargs: Any) -> None:
        """Searches on a data set by its name, such as ``camvid``; None takes the configuration's.

        The reward comes from a part of the training split that no candidate is trained on. Data,
        a teacher or a latency table that is absent is told before the run's folder is written.
        """
        self.model.check(train_data)
        self._describe(train_data)
        if not distribution.is_chief_oracle():
            self.model.evaluator(train_data, self._progress)  # in a trial, KerasTuner would go on
        super().search(train_data, **kwargs)
        floor = self.model.config(train_data).limits.floor
        for lost in unrecorded_failures(self.folder, self.model.space, floor):
            self._shelf.add(lost)

    def on_search_begin(self) -> None:
        """Saves what KerasTuner saves after the first trial only, and begins anew without."""
        if not self._is_worker():
            self.save()

    def run_trial(self, trial: Trial, train_data: str | None = None, **_: Any) -> dict[str, float]:
        """One candidate; a failure is written down with its reason before the oracle hears."""
        evaluator, gate = self._evaluator(trial, train_data)
        genotype = self.model.genotype(trial.hyperparameters)
        started, began = now(), time.perf_counter()
        scored: sample_images.Scored | None = None

        def keep(blueprint: Blueprint, state: State) -> None:
            nonlocal scored
            with files.writing(self.folder):
                candidate_models.save_arrays(self.folder, trial.trial_id, blueprint, state)
            scored = blueprint, state

        def add(result: CandidateResult) -> TrialRecord:
            seconds = time.perf_counter() - began
            targets = evaluator.config.search.targets
            done = record_of(
                trial.trial_id,
                result,
                targets,
                started=started,
                seconds=seconds,
                worker=self.tuner_id,
            )
            self._add(done, evaluator, scored)
            return done

        try:
            result = evaluator.evaluate(genotype, gate, observer=self._observer, keep=keep)
        except NasTfError:
            raise
        except Exception as error:
            self._check_disk(error)
            add(crashed(genotype, error, evaluator.config.limits.floor))
            raise
        done = add(result)
        if result.failed and not result.over_limit:
            raise kt.errors.FailedTrialError(result.stopped)
        return figures(result, done.reward)

    def _evaluator(self, trial: Trial, train_data: str | None) -> tuple[TwoStage, Decides]:
        """Who evaluates a trial, and the gate it meets.

        Hyperband's halving is a gate already, and compares trials of equally many epochs.
        """
        evaluator = self.model.evaluator(train_data, self._progress)
        epochs = trial.hyperparameters.values.get(EPOCHS)
        if epochs is not None:
            return evaluator.lasting(epochs), everybody()
        if self._book is None:
            self._book = GateLog(self.folder, evaluator.config)
        return evaluator, self._book.of(trial.trial_id)

    def _add(
        self, done: TrialRecord, evaluator: TwoStage, scored: sample_images.Scored | None
    ) -> None:
        """Writes a trial down and shows it, whatever became of it."""
        with files.writing(self.folder):
            records = self._shelf.add(done)
            candidate_models.prune_arrays(self.folder, records, self._kept)
            self._showcase.show(done, records, evaluator, scored)
        if self._on_trial is not None:
            self._on_trial(done)

    def _try_run_and_update_trial(self, trial: Trial, *args: Any, **kwargs: Any) -> None:
        """KerasTuner's; but it prints a candidate's failure, which is no news, as a traceback."""
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
        """A full disk is no trial's failure: it ends the search, and the trial is run again."""
        place = getattr(error, "filename", None) or self.folder
        if told := full_disk(error, place):
            raise told from error

    def best_genotypes(self, count: int = 1) -> list[Genotype]:
        """The best genotypes so far, first the very best."""
        return [trial.parsed for trial in Run(self.folder).best(count)]

    def load_model(self, trial: Trial) -> keras.Model:
        """The trained Keras model of a trial whose weights were kept."""
        if not candidate_models.arrays_path(self.folder, trial.trial_id).exists():
            raise NasTfError(
                f"the weights of trial {trial.trial_id} are not kept: those of the best "
                f"{self._kept} are, give TwoStageTuner a larger kept="
            )
        config = load(self.folder / files.CONFIG)
        model = SearchHyperModel.of(config, self.model.space).build(trial.hyperparameters)
        candidate_models.fill(
            model, config, candidate_models.read_arrays(self.folder, trial.trial_id)
        )
        return model

    def results_dataframe(self) -> "pandas.DataFrame":
        """All finished trials as a table."""
        return Run(self.folder).to_frame()

    def _describe(self, train_data: str | None) -> None:
        """Writes what made this run, once, and what may change: its budget, what comes after it.

        The chief does not search, so a worker may do it.
        """
        config, path = self.model.config(train_data), self.folder / files.RUN
        most = self._proposer.max_trials
        with FileLock(self.folder / files.LOCK):
            if path.exists():
                config = resumed.check(self.folder, config)
                told = {**Run(self.folder).about, "max_trials": most}
            else:
                told = about(config, oracle=type(self._proposer).__name__, max_trials=most)
            files.write_atomically(self.folder / files.CONFIG, dump(config))
            files.write_atomically(path, f"{json.dumps(told, indent=1)}\n")
