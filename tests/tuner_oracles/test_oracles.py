"""The contract of every oracle, and the particular behaviour of each."""

from pathlib import Path

import keras_tuner as kt
import pytest

from tests.contracts.oracle_contract import OracleContract
from tests.sampling import times
from tests.tuner_oracles.searches import GOAL, drive, killed, outcome, place, score, space
from tuner_oracles import EvolutionOracle, NearBestOracle, PPOOracle, RandomOracle
from tuner_oracles.ledger import NAME


class TestRandom(OracleContract):
    oracle = RandomOracle


class TestNearBest(OracleContract):
    oracle = NearBestOracle

    def test_most_proposals_are_neighbours_of_the_best(self, tmp_path: Path) -> None:
        oracle = self.made(tmp_path, near=1.0, top=1)
        drive(oracle, 11)
        tried = outcome(oracle)
        for number in range(1, 11):
            best = max(result for *_, result in tried[:number])
            new = tried[number][1]
            assert any(
                sum(old[name] != new[name] for name in old) == 1
                for _, old, _, result in tried[:number]
                if result == best
            )

    def test_a_space_of_a_single_point_has_one_trial(self, tmp_path: Path) -> None:
        hp = kt.HyperParameters()
        hp.Fixed("width", 48)
        hp.Choice("op", ["v0"])
        oracle = place(NearBestOracle(GOAL, 9, hyperparameters=hp, seed=1, near=1.0), tmp_path)
        with pytest.warns(UserWarning, match="all 1 of the space's distinct feasible vectors"):
            drive(oracle)
        assert len(outcome(oracle)) == 1

    @pytest.mark.parametrize(
        ("given", "line"),
        [
            ({"near": 1.5}, "near is 1.5, expected a probability between 0 and 1"),
            ({"top": 0}, "top is 0, expected 1 or more"),
        ],
    )
    def test_mistakes(self, given: dict, line: str) -> None:
        with pytest.raises(ValueError, match=line):
            NearBestOracle(GOAL, 1, **given)


class TestEvolution(OracleContract):
    oracle = EvolutionOracle
    arguments = {"population": 8, "tournament": 3}  # noqa: RUF012

    def test_children_differ_from_a_population_member_in_one_token(self, tmp_path: Path) -> None:
        oracle = self.searched(tmp_path, 30)
        tried = [list(values.values()) for _, values, *_ in outcome(oracle)]
        for number in range(8, 30):
            population = tried[number - 8 : number]
            assert any(
                sum(a != b for a, b in zip(parent, tried[number], strict=True)) == 1
                for parent in population
            )

    @pytest.mark.parametrize(
        ("given", "line"),
        [
            ({"population": 1}, "population is 1, expected 2 or more"),
            ({"population": 8, "tournament": 9}, "tournament is 9, expected 1–8"),
        ],
    )
    def test_mistakes(self, given: dict, line: str) -> None:
        with pytest.raises(ValueError, match=line):
            EvolutionOracle(GOAL, 1, **given)


@pytest.mark.slow
class TestPPO(OracleContract):
    oracle = PPOOracle
    arguments = {"every": 4, "window": 8, "minibatch": 4, "passes": 2, "units": 16}  # noqa: RUF012
    # Each cut creates a controller, which takes seconds.
    every_cut = times(9, 31)

    def test_cut_while_it_repeats_itself_it_resumes_the_same(self, tmp_path: Path) -> None:
        given = {
            "hyperparameters": space(4, 3),
            "entropy": 0.0,
            "learning_rate": 0.05,
            "guided_from": 0,
        }
        complete = self.searched(tmp_path / "complete", 50, **given)
        lines = (tmp_path / "complete/search" / NAME).read_bytes().splitlines(keepends=True)
        known = [number for number, line in enumerate(lines, 1) if b'"kind":"known"' in line]
        assert len(known) > 40
        for cut in known[:: len(known) // times(8, 3)]:
            folder = tmp_path / str(cut)
            killed(tmp_path / "complete", folder, lines[:cut])
            assert outcome(self.searched(folder, 50, **given)) == outcome(complete), f"cut {cut}"


@pytest.mark.parametrize(
    ("oracle", "given"),
    [
        pytest.param(PPOOracle, {"every": 8, "window": 8, "minibatch": 8}, marks=pytest.mark.slow),
        (EvolutionOracle, {"population": 10, "tournament": 4}),
        (NearBestOracle, {}),
    ],
)
def test_oracles_that_learn_beat_random(tmp_path: Path, oracle: type, given: dict) -> None:
    def late_mean(kind: type, name: str, given: dict) -> float:
        item = place(kind(GOAL, 150, hyperparameters=space(10), seed=1, **given), tmp_path / name)
        drive(item)
        return sum(score(values) for _, values, *_ in outcome(item)[-50:]) / 50

    assert late_mean(oracle, "learns", given) > late_mean(RandomOracle, "random", {}) + 0.15
