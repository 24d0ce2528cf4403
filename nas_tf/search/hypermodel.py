"""Makes a KerasTuner HyperModel of a search space."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import EllipsisType
from typing import Any

import keras_tuner as kt
from msgspec import structs
from tensorflow import keras

from nas_tf.config import schema
from nas_tf.config.paths import absolute
from nas_tf.config.schema import Config, Data, Network
from nas_tf.errors import ConfigError, NasTfError
from nas_tf.genotype import Genotype
from nas_tf.networks import encoders, settings
from nas_tf.networks.encoders import DRAWN
from nas_tf.networks.state import Arrays
from nas_tf.runs import TrialRecord
from nas_tf.search import candidate_models, one_shot, preflight, pricing, refusal
from nas_tf.search.candidate_models import trained_arrays
from nas_tf.search.one_shot import OneShot
from nas_tf.spaces import SearchSpace
from nas_tf.tasks import Task
from nas_tf.training import from_config, gate, own_data, task_settings
from nas_tf.training.gate import Gate
from nas_tf.training.two_stage import Latency, TwoStage

OBJECTIVE = kt.Objective("val_reward", "max")


class SearchHyperModel(kt.HyperModel):
    """Genotype tokens as hyperparameters, networks as models, two-stage evaluation as ``fit``.

    It works under ``TwoStageTuner`` and under KerasTuner's own tuners alike, with objective
    ``kt.Objective("val_reward", "max")``::

        model = SearchHyperModel(spaces.get("auxcell"), config=load("shapes_auxcell"))

    Args:
        space: The search space.
        task: The prediction task, with its losses and scores; None takes it from the data. Its
            settings are saved as the configuration's ``task`` section; names and colours are
            the data set's.
        backbone: The encoder, ``mobilenet_v2``, ``resnet50``, ``resnet101`` or ``xception``; None
            takes the configuration's.
        weights: The encoder's weights: ``imagenet``, ``drawn``, a file, or None; if not given, the
            configuration's, or ``imagenet`` without one. Without a configuration ``drawn`` sets
            the encoder to the width that it was trained at.
        config: All other settings; the arguments given here replace its space, task, network and
            data.
        latency: Returns the milliseconds of a candidate's blueprint, instead of
            ``search.latency``.
    """

    def __init__(
        self,
        space: SearchSpace,
        task: Task | None = None,
        *,
        backbone: str | None = None,
        weights: str | Path | EllipsisType | None = ...,
        config: Config | None = None,
        latency: Latency | None = None,
    ) -> None:
        super().__init__(name=f"{space.name}_search")
        self.space, self._task = space, task
        network = config.network if config else Network()
        if backbone is not None:
            settings.search(space.name, encoder=encoders.get(backbone))
            network = structs.replace(network, encoder=backbone)
        if weights == "drawn" and config is None and network.encoder == DRAWN.name:
            network = structs.replace(network, alpha=DRAWN.alpha)
        if weights is not ...:
            chosen = None if weights is None else str(weights)
            network = structs.replace(network, weights=chosen)
        self._network = network
        self._config, self._latency = config, latency
        self._of_data: tuple[tuple[str, str | None], schema.Task] | None = None
        self._evaluator: TwoStage | OneShot | None = None
        self._checked = False
        self._completed: tuple[Config, Config] | None = None

    @classmethod
    def of(
        cls, config: Config, space: SearchSpace, *, latency: Latency | None = None
    ) -> "SearchHyperModel":
        """Returns the HyperModel of a configuration."""
        return cls(space, weights=config.network.weights, config=config, latency=latency)

    def declare_hyperparameters(self, hp: kt.HyperParameters) -> None:
        """Declares every token as a hyperparameter."""
        for token in self.space.tokens:
            hp.Choice(token.name, list(range(token.size)), ordered=False)

    def genotype(self, hp: kt.HyperParameters) -> Genotype:
        """Decodes hyperparameters to a genotype."""
        self.declare_hyperparameters(hp)
        return self.space.decode([int(hp.get(token.name)) for token in self.space.tokens])

    def build(self, hp: kt.HyperParameters) -> keras.Model:
        """Builds the untrained Keras model of hyperparameters, under the search's settings."""
        config = self._known_config()
        task = self._task or (from_config.task_for(config) if config else None)
        if task is None:
            raise ConfigError("SearchHyperModel.build needs a task, expected task= or config=")
        genotype = self.genotype(hp)
        if self.space.refusal(genotype) is not None:  # fit fails the trial, which build may not
            image = keras.Input((None, None, 3))
            return keras.Model(image, image)
        return candidate_models.untrained(genotype, task, config, self._network.weights)

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

        Every candidate reaches stage two: KerasTuner's oracles have no gate. The trained arrays
        are loaded into the model; callbacks are called as for one epoch.
        """
        with _mistakes_are_fatal():
            evaluator = self.evaluator(train_data)
        if epochs is not None:
            evaluator = evaluator.with_epochs(epochs)
        arrays: Arrays = {}
        result = evaluator.evaluate(
            self.genotype(hp),
            open_gate(),
            on_scored=lambda blueprint, state: arrays.update(trained_arrays(blueprint, state)),
        )
        refusal.exempt_oracle_of(callbacks)
        refusal.raise_if_failed(result)
        if arrays:
            candidate_models.fill(model, evaluator.config, arrays)
        with _mistakes_are_fatal():
            reward = pricing.reward(evaluator.config.search.goals, result)
            metrics = metrics_of(structs.replace(result, reward=reward))
        _run_callbacks(callbacks, model, metrics)
        return metrics

    def config(self, train_data: Any = None) -> Config:
        """Returns the configuration on the data given: a name such as ``camvid``, or None."""
        base = self._config
        if train_data is None and base is None:
            raise ConfigError("no data was given, expected search('camvid') or a config=")
        if base is None:
            base = Config(space=self.space.section(), data=Data(name=train_data))
        elif train_data is not None:
            base = structs.replace(base, data=structs.replace(base.data, name=train_data))
        base = absolute(structs.replace(base, space=self.space.section(), network=self._network))
        if self._task is not None:
            base = structs.replace(base, task=self._described(base))
        if self._completed is None or self._completed[0] != base:
            self._completed = base, own_data.completed(base)
        return self._completed[1]

    def _described(self, config: Config) -> schema.Task:
        """Returns the given task as a section, derived once for each data set."""
        key = config.data.name, config.data.target
        if self._of_data is None or self._of_data[0] != key:
            own = from_config.task_for(structs.replace(config, task=schema.Task()))
            self._of_data = key, task_settings.described(self._task, own)
        return self._of_data[1]

    def _known_config(self) -> Config | None:
        """Returns the configuration if it is known before the data is, else None."""
        if self._evaluator is not None:
            return self._evaluator.config
        return None if self._config is None else self.config()

    def check(self, train_data: Any = None) -> None:
        """Raises on what would make every trial fail; only the first call checks."""
        if not self._checked:
            preflight.check(self.config(train_data), latency=self._latency)
            self._checked = True

    def evaluator(self, train_data: Any = None, progress: Any = None) -> TwoStage | OneShot:
        """Returns the evaluator that all trials of this process share; caches features first.

        With ``search.supernet`` it is that super-net, and nothing is cached.
        """
        if self._evaluator is None:
            config = self.config(train_data)
            self.check(train_data)
            latency = pricing.latency_of(config, self._latency)
            self._evaluator = one_shot.evaluator(config, latency=latency, progress=progress)
        return self._evaluator


@contextmanager
def _mistakes_are_fatal() -> Iterator[None]:
    """Turns a user's mistake into an error that ends the search instead of failing a trial."""
    try:
        yield
    except NasTfError as error:
        raise kt.errors.FatalValueError(str(error)) from error


def open_gate() -> Gate:
    """Returns the gate of a search without one, which admits every candidate."""
    return gate.make(schema.Gate(policy="open"), 1)


def _run_callbacks(
    callbacks: Sequence[keras.callbacks.Callback], model: keras.Model, logs: dict[str, float]
) -> None:
    """Calls callbacks as for one epoch: KerasTuner's saves the model."""
    callback_list = keras.callbacks.CallbackList(list(callbacks), model=model)
    callback_list.on_train_begin()
    callback_list.on_epoch_begin(0)
    callback_list.on_epoch_end(0, logs)
    callback_list.on_train_end(logs)


def metrics_of(result: TrialRecord) -> dict[str, float]:
    """Returns the metrics of a result for KerasTuner: reward, score and costs."""
    stages = {
        f"stage_{number}_{name}": stage.score
        for number, stage in enumerate(result.stages, 1)
        for name in ("score", "reward")  # the latter is the name in 0.1.0
    }
    cost = {"params": float(result.params), "madds": float(result.madds)}
    if result.latency_ms is not None:
        cost["latency_ms"] = result.latency_ms
    return {"val_reward": result.reward, "score": result.score, **stages, **cost}
