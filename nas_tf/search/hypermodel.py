"""A search space as a KerasTuner HyperModel."""

from collections.abc import Sequence
from pathlib import Path
from types import EllipsisType
from typing import Any

import keras_tuner as kt
from msgspec import structs
from tensorflow import keras

from nas_tf.config import schema
from nas_tf.config.conflicts import DRAWN_ALPHA
from nas_tf.config.paths import absolute
from nas_tf.config.schema import Config, Data, Network
from nas_tf.errors import ConfigError, NasTfError
from nas_tf.genotype import Genotype
from nas_tf.networks.state import Arrays
from nas_tf.search import candidate_models, preflight, pricing
from nas_tf.search.candidate_models import trained_arrays
from nas_tf.spaces import SearchSpace
from nas_tf.tasks import Task
from nas_tf.training import from_config, gate, own_data, task_settings
from nas_tf.training.gate import Gate
from nas_tf.training.result import CandidateResult
from nas_tf.training.shared_data import SharedData
from nas_tf.training.two_stage import Latency, TwoStage

OBJECTIVE = kt.Objective("val_reward", "max")


class SearchHyperModel(kt.HyperModel):
    """Genotype tokens as hyperparameters, networks as models, two-stage evaluation as ``fit``.

    It works under ``TwoStageTuner`` and under KerasTuner's own tuners alike, with objective
    ``kt.Objective("val_reward", "max")``.

    Args:
        space: What is searched.
        task: What is predicted, and how it is learned and scored; None takes it from the data.
            Its settings are kept as the configuration's ``task`` section; names and colours are
            the data set's.
        backbone: ``mobilenet_v2``, the one there is.
        weights: Of the encoder: ``imagenet``, ``drawn``, a file, or None; if not given, the
            configuration's, or ``imagenet`` without one. Without a configuration the encoder has
            the width that ``drawn`` is for.
        config: Everything else; its space, task, network and data give way to what is given here.
        latency: Tells the milliseconds of a candidate's blueprint, instead of ``search.latency``.
    """

    def __init__(
        self,
        space: SearchSpace,
        task: Task | None = None,
        *,
        backbone: str = "mobilenet_v2",
        weights: str | Path | EllipsisType | None = ...,
        config: Config | None = None,
        latency: Latency | None = None,
    ) -> None:
        super().__init__(name=f"{space.name}_search")
        if backbone != "mobilenet_v2":
            raise ConfigError(f"backbone is {backbone!r}, expected 'mobilenet_v2'")
        self.space, self._task = space, task
        network = config.network if config else Network()
        if weights == "drawn" and config is None:
            network = structs.replace(network, alpha=DRAWN_ALPHA)
        if weights is not ...:
            chosen = None if weights is None else str(weights)
            network = structs.replace(network, weights=chosen)
        self._network = network
        self._config, self._latency = config, latency
        self._of_data: tuple[tuple[str, str | None], schema.Task] | None = None
        self._evaluator: TwoStage | None = None
        self._checked = False
        self._completed: tuple[Config, Config] | None = None

    @classmethod
    def of(
        cls, config: Config, space: SearchSpace, *, latency: Latency | None = None
    ) -> "SearchHyperModel":
        """The HyperModel of a configuration."""
        return cls(space, weights=config.network.weights, config=config, latency=latency)

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
        config = self._settled()
        task = self._task or (from_config.task_for(config) if config else None)
        if task is None:
            raise ConfigError("SearchHyperModel.build needs a task, expected task= or config=")
        return candidate_models.untrained(self.genotype(hp), task, config, self._network.weights)

    def fit(
        self,
        hp: kt.HyperParameters,
        model: keras.Model,
        train_data: Any = None,
        validation_data: Any = None,
        epochs: int | None = None,
        callbacks: Sequence[keras.callbacks.Callback] = (),
        **_: Any,
    ) -> dict[str, float]:
        """Evaluates in two stages, for KerasTuner's own tuners; ``epochs`` is that of stage one.

        Every candidate goes on to stage two: KerasTuner's oracles keep no gate. The model is
        given what the candidate has learnt; callbacks hear of it as of one epoch.
        """
        evaluator = self._opened(train_data)
        if epochs is not None:
            evaluator = evaluator.lasting(epochs)
        arrays: Arrays = {}
        result = evaluator.evaluate(
            self.genotype(hp),
            everybody(),
            keep=lambda blueprint, state: arrays.update(trained_arrays(blueprint, state)),
        )
        if result.failed and not result.over_limit:
            raise kt.errors.FailedTrialError(result.stopped)
        if arrays:
            candidate_models.fill(model, evaluator.config, arrays)
        told = figures(result, pricing.reward(evaluator.config.search.targets, result))
        _tell(callbacks, model, told)
        return told

    def config(self, train_data: Any = None) -> Config:
        """The configuration, on the data that was given: a name such as ``camvid``, or none."""
        base = self._config
        if train_data is None and base is None:
            raise ConfigError("no data was given, expected search('camvid') or a config=")
        if base is None:
            base = Config(space=self.space.name, data=Data(name=train_data))
        elif train_data is not None:
            base = structs.replace(base, data=structs.replace(base.data, name=train_data))
        base = absolute(structs.replace(base, space=self.space.name, network=self._network))
        if self._task is not None:
            base = structs.replace(base, task=self._described(base))
        if self._completed is None or self._completed[0] != base:
            self._completed = base, own_data.completed(base)
        return self._completed[1]

    def _described(self, config: Config) -> schema.Task:
        """The section of the task that was given, looked up once for each data set."""
        key = config.data.name, config.data.target
        if self._of_data is None or self._of_data[0] != key:
            own = from_config.task_for(structs.replace(config, task=schema.Task()))
            self._of_data = key, task_settings.described(self._task, own)
        return self._of_data[1]

    def _settled(self) -> Config | None:
        """The configuration as far as it is known before data is."""
        if self._evaluator is not None:
            return self._evaluator.config
        return None if self._config is None else self.config()

    def _opened(self, train_data: Any) -> TwoStage:
        """The evaluator; a mistake of the user's ends the search, it is no trial's failure."""
        try:
            return self.evaluator(train_data)
        except NasTfError as error:
            raise kt.errors.FatalValueError(str(error)) from error

    def check(self, train_data: Any = None) -> None:
        """Raises on what would make every trial fail, the first time it is asked."""
        if not self._checked:
            preflight.check(self.config(train_data), latency=self._latency)
            self._checked = True

    def evaluator(self, train_data: Any = None, progress: Any = None) -> TwoStage:
        """The evaluator all trials of this process share; the first call caches features."""
        if self._evaluator is None:
            config = self.config(train_data)
            self.check(train_data)
            latency = pricing.latency_of(config, self._latency)
            ground = SharedData(config, progress=progress)
            self._evaluator = TwoStage(config, ground, latency=latency)
        return self._evaluator


def everybody() -> Gate:
    """The gate of a search that has none."""
    return gate.make(schema.Gate(policy="open"), 1)


def _tell(
    callbacks: Sequence[keras.callbacks.Callback], model: keras.Model, told: dict[str, float]
) -> None:
    """Has callbacks do what they do in an epoch: KerasTuner's saves the model."""
    heard = keras.callbacks.CallbackList(list(callbacks), model=model)
    heard.on_train_begin()
    heard.on_epoch_begin(0)
    heard.on_epoch_end(0, told)
    heard.on_train_end(told)


def figures(result: CandidateResult, reward: float) -> dict[str, float]:
    """What KerasTuner is told of a result: the reward, the score it comes from, the costs."""
    stages = {
        f"stage_{number}_reward": stage.score for number, stage in enumerate(result.stages, 1)
    }
    cost = {"params": float(result.params), "madds": float(result.madds)}
    if result.latency_ms is not None:
        cost["latency_ms"] = result.latency_ms
    return {"val_reward": reward, "score": result.score, **stages, **cost}
