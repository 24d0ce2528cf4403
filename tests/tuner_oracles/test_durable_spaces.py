"""Searches by KerasTuner's own tuners, whose models ask for the space as they are built."""

from pathlib import Path
from typing import Any

import keras_tuner as kt
import pytest
import tensorflow as tf

from tests.tuner_oracles.dense import Dense, data, tuner
from tests.tuner_oracles.searches import drive, finish, made, space
from tuner_oracles import PPOOracle, RandomOracle, search
from tuner_oracles.tokens import SpaceError


@pytest.mark.slow
def test_keras_tuners_own_tuner_searches_and_resumes(tmp_path: Path) -> None:
    x, y = data()
    first = tuner(PPOOracle("val_loss", 3, seed=1), tmp_path)
    search(first, x, y, validation_data=(x, y), epochs=1, verbose=0)
    assert len(first.oracle.trials) == 3
    again = tuner(PPOOracle("val_loss", 5, seed=1), tmp_path)
    assert len(again.oracle.trials) == 3, "known before the search is resumed"
    assert again.get_best_models(1)[0](x).shape == (32, 1)
    search(again, x, y, validation_data=(x, y), epochs=1, verbose=0)
    assert len(again.oracle.trials) == 5
    best = again.get_best_hyperparameters()[0]
    Dense().build(best)
    assert [trial.status for trial in again.oracle.trials.values()] == ["COMPLETED"] * 5
    scores = [trial.score for trial in again.oracle.trials.values()]
    assert again.oracle.get_best_trials()[0].score == min(scores)


@pytest.mark.slow
def test_overwriting_starts_from_scratch(tmp_path: Path) -> None:
    x, y = data()
    for _ in range(2):
        item = tuner(RandomOracle("val_loss", 2, seed=1), tmp_path, overwrite=True)
        search(item, x, y, validation_data=(x, y), epochs=1, verbose=0)
        assert len(item.oracle.trials) == 2


def test_a_model_built_of_a_best_trial_does_not_change_the_space(tmp_path: Path) -> None:
    oracle = made(tmp_path)
    drive(oracle, 3)
    oracle.get_best_trials(3)[0].hyperparameters.Choice("new", [1, 2])
    oracle.get_trial("00").hyperparameters.Choice("newer", [1, 2])
    assert [hp.name for hp in oracle.hyperparameters.space] == [hp.name for hp in space().space]


def test_late_hyperparameters_are_refused_with_all_names(tmp_path: Path) -> None:
    oracle = made(tmp_path)
    trial = oracle.create_trial("a")
    for name in ("late", "later", "late"):
        trial.hyperparameters.Choice(name, [5, 6])
    with pytest.raises(SpaceError, match="not every build asks for 'late', 'later', so"):
        finish(oracle, trial, 0.5)
    assert oracle.end_order == []


class Grows(kt.HyperModel):
    """Asks for hyperparameters in loops or under conditions, as KerasTuner's tutorials do."""

    def __init__(self, ask: Any) -> None:
        super().__init__()
        self._ask, self.fits = ask, 0

    def build(self, hp: kt.HyperParameters) -> tf.keras.Model:
        self._ask(hp)
        model = tf.keras.Sequential([tf.keras.layers.Dense(1)])
        model.compile("sgd", "mse")
        return model

    def fit(self, *_: Any, **__: Any) -> dict[str, float]:
        self.fits += 1
        return {"val_loss": 1.0}


def loop(hp: kt.HyperParameters) -> None:
    for number in range(hp.Int("layers", 1, 6)):
        hp.Choice(f"act{number}", ["relu", "tanh"])


def scope(hp: kt.HyperParameters) -> None:
    if hp.Boolean("use"):
        with hp.conditional_scope("use", [True]):
            hp.Choice("k", [1, 2, 3])


def fails(hp: kt.HyperParameters) -> None:
    if hp.Int("layers", 1, 6) == 6:
        hp.Choice("late", [1, 2])
        raise RuntimeError("no such network")


@pytest.mark.parametrize(
    ("ask", "new"),
    [(loop, "'act1', 'act2', 'act3', 'act4', 'act5'"), (scope, "'k'"), (fails, "'late'")],
)
def test_a_space_that_grows_at_its_ends_is_refused_before_any_trial(
    tmp_path: Path, ask: Any, new: str
) -> None:
    item = kt.Tuner(RandomOracle("val_loss", 9), Grows(ask), directory=tmp_path)
    with pytest.raises(SpaceError, match=f"not every build asks for {new}, so"):
        search(item, verbose=0)
    assert not list(tmp_path.rglob("trial_*"))


def test_a_space_that_grows_elsewhere_is_refused_before_a_network_is_trained(
    tmp_path: Path,
) -> None:
    def ask(hp: kt.HyperParameters) -> None:
        if hp.Choice("kind", ["a", "b", "c"]) == "b":
            hp.Choice("late", [1, 2])
            hp.Choice("later", [1, 2])

    model = Grows(ask)
    item = kt.Tuner(RandomOracle("val_loss", 9, seed=1), model, directory=tmp_path)
    with pytest.raises(SpaceError, match="asks for 'late', 'later', so"):
        search(item, verbose=0)
    assert model.fits == len(item.oracle.end_order) < 3
    assert {trial.status for trial in item.oracle.trials.values()} <= {"COMPLETED", "RUNNING"}


def test_a_space_that_is_asked_for_in_full_is_searched(tmp_path: Path) -> None:
    def ask(hp: kt.HyperParameters) -> None:
        hp.Int("layers", 1, 3)
        for number in range(3):
            hp.Choice(f"act{number}", ["relu", "tanh"])

    item = kt.Tuner(RandomOracle("val_loss", 4, seed=1), Grows(ask), directory=tmp_path)
    search(item, verbose=0)
    assert [trial.status for trial in item.oracle.trials.values()] == ["COMPLETED"] * 4


def test_continuous_hyperparameters_are_refused_before_any_trial(tmp_path: Path) -> None:
    class Continuous(kt.HyperModel):
        def build(self, hp: kt.HyperParameters) -> tf.keras.Model:
            hp.Float("dropout", 0.0, 0.5)
            return tf.keras.Sequential()

    with pytest.raises(SpaceError, match="'dropout' is a continuous range"):
        kt.Tuner(RandomOracle("val_loss", 2), Continuous(), directory=tmp_path)
