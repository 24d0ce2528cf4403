"""Arguments of oracles in a configuration: they reach the oracle, and are all there."""

import dataclasses
import inspect
import random
from pathlib import Path
from typing import Any

import keras_tuner as kt
import pytest
from msgspec import structs

from nas_tf import spaces
from nas_tf.config import load
from nas_tf.config.oracles import ORACLES
from nas_tf.errors import ConfigError
from nas_tf.genotype import Genotype
from nas_tf.jobs import oracles
from nas_tf.networks import cost
from nas_tf.search.hypermodel import SearchHyperModel
from nas_tf.training import from_config
from tuner_oracles.evolution import EvolutionSearcher
from tuner_oracles.ppo import PRESETS, PPOSettings
from tuner_oracles.predictor import PredictorSettings
from tuner_oracles.random_search import NearBestSearcher
from tuner_oracles.tokens import SpaceError

NAMES = {
    "ppo": {field.name for field in dataclasses.fields(PPOSettings)},
    "predictor": {field.name for field in dataclasses.fields(PredictorSettings)},
    "evolution": set(inspect.signature(EvolutionSearcher).parameters),
    "near-best": set(inspect.signature(NearBestSearcher).parameters),
    "random": set(),
    "gradient": set(),
}
COMMON = {"objective", "max_trials", "seed", "hyperparameters", "allow_new_entries", "self"}
COMMON |= {"max_retries_per_trial", "max_consecutive_failed_trials", "tune_new_entries"}


def made(*overrides: str) -> Any:
    config = load("shapes_auxcell", overrides)
    return oracles.oracle_of(config, spaces.get(config.space))


@pytest.mark.parametrize("name", NAMES)
def test_a_section_has_the_arguments_of_its_oracle(name: str) -> None:
    fields = {field.name for field in structs.fields(ORACLES[name])}
    assert fields == {"name"} | NAMES[name]


def test_a_section_has_the_arguments_of_kerastuners_oracles() -> None:
    bayesian = set(inspect.signature(kt.oracles.BayesianOptimizationOracle).parameters)
    hyperband = set(inspect.signature(kt.oracles.HyperbandOracle).parameters)
    own = {"max_epochs", "hyperband_iterations"}  # the epochs of stage one, and trials
    for name, known in (("bayesian", bayesian), ("hyperband", hyperband - own)):
        fields = {field.name for field in structs.fields(ORACLES[name])}
        assert fields - {"name"} == known - COMMON


@pytest.mark.parametrize(
    "overrides",
    [
        ["search.oracle={name: evolution, population: 16, tournament: 4}"],
        ["search.oracle=evolution", "search.oracle.population=16", "search.oracle.tournament=4"],
    ],
)
def test_arguments_reach_the_oracle(overrides: list[str]) -> None:
    assert made(*overrides).searcher.settings() == {"population": 16, "tournament": 4}


def test_arguments_of_ppo_are_over_those_of_its_preset() -> None:
    fast = dataclasses.replace(PRESETS["fast"], entropy=0.5, guided_from=0)
    assert made("search.oracle={name: ppo, entropy: 0.5, guided_from: 0}").searcher.config == fast
    paper = dataclasses.replace(PRESETS["paper"], window=40)
    given = "search.oracle={name: ppo, window: 40}", "search.preset=paper"
    assert made(*given).searcher.config == paper


def test_arguments_reach_kerastuners_oracles() -> None:
    assert made("search.oracle={name: hyperband, factor: 4}").factor == 4
    pytest.importorskip("sklearn")
    assert made("search.oracle={name: bayesian, beta: 1.5}").beta == 1.5


def test_a_section_without_arguments_is_its_name() -> None:
    config = load("shapes_auxcell", ["search.oracle={name: evolution}"])
    assert config.search.oracle == config.search.oracle_name == "evolution"
    assert config.search.oracle_arguments == {}


def test_arguments_that_exclude_each_other_are_one_line() -> None:
    with pytest.raises(ConfigError) as caught:
        made("search.oracle={name: evolution, population: 4, tournament: 9}")
    assert str(caught.value) == "search.oracle: tournament is 9, expected 1–4"


@pytest.mark.parametrize(
    ("override", "line"),
    [
        (
            "search.oracle={name: evolution, every: 2}",
            "key search.oracle.every is unknown, expected one of name, population, tournament",
        ),
        (
            "search.oracle={population: 2}",
            "key search.oracle.name is missing, expected one of ppo, predictor, evolution, "
            "near-best, random, bayesian, hyperband, gradient",
        ),
        (
            "search.oracle={name: ppo, ranked: -1}",
            "search.oracle.ranked is -1, expected an integer of 0 or more, or null",
        ),
    ],
)
def test_mistakes_name_what_is_accepted(override: str, line: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load("shapes_auxcell", [override])
    assert str(caught.value) == f"override {override}: {line}"


def limited(key: str, limit: int) -> tuple[oracles.Feasible, Any]:
    config = load("shapes_auxcell", ["network.weights=null", f"limits.{key}={limit}"])
    space = spaces.get(config.space)
    return oracles.Feasible(config, space), space


@pytest.mark.parametrize("key", ["params", "madds"])
def test_networks_beyond_a_limit_are_no_trials(key: str) -> None:
    config = load("shapes_auxcell", ["network.weights=null"])
    rng, space = random.Random(1), spaces.get(config.space)
    genotypes = [space.sample(rng) for _ in range(40)]
    size = from_config.reward_view(config).crop

    def counted(genotype: Genotype) -> int:
        blueprint = from_config.blueprint_builder(config, genotype, "search")(size)
        return getattr(cost(blueprint.deployed()), key)

    costs = [counted(genotype) for genotype in genotypes]
    limit = sorted(costs)[20]
    feasible, _ = limited(key, limit)
    names = [token.name for token in space.tokens]
    found = [feasible(dict(zip(names, space.encode(item), strict=True))) for item in genotypes]
    assert found == [value <= limit for value in costs]
    assert 20 < sum(found) < 40


def test_a_limit_that_excludes_every_network_ends_the_search(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(oracles, "_MOST_SAMPLES", 5)
    config = load("shapes_auxcell", ["network.weights=null", "limits.params=9"])
    oracle = oracles.oracle_of(config, spaces.get(config.space))
    space = spaces.get(config.space)
    SearchHyperModel.of(config, space).declare_hyperparameters(oracle.hyperparameters)
    oracle._set_project_dir(str(tmp_path), "search")
    line = r"limits.params 9 refused all of 5 genotypes: the smallest has [\d,]+ parameters and"
    with pytest.raises(SpaceError, match=line):
        oracle.create_trial("tuner0")
