"""Full training of one genotype by a configuration; all results are saved in a folder."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import tensorflow as tf

from nas_tf import files, networks, spaces
from nas_tf.config import resumed
from nas_tf.config.load import dump
from nas_tf.config.schema import Config, Evaluation
from nas_tf.errors import ConfigError, DataError, GenotypeError, TrainingError, WeightsError
from nas_tf.genotype import Genotype
from nas_tf.networks.arrays import layouts
from nas_tf.networks.blueprint import Blueprint
from nas_tf.networks.model_files import read_model
from nas_tf.networks.state import (
    Arrays,
    State,
    arrays_of_model,
    fill_model,
    from_arrays,
    to_arrays,
)
from nas_tf.runs import filenames
from nas_tf.tasks import Metrics
from nas_tf.training import from_config, hardware, own_data, own_files, preflight
from nas_tf.training.full import EpochEnd, FullTraining, StageData
from nas_tf.training.guards import Diverged
from nas_tf.training.history import History
from nas_tf.training.machines import check_agreement, machines, reporting_lost
from nas_tf.training.prediction_sheet import predictions_picture
from nas_tf.training.scoring import Scorer

CONFIG, GENOTYPE, RESULT = filenames.CONFIG, filenames.GENOTYPE, filenames.RESULT
HISTORY, PICTURE = filenames.HISTORY, "predictions.png"
BEST, LAST = "best.keras", "last.keras"
Progress = Callable[[int, float], None]
Start = Callable[[Blueprint, Arrays], Arrays]
OnEpoch = Callable[[EpochEnd, Mapping[str, float] | None], None]


@dataclass(frozen=True)
class Finished:
    """The final metrics of a training, its duration and the files that it wrote."""

    metrics: Metrics
    result: Mapping[str, float]
    seconds: float
    files: tuple[Path, ...]


class FullRun:
    """A full training in a folder; the same call resumes it where it was interrupted.

    One process at a time may train in a folder, or one on each machine of ``TF_CONFIG``, all of
    which read the checkpoints there; those that do not lead write to a folder of their own::

        run = FullRun(config.load("quickstart"), spaces.resolve("arch0"), Path("runs/arch0"))
        print(run.run().result)

    Args:
        config: Configuration, of which data, network, full training and evaluation are used.
        genotype: Genotype of the network.
        folder: Folder that everything is saved in.
        start: Returns the weights to start from, for a blueprint and its initial weights, random
            and pre-trained ones.
    """

    def __init__(
        self,
        config: Config,
        genotype: Genotype,
        folder: Path,
        start: Start | None = None,
    ) -> None:
        strategy, self._machine = hardware.strategy(), machines()
        config = own_data.completed(config, in_full=True)
        preflight.encoder_weights(config)
        preflight.before_training(config)
        self.config, self.genotype = config, genotype
        folder = files.with_own_name(folder)
        own = folder.with_name(f"{folder.name}-machine{self._machine.number + 1}")
        self.folder = folder if self._machine.leads else own
        self.task = from_config.task_for(config)
        self.blueprint_at = from_config.blueprint_builder(config, genotype, "published")
        self._data = [
            self._stage_data(number) for number in range(len(config.full_training.stages))
        ]
        blueprints = [self.blueprint_at(stage.view.crop) for stage in self._data]
        state = self._start(blueprints[0], start)
        with reporting_lost(self._machine):
            check_agreement(strategy, self._machine, (dump(config), genotype))
            self._claim_folder()
            self.training = FullTraining(
                config.full_training,
                self._data,
                self.task,
                blueprints,
                state,
                folder / "checkpoints",
                precision=hardware.precision(config.precision),
                seed=config.seed,
                strategy=strategy,
                leads=self._machine.leads,
            )
            self.resumed = self.training.resume()
            check_agreement(strategy, self._machine, self.training.steps_done)
        self.size = from_config.geometry(config).size
        self._pictures = from_config.scored_pictures(config, config.data.val_split)
        self._shown = from_config.shown_pictures(config, config.data.val_split)
        single = Evaluation(batch=config.evaluation.batch)
        network = self.blueprint_at, self.task, self.training.parts, self.size
        self._scorer, self._final = Scorer(*network, single), Scorer(*network, config.evaluation)
        self._is_single = config.evaluation == single
        self._last: Metrics | None = None
        self.history = History(self.folder / HISTORY)
        self.history.cut(self.training.steps_done)
        self._model: Any = None
        self._board = tf.summary.create_file_writer(str(self.folder / "tensorboard"))

    def run(self, progress: Progress | None = None, on_epoch: OnEpoch | None = None) -> Finished:
        """Trains to the end, scores epochs meanwhile and the last weights as configured."""
        with files.reporting_full_disk(self.folder):
            self._train(progress, on_epoch)
            return self._finish()

    def _train(self, progress: Progress | None, on_epoch: OnEpoch | None) -> None:
        try:
            with reporting_lost(self._machine):
                for end in self.training.epochs(progress):
                    figures = self._figures(end)
                    self._record(end, figures)
                    if on_epoch is not None:
                        on_epoch(end, figures)
        except Diverged as error:
            saved = f"the best weights so far are in {self.folder / BEST}"
            raise TrainingError(
                f"{error}: {saved if (self.folder / BEST).exists() else 'nothing was saved'}; "
                "lower the learning rates, or clip gradients"
            ) from error

    def save(self) -> None:
        """Writes a checkpoint now, for instance when the user interrupts the training."""
        self.training.save()

    def _stage_data(self, number: int) -> StageData:
        stage = self.config.full_training.stages[number]
        examples = from_config.stage_examples(self.config, stage)
        view = from_config.view_of(self.config, "full", stage.crop, examples.info.name)
        return StageData(examples, view)

    def _start(self, blueprint: Blueprint, start: Start | None) -> State:
        arrays = from_config.first_arrays(self.config, blueprint)
        return from_arrays(layouts(blueprint), start(blueprint, arrays) if start else arrays)

    def _claim_folder(self) -> None:
        """Writes configuration and genotype, or raises if the folder has others."""
        files.refuse_others(self.folder, (filenames.DATA, CONFIG, GENOTYPE))
        self.folder.mkdir(parents=True, exist_ok=True)
        config, genotype = self.folder / CONFIG, self.folder / GENOTYPE
        own_files.claim(self.folder, self.config, in_full=True)
        if config.exists():
            resumed.check(self.folder, self.config, resumed.FREE_IN_FULL)
        if genotype.exists():
            was = _genotype_in(genotype)
            if was != self.genotype:
                raise ConfigError(
                    f"{self.folder} was started with genotype {was}, now it is {self.genotype}: "
                    "give that one, or another folder"
                )
        files.write(config, dump(self.config))
        files.write(genotype, self.genotype.to_json())

    def _figures(self, end: EpochEnd) -> Mapping[str, float] | None:
        last = end.steps_done == self.training.steps
        if (end.epoch + 1) % self.config.full_training.validate_every and not last:
            return None
        metrics = self._scorer.score(self.training.state, self._pictures)
        self._last = metrics if last and self._is_single else None
        return metrics.result()

    def _record(self, end: EpochEnd, figures: Mapping[str, float] | None) -> None:
        self.history.cut(end.steps_done - 1)  # a row of an epoch that is processed again
        before = self.history.best("reward")
        row: dict[str, Any] = {
            "stage": end.stage + 1,
            "epoch": end.epoch + 1,
            "step": end.steps_done,
            "loss": round(end.loss, 6),
            "seconds": round(end.seconds, 2),
            **{f"rate_{part}": f"{rate:.3e}" for part, rate in end.rates.items()},
        }
        if figures is not None:
            reward = self.task.score(figures)
            row |= {"reward": reward}
            row |= {key: round(value, 6) for key, value in figures.items() if key != "reward"}
            if before is None or reward > before:
                self._save_model(BEST)
        self.history.add(row)
        with self._board.as_default(step=end.steps_done):
            for key, value in row.items():
                if key not in ("stage", "epoch", "step"):
                    tf.summary.scalar(key, float(value))
        self._board.flush()

    def _save_model(self, name: str) -> None:
        """Saves the exported Keras model, for images of any size if its space permits that."""
        if self._model is None:
            settings = from_config.settings_for(self.config, "published")
            self._model = networks.build(
                self.genotype,
                self.task.head,
                input_size=self.size if spaces.get(self.genotype.space).fixed_size else None,
                settings=replace(settings, auxiliary="none"),
            )
        fill_model(self._model, to_arrays(self.training.parts, self.training.state))
        with files.atomic(self.folder / name) as partial:
            self._model.save(partial)

    def _finish(self) -> Finished:
        metrics = self._last
        if metrics is None:
            metrics = self._final.score(self.training.state, self._pictures)
        result = metrics.result()
        self._save_model(LAST)
        picture = predictions_picture(self.task, self._final, self.training.state, self._shown)
        files.write(self.folder / PICTURE, tf.io.encode_png(picture).numpy())
        with self._board.as_default(step=self.training.steps_done):
            tf.summary.image("predictions", picture[None])
        self._board.flush()
        costs = networks.cost(self.blueprint_at(self.size).deployed())
        record = {
            "result": dict(result),
            "table": metrics.table(),
            "split": self.config.data.val_split,
            "parameters": costs.params,
            "multiply_adds": costs.madds,
            "steps": self.training.steps_done,
            "seconds": round(self.history.seconds(), 1),
            "best_epoch_reward": self.history.best("reward"),
        }
        files.write(self.folder / RESULT, json.dumps(record, indent=1) + "\n")
        names = (LAST, BEST, HISTORY, PICTURE, RESULT)
        return Finished(
            metrics, result, self.history.seconds(), tuple(self.folder / name for name in names)
        )


def start_from(path: Path) -> Start:
    """Returns a function that replaces all fitting weights by those of a Keras model file.

    The file must have all layers of the decoder. Only the heads' depend on task and classes, so
    most of the decoder's weights must fit.
    """
    try:
        found = arrays_of_model(read_model(path))
    except (OSError, ValueError) as error:
        raise WeightsError(f"{path} cannot be read as a Keras model: {error}") from error

    def replace_weights(blueprint: Blueprint, arrays: Arrays) -> Arrays:
        fitting = {
            key: found[key]
            for key, value in arrays.items()
            if key in found and found[key].shape == value.shape
        }
        layers = blueprint.deployed().layers
        decoder = {layer.name for layer in layers if layer.part != "encoder"}
        own = [key for key in arrays if key[0] in decoder]
        count = sum(key in fitting for key in own)
        if not found.keys() >= set(own) or count <= len(own) / 2:
            raise WeightsError(
                f"{path} is of another network: {count} of {len(own)} arrays of its decoder fit, "
                "expected all but those of the heads"
            )
        return arrays | fitting

    return replace_weights


def _genotype_in(path: Path) -> Genotype:
    try:
        return Genotype.from_json(path.read_text(encoding="utf-8"))
    except (GenotypeError, UnicodeDecodeError) as error:
        raise DataError(f"{path} is damaged: {error}; put back a copy, or delete it") from error
