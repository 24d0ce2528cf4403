"""The tuner: each trial is one candidate, evaluated in two stages and written down."""

import json
import platform
import shlex
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras_tuner as kt
from keras_tuner.src.engine.base_tuner import BaseTuner
from keras_tuner.src.engine.trial import Trial
from tensorflow import keras

from nas_tf.config.load import dump
from nas_tf.errors import NasTfError
from nas_tf.genotype import Genotype
from nas_tf.networks.state import arrays_of_model, fill_model
from nas_tf.runs import Run, Stage, TrialRecord, layout, record
from nas_tf.search import weights
from nas_tf.search.gatebook import GateBook
from nas_tf.search.hypermodel import SearchHyperModel, figures
from nas_tf.training.result import CandidateResult
from nas_tf.training.two_stage import Observer

if TYPE_CHECKING:
    import pandas

KEPT = 5
_PACKAGES = ("tensorflow", "keras", "keras-tuner", "tf-agents", "numpy")


class TwoStageTuner(BaseTuner):
    """Evaluates the candidates an oracle proposes, and keeps everything known of them.

    Args:
        hypermodel: Space, task and configuration.
        oracle: Who proposes; ``None`` for objective ``val_reward`` and 100 uniform trials.
        directory, project_name: The run is the folder ``directory/project_name``.
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
        self._kept = kept
        space = kt.HyperParameters()
        hypermodel.declare_hyperparameters(space)
        space.values = {}
        oracle.update_space(space)  # BaseTuner would build a model to learn of it
        super().__init__(
            oracle, directory=str(directory), project_name=project_name, overwrite=overwrite
        )

    @property
    def folder(self) -> Path:
        """The run's folder."""
        return Path(self.project_dir)

    def search(self, train_data: str | None = None, **kwargs: Any) -> None:
        """Searches on a data set by its name, such as ``camvid``; None takes the configuration's.

        The reward comes from a part of the training split that no candidate is trained on.
        """
        self._describe(train_data)
        super().search(train_data, **kwargs)

    def run_trial(self, trial: Trial, train_data: str | None = None, **_: Any) -> dict[str, float]:
        """One candidate; a failure is written down with its reason before the oracle hears."""
        evaluator = self.model.evaluator(train_data, self._progress)
        genotype = self.model.genotype(trial.hyperparameters)
        book, started, began = GateBook(self.folder, evaluator.config), _now(), time.perf_counter()
        result = evaluator.evaluate(
            genotype,
            book.of(trial.trial_id),
            observer=self._observer,
            keep=lambda blueprint, state: weights.keep(
                self.folder, trial.trial_id, blueprint, state
            ),
        )
        done = _record(trial.trial_id, result, started, time.perf_counter() - began, self.tuner_id)
        record.write(self.folder, done)
        weights.prune(self.folder, self._kept)
        if self._on_trial is not None:
            self._on_trial(done)
        if result.failed:
            raise kt.errors.FailedTrialError(result.stopped)
        return figures(result)

    def best_genotypes(self, count: int = 1) -> list[Genotype]:
        """The best genotypes so far, first the very best."""
        return [trial.parsed for trial in Run(self.folder).best(count)]

    def load_model(self, trial: Trial) -> keras.Model:
        """The trained Keras model of a trial whose weights were kept."""
        model = self.model.build(trial.hyperparameters)
        if not weights.path_of(self.folder, trial.trial_id).exists():
            raise NasTfError(
                f"the weights of trial {trial.trial_id} are not kept: those of the best "
                f"{self._kept} are, give TwoStageTuner a larger kept="
            )
        fill_model(model, arrays_of_model(model) | weights.read(self.folder, trial.trial_id))
        return model

    def results_dataframe(self) -> "pandas.DataFrame":
        """All finished trials as a table."""
        return Run(self.folder).to_frame()

    def _describe(self, train_data: str | None) -> None:
        """Writes what made this run, once."""
        path = self.folder / layout.RUN
        if path.exists() or self._is_worker():
            return
        config = self.model.config(train_data)
        layout.write_whole(self.folder / layout.CONFIG, dump(config))
        about = {
            "schema": layout.SCHEMA,
            "nas_tf": metadata.version("nas-tf"),
            "space": self.model.space.name,
            "data": config.data.name,
            "oracle": type(self.oracle).__name__,
            "max_trials": self.oracle.max_trials,
            "seed": config.seed,
            "created": _now(),
            "command": shlex.join(sys.argv),
            "python": platform.python_version(),
            "machine": f"{platform.system()} {platform.machine()}",
            "versions": {name: metadata.version(name) for name in _PACKAGES},
        }
        layout.write_whole(path, json.dumps(about, indent=1) + "\n")


def _record(
    trial: str, result: CandidateResult, started: str, seconds: float, worker: str
) -> TrialRecord:
    return TrialRecord(
        trial=trial,
        space=result.genotype.space,
        genotype=str(result.genotype),
        status="failed" if result.failed else "completed",
        reward=result.reward,
        score=result.reward,
        stages=tuple(
            Stage(
                reward=stage.reward,
                metrics={name: float(value) for name, value in stage.metrics.items()},
                losses=stage.losses,
                steps=stage.steps,
                seconds=dict(stage.seconds),
            )
            for stage in result.stages
        ),
        stopped=result.stopped,
        params=result.params,
        madds=result.madds,
        seed=result.seed,
        seconds=seconds,
        worker=worker,
        started=started,
        ended=_now(),
    )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
