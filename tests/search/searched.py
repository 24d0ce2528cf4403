"""Small searches on the embedded data set, by KerasTuner's tuners and oracles or by ours."""

from pathlib import Path
from typing import Any

import keras_tuner as kt
import numpy as np
import tensorflow as tf

from nas_tf import spaces
from nas_tf.config.schema import Config
from nas_tf.search import SearchHyperModel, TwoStageTuner
from nas_tf.search.hypermodel import OBJECTIVE
from nas_tf.training.shared_data import SharedData
from tests.training.evaluated import experiment

QUICK = {"stage_one": {"epochs": 1, "views": 1, "batch": 128, "crop": [64, 64]}}
ONE_STAGE = {**QUICK, "stage_two": None}
TWO_STAGES = {**QUICK, "stage_two": {"epochs": 1, "batch": 128}}


def hypermodel(**changes: Any) -> SearchHyperModel:
    config: Config = experiment(**changes)
    return SearchHyperModel.of(config, spaces.get(config.space))


def random_oracle(trials: int, **options: Any) -> kt.Oracle:
    return kt.oracles.RandomSearchOracle(
        objective=OBJECTIVE, max_trials=trials, seed=options.pop("seed", 5), **options
    )


def tuner(folder: Path, oracle: kt.Oracle, model: SearchHyperModel, **options: Any) -> Any:
    return TwoStageTuner(
        model, oracle, directory=folder.parent, project_name=folder.name, **options
    )


def searched(folder: Path, trials: int = 2, options: Any = None, **changes: Any) -> TwoStageTuner:
    """A finished search of random trials."""
    item = tuner(folder, random_oracle(trials), hypermodel(**changes), **(options or {}))
    item.search(verbose=0)
    return item


def images(shared: SharedData, count: int = 3) -> np.ndarray:
    """The first images of meta-val as rewards are taken on."""
    batch, _ = next(shared.validation_images())
    return batch.numpy()[:count]


def logits(model: tf.keras.Model, seen: np.ndarray) -> np.ndarray:
    outputs = model(seen, training=False)
    return (outputs["logits"] if isinstance(outputs, dict) else outputs).numpy()


class Listed(kt.Oracle):
    """Proposes given genotypes, one after another."""

    def __init__(self, genotypes: list[str], **options: Any) -> None:
        super().__init__(objective=OBJECTIVE, max_trials=len(genotypes), **options)
        found = [spaces.resolve(genotype) for genotype in genotypes]
        self._values = []
        for item in found:
            space = spaces.space_of(item)
            names = [token.name for token in space.tokens]
            self._values.append(dict(zip(names, space.encode(item), strict=True)))

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        return {"status": "RUNNING", "values": dict(self._values[len(self.trials)])}


def rewarded(model: tf.keras.Model, shared: SharedData) -> float:
    """The reward of a Keras model on meta-val, as a search takes it."""
    metrics = shared.task.metrics()
    for seen, target in shared.validation_images():
        rows = len(tf.nest.flatten(target)[0])
        outputs = {"logits": logits(model, seen)[:rows]}
        metrics.update(target, outputs, shared.reward_view.crop)
    return shared.task.score(metrics.result())
