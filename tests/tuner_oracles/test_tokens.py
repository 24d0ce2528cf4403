"""Hyperparameters as tokens, and those that can't be."""

from typing import Any

import keras_tuner as kt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner_oracles.proposals import vectors
from tuner_oracles.tokens import SpaceError, Tokens


def everything() -> kt.HyperParameters:
    hp = kt.HyperParameters()
    hp.Choice("op", ["conv", "skip"])
    hp.Int("depth", 2, 8, step=2)
    hp.Int("units", 8, 64, step=2, sampling="log")
    hp.Boolean("residual")
    hp.Float("rate", 0.0, 0.5, step=0.25)
    hp.Float("learning_rate", 1e-4, 1e-1, step=10, sampling="log")
    hp.Fixed("classes", 10)
    hp.Choice("stem", [3])
    return hp


def test_every_discrete_hyperparameter_is_a_token_and_fixed_ones_are_filled_in() -> None:
    tokens = Tokens(everything())
    assert [(token.name, token.values) for token in tokens.tokens] == [
        ("op", ("conv", "skip")),
        ("depth", (2, 4, 6, 8)),
        ("units", (8, 16, 32, 64)),
        ("residual", (True, False)),
        ("rate", (0.0, 0.25, 0.5)),
        ("learning_rate", pytest.approx((1e-4, 1e-3, 1e-2, 1e-1))),
    ]
    assert tokens.size == 2 * 4 * 4 * 2 * 3 * 4
    values = tokens.values((1, 0, 3, 1, 2, 0))
    assert values == {
        "op": "skip",
        "depth": 2,
        "units": 64,
        "residual": False,
        "rate": 0.5,
        "learning_rate": 1e-4,
        "classes": 10,
        "stem": 3,
    }
    assert list(values) == [hp.name for hp in everything().space]


@given(st.data())
def test_vector_undoes_values(data: st.DataObject) -> None:
    tokens = Tokens(everything())
    vector = tuple(data.draw(st.integers(0, size - 1)) for size in tokens.sizes)
    assert tokens.vector(tokens.values(vector)) == vector


def test_values_are_the_ones_keras_tuner_samples() -> None:
    tokens = Tokens(everything())
    hp = everything()
    for seed in range(50):
        sampled = {item.name: item.random_sample(seed) for item in hp.space}
        assert tokens.values(tokens.vector(sampled)) == sampled


def test_kinds_are_names_without_numbers() -> None:
    hp = kt.HyperParameters()
    for name in ("block1.op2", "block12.op1", "block1.input1"):
        hp.Int(name, 0, 3)
    assert [token.kind for token in Tokens(hp).tokens] == ["block.op", "block.op", "block.input"]


def continuous(hp: kt.HyperParameters) -> None:
    hp.Float("dropout", 0.1, 0.5)


def conditional(hp: kt.HyperParameters) -> None:
    hp.Choice("kind", ["a", "b"])
    with hp.conditional_scope("kind", ["a"]):
        hp.Int("units", 1, 4)


def huge(hp: kt.HyperParameters) -> None:
    hp.Int("units", 1, 5000)


def nothing(hp: kt.HyperParameters) -> None:
    pass


@pytest.mark.parametrize(
    ("ask", "line"),
    [
        (
            continuous,
            "hyperparameter 'dropout' is a continuous range (0.1–0.5): give it a step, or use "
            "hp.Choice",
        ),
        (
            conditional,
            "hyperparameter 'units' is conditional (kind in ['a']), and these oracles decide a "
            "fixed list: ask for it unconditionally and ignore it where it does not apply",
        ),
        (
            huge,
            "hyperparameter 'units' has 5000 values, expected 1000 at most: give it a larger step",
        ),
        (
            nothing,
            "there are no hyperparameters to search: pass hyperparameters= to the oracle, or give "
            "the tuner a HyperModel whose build() asks for some",
        ),
    ],
)
def test_hyperparameters_that_cannot_be_tokens_are_refused(ask: Any, line: str) -> None:
    hp = kt.HyperParameters()
    ask(hp)
    with pytest.raises(SpaceError) as error:
        Tokens(hp)
    assert str(error.value) == line


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ({}, "no value for hyperparameter 'op'"),
        ({"op": "pool"}, "hyperparameter 'op' is 'pool', expected one of 'conv', 'skip'"),
    ],
)
def test_values_outside_of_the_space_are_refused(values: dict, line: str) -> None:
    with pytest.raises(SpaceError, match=line):
        Tokens(everything()).vector(values)


@pytest.mark.parametrize(
    ("first", "line"),
    [
        ({"op": "conv"}, "first is {'op': 'conv'}, expected a list of dicts of values"),
        (5, "first is 5, expected a list of dicts of values"),
        ([None], "first: entry 1 of 1: None is no dict"),
    ],
)
def test_first_without_a_list_of_values_is_refused(first: Any, line: str) -> None:
    with pytest.raises(SpaceError) as error:
        vectors(Tokens(everything()), first)
    assert str(error.value) == line
