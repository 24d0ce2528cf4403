"""The use of rewards by PPO: baseline, late results, failures, repeats."""

import itertools
from pathlib import Path
from statistics import NormalDist

import numpy as np
import pytest

from tests.tuner_oracles.searches import GOAL, drive, finish, outcome, place, space
from tuner_oracles import PPOOracle
from tuner_oracles.ppo import PRESETS, Baseline, PPOSearcher, PPOSettings
from tuner_oracles.searcher import Proposal
from tuner_oracles.tokens import Tokens

SMALL = {"units": 8, "window": 4, "every": 4, "minibatch": 4, "passes": 1}


def searcher(**given: object) -> PPOSearcher:
    item = PPOSearcher(PPOSettings(**(SMALL | {"max_lag": 2} | given)))
    item.start(Tokens(space(4)).tokens, 1)
    return item


def test_the_papers_settings() -> None:
    paper = PRESETS["paper"]
    assert (paper.units, paper.layers, paper.clip, paper.learning_rate) == (100, 2, 0.1, 1e-4)
    assert (paper.baseline_decay, paper.window, paper.every, paper.entropy) == (0.95, 100, 1, 0)


def test_the_baseline_follows_rewards_and_starts_with_the_first() -> None:
    baseline = Baseline(0.95)
    baseline.update(2.0)
    assert (baseline.mean, baseline.spread) == (2.0, 1.0)
    baseline.update(3.0)
    assert baseline.mean == pytest.approx(2.05)
    rng = np.random.default_rng(0)
    for reward in rng.normal(5, 0.5, 4000):
        baseline.update(reward)
    assert baseline.mean == pytest.approx(5, abs=0.3)
    assert baseline.spread == pytest.approx(0.5, rel=0.4)


def test_an_update_follows_every_fourth_result() -> None:
    item = searcher()
    versions = []
    for number in range(9):
        item.learn(item.propose(number), 0.5)
        versions.append(item.version)
    assert versions == [0, 0, 0, 1, 1, 1, 1, 2, 2]


def test_each_pass_trains_on_the_whole_window_in_another_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    item, seen = searcher(window=8, every=8, minibatch=2, passes=3), []
    batch = item._batch

    def noted(episodes: list) -> object:
        seen.append([episode.reward for episode in episodes])
        return batch(episodes)

    monkeypatch.setattr(item, "_batch", noted)
    for number in range(8):
        item.learn(item.propose(number), float(number))
    passes = [list(itertools.chain(*seen[first : first + 4])) for first in (0, 4, 8)]
    assert [sorted(each) for each in passes] == [[float(number) for number in range(8)]] * 3
    assert len({tuple(each) for each in passes}) == 3


def test_results_of_an_outdated_policy_are_dropped() -> None:
    item = searcher()
    late = item.propose(0)
    assert late.policy["version"] == 0
    for number in range(1, 13):
        item.learn(item.propose(number), 0.5)
        if number == 8:
            assert item.version == 2
            item.learn(late, 0.5)
    assert (item.version, item.dropped) == (3, 0)
    item.learn(late, 9.0)
    assert item.dropped == 1


@pytest.mark.parametrize("scaled", [False, True])
def test_advantages_are_rewards_less_the_baseline_by_its_spread_if_wanted(scaled: bool) -> None:
    item = searcher(scale_rewards=scaled)
    rewards = np.array([0.2, 0.9, 0.4])
    for number, reward in enumerate(rewards):
        item.learn(item.propose(number), reward)
    spread = item.baseline.spread
    assert 0 < spread < 0.5
    expected = (rewards - item.baseline.mean) / (spread if scaled else 1.0)
    np.testing.assert_allclose(item._batch(list(item._window)).advantages, expected)


def test_advantages_by_rank_are_normal_scores_among_the_latest_rewards() -> None:
    item = searcher(ranked=5, window=8, every=8)
    for number, reward in enumerate((0.9, 0.1, 0.5, 0.06, 0.5, 0.6)):
        item.learn(item.propose(number), reward)
    item.learn_failure(item.propose(6))
    batch = item._batch(list(item._window))
    # The latest five are 0.5, 0.06, 0.5, 0.6 and the failure.
    below = [4.5, 1 + 1, 2 + 1, 1 + 0.5, 2 + 1, 4 + 0.5, 0.5]
    expected = [NormalDist().inv_cdf(rank / 5) for rank in below]
    np.testing.assert_allclose(batch.advantages, expected, atol=1e-9)


def test_late_results_are_weighed_against_the_policy_that_proposed_them(tmp_path: Path) -> None:
    """The first update uses the proposing policy's log-probabilities, in any order of results."""
    oracle = place(PPOOracle(GOAL, 100, hyperparameters=space(), seed=2, **SMALL), tmp_path)
    running = [oracle.create_trial(f"worker-{index}") for index in range(8)]
    for index, trial in enumerate(reversed(running)):
        finish(oracle, trial, index / 8)
    assert oracle.searcher.version == 2
    second = list(oracle.searcher._window)
    assert [episode.reward for episode in second] == [0.5, 0.625, 0.75, 0.875]
    fresh = PPOOracle(GOAL, 100, hyperparameters=space(), seed=2, **SMALL)
    place(fresh, tmp_path / "fresh").create_trial("a")
    untrained = fresh.searcher._controller.log_probs(np.array([item.tokens for item in second]))
    np.testing.assert_allclose([item.log_probs for item in second], untrained, atol=1e-6)


def test_a_failure_is_worse_than_every_reward_and_leaves_the_baseline() -> None:
    item = searcher(window=8, minibatch=4, every=8)
    item.learn_failure(item.propose(0))
    assert not item._window, "nothing to compare with yet"
    for number, reward in enumerate((0.4, 0.6, 0.5)):
        item.learn(item.propose(number), reward)
    before = item.baseline.mean
    item.learn_failure(item.propose(9))
    assert item.baseline.mean == before
    spread = item.baseline.spread
    *_, failed = item._batch(list(item._window)).advantages
    assert failed == pytest.approx(0.4 - spread - before)
    item.learn(item.propose(10), -7.0)
    *_, failed, worst = item._batch(list(item._window)).advantages
    assert failed < worst, "also below rewards that came later"


def test_a_failure_among_equal_rewards_is_discouraged() -> None:
    item = searcher()
    for number in range(3):
        item.learn(item.propose(number), -2.5)
    item.learn_failure(item.propose(3))
    assert item.version == 1
    np.testing.assert_allclose(item._batch(list(item._window)).advantages, [0, 0, 0, -1])


def test_repeats_teach_less_each_time_and_make_up_half_of_an_update() -> None:
    item = searcher(window=8, minibatch=4, every=8, repeat_cost=0.5)
    for number, reward in enumerate((0.4, 0.6)):
        item.learn(item.propose(number), reward)
    spread = item.baseline.spread
    again = item.propose(5)
    for _ in range(6):
        item.learn(again, 0.6, known=True)
    rewards = [episode.reward for episode in item._window][2:]
    assert len(rewards) == 4, "half of eight"
    assert rewards[0] == pytest.approx(0.6 - 0.5 * spread, abs=0.02)
    assert rewards == sorted(rewards, reverse=True)


def test_a_proposal_without_a_policy_teaches_nothing() -> None:
    item = searcher()
    item.learn(Proposal((0, 0, 0, 0)), 1.0)
    assert not item._window


def test_vectors_to_try_first_teach_as_its_own_samples_do() -> None:
    item = searcher(passes=20, learning_rate=0.01)
    drawn = item.propose(0)
    assert item.as_proposal(drawn.tokens).policy == {
        "log_probs": pytest.approx(drawn.policy["log_probs"], abs=1e-5),
        "version": 0,
    }
    good, bad = (1, 2, 3, 0), (0, 0, 0, 3)
    before = item.as_proposal(good).policy["log_probs"]
    for vector in (bad, good, bad, good):
        item.learn(item.as_proposal(vector), float(vector == good))
    assert item.version == 1
    assert sum(item.as_proposal(good).policy["log_probs"]) > sum(before) + 0.1


def test_the_policy_learns_from_what_the_predictor_expects(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """All results are equal, and the predictor expects more of one value of the first token."""
    given = {"guided_from": 2, "ranked": 16, "learning_rate": 0.05, "candidates": 2, "climbs": 0}
    share = {}
    for imagined in (0, 32):
        item = searcher(imagined=imagined, **given)
        monkeypatch.setattr(
            item._guide, "rewards", lambda vectors: np.array([float(v[0] == 2) for v in vectors])
        )
        for number in range(48):
            item.learn(item.propose(number), 0.5)
        tokens, _ = item._controller.sample([(number, 9, 9) for number in range(200)])
        share[imagined] = (tokens[:, 0] == 2).mean()
    assert share[32] > share[0] + 0.3


@pytest.mark.slow
@pytest.mark.parametrize("more", [{}, {"guided_from": 6, "imagined": 4}])
def test_without_its_checkpoint_the_ledger_is_enough(tmp_path: Path, more: dict) -> None:
    def created(folder: Path) -> PPOOracle:
        settings = SMALL | more
        return place(PPOOracle(GOAL, 46, hyperparameters=space(), seed=2, **settings), folder)

    complete = created(tmp_path / "complete")
    drive(complete)
    for name, spoil in (("absent", Path.unlink), ("damaged", lambda path: path.write_bytes(b""))):
        folder = tmp_path / name
        drive(created(folder), 42)
        checkpoints = sorted((folder / "search").glob("controller-*.npz"))
        assert len(checkpoints) == 2
        for path in checkpoints:
            spoil(path)
        again = created(folder)
        drive(again)
        assert outcome(again) == outcome(complete)


@pytest.mark.slow
def test_warming_up_changes_nothing(tmp_path: Path) -> None:
    plain, warm = (
        place(PPOOracle(GOAL, 20, hyperparameters=space(), seed=2, **SMALL), tmp_path / name)
        for name in ("plain", "warm")
    )
    warm.warm_up()
    for oracle in (plain, warm):
        drive(oracle)
    assert outcome(plain) == outcome(warm)


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({"preset": "slow"}, "preset is 'slow', expected 'fast' or 'paper'"),
        ({"clip": 0}, "clip is 0, expected a number above 0"),
        ({"window": 0}, "window is 0, expected an integer of 1 or more"),
        ({"minibatch": 32}, "minibatch is 32, expected at most the window of 8"),
        ({"baseline_decay": 1.0}, "baseline_decay is 1.0, expected 0 up to 1"),
        ({"imagined": 4, "guided_from": 0}, "imagined is 4, expected 0, as guided_from is 0"),
        ({"imagined": -1}, "imagined is -1, expected a number of 0 or more"),
        ({"entropy": -0.1}, "entropy is -0.1, expected a number of 0 or more"),
        ({"seed": -1}, "seed is -1, expected an integer of 0 or more"),
        ({"duplicates": "never"}, "duplicates is 'never', expected 'avoid' or 'run'"),
        ({"heartbeat_timeout": 0}, "heartbeat_timeout is 0, expected seconds above 0"),
    ],
)
def test_mistakes(given: dict, line: str) -> None:
    with pytest.raises(ValueError, match=line):
        PPOOracle(GOAL, 1, **given)
