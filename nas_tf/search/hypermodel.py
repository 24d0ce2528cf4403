"""A search space as a KerasTuner HyperModel."""

from pathlib import Path
from typing import Any

import keras_tuner as kt
from msgspec import structs
from tensorflow import keras

from nas_tf import networks
from nas_tf.config.schema import Data, Experiment, Network
from nas_tf.errors import ConfigError
from nas_tf.genotype import Genotype
from nas_tf.networks.heads import Head
from nas_tf.spaces import SearchSpace
from nas_tf.tasks import Task
from nas_tf.training import experiment, gate, processor
from nas_tf.training.groundwork import Groundwork
from nas_tf.training.result import CandidateResult
from nas_tf.training.two_stage import TwoStage

OBJECTIVE = kt.Objective("val_reward", "max")


class SearchHyperModel(kt.HyperModel):
    """Genotype tokens as hyperparameters, networks as models, two-stage evaluation as ``fit``.

    It works under ``TwoStageTuner`` and under KerasTuner's own tuners alike, with objective
    ``kt.Objective("val_reward", "max")``.

    Args:
        space: What is searched.
        task: What is predicted; None takes it from the data.
        backbone: ``mobilenet_v2``, the one there is.
        weights: Of the encoder: ``imagenet``, a file, or None.
        config: Everything else; its space, network and data give way to what is given here.
    """

    def __init__(
        self,
        space: SearchSpace,
        task: Task | None = None,
        *,
        backbone: str = "mobilenet_v2",
        weights: str | Path | None = "imagenet",
        config: Experiment | None = None,
    ) -> None:
        super().__init__(name=f"{space.name}_search")
        if backbone != "mobilenet_v2":
            raise ConfigError(f"backbone is {backbone!r}, expected 'mobilenet_v2'")
        self.space, self._task = space, task
        network = config.network if config else Network()
        self._network = structs.replace(network, weights=None if weights is None else str(weights))
        self._config = config
        self._evaluator: TwoStage | None = None

    @classmethod
    def of(cls, config: Experiment, space: SearchSpace) -> "SearchHyperModel":
        """The HyperModel of a configuration."""
        return cls(space, weights=config.network.weights, config=config)

    def declare_hyperparameters(self, hp: kt.HyperParameters) -> None:
        """Asks for every token."""
        for token in self.space.tokens:
            hp.Choice(token.name, list(range(token.size)), ordered=False)

    def genotype(self, hp: kt.HyperParameters) -> Genotype:
        """The genotype that hyperparameters spell."""
        self.declare_hyperparameters(hp)
        return self.space.decode([int(hp.get(token.name)) for token in self.space.tokens])

    def build(self, hp: kt.HyperParameters) -> keras.Model:
        """The untrained Keras model of hyperparameters, under the search's settings."""
        genotype = self.genotype(hp)
        config = self._config
        task = self._task or (experiment.task_for(config) if config else None)
        if task is None:
            raise ConfigError("SearchHyperModel.build needs a task, expected task= or config=")
        settings = networks.settings.search(self.space.name)
        return networks.build(
            genotype,
            Head(task.name, task.channels),
            settings=settings,
            weights=self._network.weights,
        )

    def fit(
        self,
        hp: kt.HyperParameters,
        model: keras.Model,
        train_data: Any = None,
        validation_data: Any = None,
        epochs: int | None = None,
        **_: Any,
    ) -> dict[str, float]:
        """Evaluates in two stages, for KerasTuner's own tuners; ``epochs`` is that of stage one.

        Every candidate goes on to stage two: KerasTuner's oracles keep no gate.
        """
        evaluator = self.evaluator(train_data)
        if epochs is not None:
            stage = structs.replace(evaluator.config.stage_one, epochs=epochs)
            config = structs.replace(evaluator.config, stage_one=stage)
            evaluator = TwoStage(config, evaluator.ground)
        everybody = gate.make(structs.replace(evaluator.config.gate, policy="open"), 1)
        result = evaluator.evaluate(self.genotype(hp), everybody)
        if result.failed:
            raise kt.errors.FailedTrialError(result.stopped)
        return figures(result)

    def config(self, train_data: Any = None) -> Experiment:
        """The configuration, on the data that was given: a name such as ``camvid``, or none."""
        base = self._config
        if train_data is None and base is None:
            raise ConfigError("no data was given, expected search('camvid') or a config=")
        if base is None:
            base = Experiment(space=self.space.name, data=Data(name=train_data))
        elif train_data is not None:
            base = structs.replace(base, data=structs.replace(base.data, name=train_data))
        return structs.replace(base, space=self.space.name, network=self._network)

    def evaluator(self, train_data: Any = None, progress: Any = None) -> TwoStage:
        """The evaluator all trials of this process share; the first call caches features."""
        if self._evaluator is None:
            config = self.config(train_data)
            processor.use_threads(config.threads)
            ground = Groundwork(config, progress=progress)
            self._check_task(ground.task)
            self._evaluator = TwoStage(config, ground)
        return self._evaluator

    def _check_task(self, found: Task) -> None:
        given = self._task
        if given and (given.name, given.channels) != (found.name, found.channels):
            raise ConfigError(
                f"the task is {given.name} with {given.channels} outputs and the data's is "
                f"{found.name} with {found.channels}"
            )


def figures(result: CandidateResult) -> dict[str, float]:
    """What KerasTuner is told of a result: the reward, the stages', the costs."""
    stages = {
        f"stage_{number}_reward": stage.reward for number, stage in enumerate(result.stages, 1)
    }
    cost = {"params": float(result.params), "madds": float(result.madds)}
    return {"val_reward": result.reward, **stages, **cost}
