"""Both policies against sequences worked out by hand."""

import json

import numpy as np
import pytest

from nas_tf.config.schema import Gate
from nas_tf.errors import DataError
from nas_tf.training import gate


def random_numbers(seed: int, count: int) -> list[float]:
    return [float(np.random.default_rng((seed, n)).random()) for n in range(count)]


@pytest.mark.parametrize("seed", range(12))
def test_the_paper_lets_better_than_the_mean_pass_and_others_by_chance(seed: int) -> None:
    """These seeds have random numbers between each probability and the next."""
    rewards = [0.4, 0.6, 0.3, 0.45, 0.2, 0.5]
    # Means of the rewards before each: -, 0.4, 0.5, 0.4333, 0.4375, 0.39
    better = [True, True, False, True, False, True]
    paper = gate.make(Gate(policy="paper", probability=0.5, anneal=0.5), seed=seed)
    chances, probability, expected = random_numbers(seed, 6), 0.5, []
    for passes, chance in zip(better, chances, strict=True):
        expected.append(passes or chance < probability)
        probability *= 1.0 if passes else 0.5
    assert [paper.admits(reward) for reward in rewards] == expected
    assert paper.mean == pytest.approx(np.mean(rewards))
    assert paper.probability == 0.125


@pytest.mark.parametrize(("probability", "passes"), [(0.0, False), (1.0, True)])
def test_the_probability_decides_about_the_weak(probability: float, passes: bool) -> None:
    paper = gate.make(Gate(probability=probability, anneal=1.0), seed=1)
    assert paper.admits(0.9)
    assert [paper.admits(0.1) for _ in range(5)] == [passes] * 5


def test_the_authors_ratio_test() -> None:
    rewards, authors = [0.5, 0.004, 0.012, 0.3], gate.make(Gate(policy="authors"), seed=7)
    mean, expected = 0.01, []
    for reward, chance in zip(rewards, random_numbers(7, 4), strict=True):
        mean = 0.99 * mean + 0.01 * reward
        expected.append(reward > mean or reward > mean * (1 - 0.9 * chance))
    assert [authors.admits(reward) for reward in rewards] == expected
    # 0.5 and 0.3 pass and count twice, the others once: the released code's milestones go by it.
    assert authors.count == 6
    assert authors.mean == pytest.approx(mean)


def test_the_authors_slack_falls_at_milestones_it_does_not_jump_over() -> None:
    authors = gate.make(Gate(policy="authors"), seed=1)
    authors.restore({**authors.state(), "count": 99})
    authors.admits(0.0)
    assert (authors.count, authors.slack) == (100, 0.9)
    authors.admits(0.0)
    assert (authors.count, authors.slack) == (101, pytest.approx(0.81))
    authors.restore({**authors.state(), "count": 199})
    authors.admits(1.0)
    authors.admits(0.0)
    assert (authors.count, authors.slack) == (202, pytest.approx(0.81))


def test_open_admits_every_candidate() -> None:
    opened = gate.make(Gate(policy="open"), seed=1)
    assert all(opened.admits(reward) for reward in (0.9, 0.0, 0.5))


@pytest.mark.parametrize("policy", ["paper", "authors", "open"])
def test_a_restored_gate_decides_as_the_undisturbed_one(policy: str) -> None:
    rewards = np.random.default_rng(1).random(60) * 0.5
    settings = Gate(policy=policy, probability=0.6)
    undisturbed = gate.make(settings, seed=5)
    expected = [undisturbed.admits(reward) for reward in rewards]
    first = gate.make(settings, seed=5)
    decisions = [first.admits(reward) for reward in rewards[:25]]
    second = gate.make(settings, seed=99)
    second.restore(json.loads(json.dumps(first.state())))
    decisions += [second.admits(reward) for reward in rewards[25:]]
    assert decisions == expected
    assert second.state() == undisturbed.state()


def test_a_state_of_another_policy_is_refused() -> None:
    with pytest.raises(DataError) as error:
        gate.make(Gate(), seed=1).restore(gate.make(Gate(policy="open"), seed=1).state())
    assert str(error.value) == "gate state is of policy 'open', expected 'paper' as configured"
