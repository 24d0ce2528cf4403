"""The predictor against its formulas by hand, and the choice that a search makes by it."""

import itertools
import json
import random
from pathlib import Path
from statistics import NormalDist

import numpy as np
import pytest

from tests.contracts.oracle_contract import OracleContract
from tests.tuner_oracles.searches import GOAL, drive, finish, outcome, place, score, space
from tuner_oracles import EvolutionOracle, PPOOracle, PredictorOracle
from tuner_oracles import predictor as room
from tuner_oracles.ledger import NAME
from tuner_oracles.predictor import (
    Guide,
    Predictor,
    PredictorSearcher,
    PredictorSettings,
    normal_scores,
)
from tuner_oracles.tokens import Tokens

SIZES = (4, 3, 5, 2, 4, 3)


def vectors(count: int, seed: int = 1) -> list[tuple[int, ...]]:
    everything = list(itertools.product(*map(range, SIZES)))
    return random.Random(seed).sample(everything, count)


def predictor_of(rewards: dict[tuple[int, ...], float | None]) -> Predictor:
    item = Predictor(SIZES)
    for vector, reward in rewards.items():
        item.add(vector, reward)
    return item


def worth(vector: tuple[int, ...]) -> float:
    return sum(value == place % SIZES[place] for place, value in enumerate(vector))


class TestPredictorOracle(OracleContract):
    oracle = PredictorOracle
    arguments = {"guided_from": 4, "neighbours": 12}  # noqa: RUF012


def test_scores_are_normal_quantiles_of_ranks_and_ties_share_theirs() -> None:
    scores = normal_scores(np.array([0.3, -np.inf, 0.9, 0.3]))
    quantile = NormalDist().inv_cdf
    np.testing.assert_allclose(
        scores, [quantile(0.5), quantile(0.125), quantile(0.875), quantile(0.5)], atol=1e-12
    )


def test_forecasts_are_those_of_a_gaussian_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "SCALES", (3.0,))
    monkeypatch.setattr(room, "NOISES", (0.2,))
    tried, others = vectors(30)[:20], vectors(30)[20:]
    rewards = {vector: worth(vector) + 0.01 * n for n, vector in enumerate(tried)}
    found = predictor_of(rewards).forecasts(others, np.random.default_rng(1), 0.0)

    def kernel(first: list, second: list) -> np.ndarray:
        return np.exp(
            [[-sum(a != b for a, b in zip(x, y, strict=True)) / 3 for y in second] for x in first]
        )

    values = np.array(list(rewards.values()))
    goal = normal_scores(values)
    inverse = np.linalg.inv(kernel(tried, tried) + 0.2 * np.eye(20))
    means = kernel(others, tried) @ inverse @ goal
    variance = goal @ inverse @ goal / 20
    spreads = np.sqrt(
        variance * (1 - np.diag(kernel(others, tried) @ inverse @ kernel(tried, others)))
    )
    assert [item.vector for item in found] == [others[n] for n in np.argsort(-means)]
    order = [others.index(item.vector) for item in found]
    np.testing.assert_allclose([item.drawn for item in found], means[order], rtol=1e-6)
    level = np.sort(goal), np.sort(values)
    np.testing.assert_allclose(
        [item.reward for item in found], np.interp(means[order], *level), rtol=1e-6
    )
    width = np.interp((means + spreads)[order], *level) - np.interp(
        (means - spreads)[order], *level
    )
    np.testing.assert_allclose([item.spread for item in found], width / 2, rtol=1e-5)


def test_draws_at_a_temperature_have_the_spread_of_the_process() -> None:
    tried, others = vectors(30)[:20], vectors(30)[20:]
    item = predictor_of({vector: worth(vector) for vector in tried})
    rng = np.random.default_rng(1)

    def drawn(temperature: float) -> np.ndarray:
        draws = [
            {found.vector: found.drawn for found in item.forecasts(others, rng, temperature)}
            for _ in range(300)
        ]
        return np.array([[draw[vector] for vector in others] for draw in draws])

    full, half = drawn(1.0).std(axis=0), drawn(0.5).std(axis=0)
    assert (full > 0.1).all()
    np.testing.assert_allclose(half, full / 2, rtol=0.2)
    assert drawn(0.0).std() == pytest.approx(drawn(0.0)[0].std())


def test_noise_is_found_where_rewards_are_noise() -> None:
    tried = vectors(200)
    exact = predictor_of({vector: worth(vector) for vector in tried})
    rng = np.random.default_rng(1)
    noise = predictor_of({vector: rng.normal() for vector in tried})
    assert exact._hyperparameters()[1] == min(room.NOISES)
    assert noise._hyperparameters()[1] == max(room.NOISES)


def test_a_failure_ranks_below_every_reward_and_is_no_reward() -> None:
    tried = vectors(24)
    item = predictor_of(
        {vector: None if vector[0] == 0 else -5.0 + worth(vector) for vector in tried}
    )
    found = item.forecasts(vectors(100, 2), np.random.default_rng(1), 0.0)
    half = len(found) // 2
    first, last = ([item.vector[0] for item in part] for part in (found[:half], found[half:]))
    assert first.count(0) < last.count(0) / 3
    assert all(-5 <= item.reward <= 1 for item in found)


def test_the_best_are_those_of_the_best_prediction_not_the_luckiest() -> None:
    tried = vectors(200)
    rewards: dict = {vector: worth(vector) for vector in tried}
    lucky = min(tried, key=worth)
    rewards[lucky] = 6.5
    best = predictor_of(rewards).best(5)
    assert lucky not in best
    assert all(worth(vector) >= 4 for vector in best)


def test_a_long_search_remembers_the_best_and_the_latest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "_MOST_REMEMBERED", 8)
    item, tried = Predictor(SIZES), vectors(20)
    for number, vector in enumerate(tried):
        item.add(vector, float(-number if number != 3 else 50))
    assert item._remembered() == [0, 1, 2, 3, 16, 17, 18, 19]
    assert len(item.forecasts(vectors(5, 2), np.random.default_rng(1), 0.3)) == 5


def test_refits_depend_on_results_not_on_when_they_are_asked_for() -> None:
    rewards = {vector: worth(vector) for vector in vectors(61)}
    often, once = Predictor(SIZES), predictor_of(rewards)
    for vector, reward in rewards.items():
        often.add(vector, reward)
        often.best(3)
    first, second = (
        item.forecasts(vectors(9, 2), np.random.default_rng(1), 0.3) for item in (often, once)
    )
    assert first == second


def test_the_choice_is_the_most_promising_that_is_worth_a_trial() -> None:
    settings = PredictorSettings(neighbours=0, climbs=0, temperature=0.0)
    searcher = PredictorSearcher(settings)
    searcher.start(Tokens(space(4)).tokens, 1)
    guide = Guide(searcher.config, searcher)
    for vector in itertools.product(range(4), repeat=2):
        guide.predictor.add((*vector, 0, 0), float(vector[0]))
    samples = [(3, 1, 1, 0), (2, 1, 1, 0), (0, 1, 1, 0)]
    assert guide.chosen(0, samples).vector == (3, 1, 1, 0)
    tried = (3, 0, 0, 0)
    assert guide.chosen(0, [tried, samples[2]]).vector == samples[2], "a better one was tried"
    assert guide.chosen(0, [tried]).vector == tried, "there is nothing new"
    searcher.is_worthwhile = lambda vector: vector[0] != 3
    assert guide.chosen(0, samples).vector == (2, 1, 1, 0)
    searcher.is_worthwhile = lambda vector: False
    assert guide.chosen(0, samples).vector == (3, 1, 1, 0), "the oracle reports it"


def test_neighbours_differ_in_one_to_three_tokens_and_are_new() -> None:
    searcher = PredictorSearcher(PredictorSettings())
    searcher.start(Tokens(space(8)).tokens, 1)
    parent = (1, 2, 3, 0, 1, 2, 3, 0)
    guide = Guide(searcher.config, searcher)
    found = guide._near([parent], 400, (1, 1, 2, 3), random.Random(1))
    changed = [sum(a != b for a, b in zip(parent, item, strict=True)) for item in found]
    assert {1, 2, 3} <= set(changed) <= {0, 1, 2, 3}
    assert 0.4 < changed.count(1) / 400 < 0.65
    for vector in found:
        guide.predictor.add(vector, 0.5)
    again = guide._near([parent], 50, (1,), random.Random(2))
    assert len(again) == 50
    assert not set(again) & set(found), "further away where all that is near was tried"


def test_climbing_reaches_what_no_candidate_had() -> None:
    def best(climbs: int) -> float:
        settings = PredictorSettings(climbs=climbs, neighbours=4, temperature=0.0)
        searcher = PredictorSearcher(settings)
        searcher.start(Tokens(space(8)).tokens, 1)
        guide, rng = Guide(settings, searcher), random.Random(1)
        for _ in range(80):
            vector = searcher.uniform(rng)
            guide.predictor.add(vector, float(vector.count(2)))
        samples = [searcher.uniform(rng) for _ in range(4)]
        return guide.chosen(0, samples).vector.count(2)

    assert best(0) < best(1) <= best(3)


def test_climbing_stays_among_what_is_worth_a_trial() -> None:
    searcher = PredictorSearcher(PredictorSettings(temperature=0.0))
    searcher.start(Tokens(space(8)).tokens, 1)
    searcher.is_worthwhile = lambda vector: vector[:3] == (0, 0, 0)
    guide, rng = Guide(searcher.config, searcher), random.Random(1)
    for _ in range(60):
        vector = (0, 0, 0, *searcher.uniform(rng)[3:])
        guide.predictor.add(vector, float(vector.count(2)))
    chosen = [guide.chosen(number, [searcher.uniform(rng)]).vector for number in range(10)]
    assert all(vector[:3] == (0, 0, 0) for vector in chosen)


def test_failures_alone_guide_nothing_and_equal_rewards_are_predicted() -> None:
    searcher = PredictorSearcher(PredictorSettings())
    searcher.start(Tokens(space(4)).tokens, 1)
    for number in range(15):
        proposal = searcher.propose(number)
        assert proposal.policy == {}
        searcher.learn_failure(proposal)
    searcher.learn(searcher.propose(15), 0.25)
    assert searcher.propose(16).policy["predicted"] == [0.25, 0.0]


def test_it_is_guided_from_a_number_of_results_on(tmp_path: Path) -> None:
    oracle = place(PredictorOracle(GOAL, 20, hyperparameters=space(), seed=1), tmp_path)
    drive(oracle)
    lines = [json.loads(line) for line in (tmp_path / "search" / NAME).read_text().splitlines()]
    policies = [line["policy"] for line in lines if line.get("kind") == "proposal"]
    assert ["predicted" in policy for policy in policies] == [False] * 12 + [True] * 8
    predicted, spread = policies[-1]["predicted"]
    assert predicted - spread >= 0
    assert predicted + spread <= 1


def test_the_policy_learns_from_what_the_predictor_chose(tmp_path: Path) -> None:
    small = {"units": 8, "guided_from": 4, "candidates": 3, "neighbours": 5}
    oracle = place(PPOOracle(GOAL, 12, hyperparameters=space(), seed=1, **small), tmp_path)
    predicted = []
    for number in range(8):
        trial = oracle.create_trial("a")
        policy = oracle._unfinished[trial.trial_id].policy
        assert set(policy) - {"predicted"} == {"log_probs", "version"}
        if "predicted" in policy:
            tokens = oracle._unfinished[trial.trial_id].tokens
            own = oracle.searcher._controller.log_probs(np.array([tokens]))
            np.testing.assert_allclose(policy["log_probs"], own[0], atol=1e-6)
        predicted.append("predicted" in policy)
        finish(oracle, trial, score(trial.hyperparameters.values))
        assert len(oracle.searcher._window) == min(number + 1, 8)
    assert predicted == [False] * 4 + [True] * 4


def test_a_guided_search_finds_more_than_evolution(tmp_path: Path) -> None:
    def mean(kind: type, seed: int) -> float:
        folder = tmp_path / f"{kind.__name__}-{seed}"
        oracle = place(kind(GOAL, 60, hyperparameters=space(12), seed=seed), folder)
        drive(oracle)
        return sum(score(values) for _, values, *_ in outcome(oracle)[-20:]) / 20

    seeds = range(3)
    guided, evolved = (
        sum(mean(kind, seed) for seed in seeds) for kind in (PredictorOracle, EvolutionOracle)
    )
    assert guided > evolved + 0.3


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({"guided_from": 0}, "guided_from is 0, expected an integer of 1 or more"),
        ({"candidates": True}, "candidates is True, expected an integer of 1 or more"),
        ({"neighbours": 1.5}, "neighbours is 1.5, expected an integer"),
        ({"neighbours": -1}, "neighbours is -1, expected 0 or more"),
        ({"temperature": -0.1}, "temperature is -0.1, expected 0 or more"),
    ],
)
def test_mistakes(given: dict, line: str) -> None:
    with pytest.raises(ValueError, match=line):
        PredictorOracle(GOAL, 1, **given)
    if given != {"guided_from": 0}:  # no predictor
        with pytest.raises(ValueError, match=line):
            PPOOracle(GOAL, 1, **given)
