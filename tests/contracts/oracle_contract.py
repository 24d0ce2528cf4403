"""The contract of every oracle of this package; an oracle's test class inherits the suite."""

import json
from pathlib import Path
from typing import Any

import keras_tuner as kt
import pytest

from tests.sampling import times
from tests.tuner_oracles.searches import GOAL, drive, finish, killed, outcome, place, score, space
from tuner_oracles.ledger import NAME, LedgerError
from tuner_oracles.searcher import Proposal
from tuner_oracles.tokens import SpaceError


class OracleContract:
    oracle: type
    arguments: dict[str, Any] = {}  # noqa: RUF012
    every_cut = times(1, 4)

    def made(self, folder: Path, trials: int = 30, **more: Any) -> Any:
        given = {"hyperparameters": space(), "seed": 7} | self.arguments | more
        return place(self.oracle(GOAL, trials, **given), folder)

    def searched(self, folder: Path, trials: int = 30, **more: Any) -> Any:
        oracle = self.made(folder, trials, **more)
        drive(oracle)
        return oracle

    def test_every_trial_is_in_the_space_and_new(self, tmp_path: Path) -> None:
        tried = [values for _, values, *_ in outcome(self.searched(tmp_path))]
        assert len({tuple(values.values()) for values in tried}) == 30
        for values in tried:
            assert list(values) == [*(f"op{index}" for index in range(6)), "width"]
            assert values["width"] == 48

    def test_same_seed_same_search(self, tmp_path: Path) -> None:
        first, again, other = (
            outcome(self.searched(tmp_path / name, seed=seed))
            for name, seed in (("a", 7), ("b", 7), ("c", 8))
        )
        assert first == again
        assert first != other

    def test_cut_anywhere_it_resumes_the_same(self, tmp_path: Path) -> None:
        """A ledger that ends after any record: as if the process was killed there."""
        complete = self.searched(tmp_path / "complete")
        lines = (tmp_path / "complete/search" / NAME).read_bytes().splitlines(keepends=True)
        for cut in range(1, len(lines), self.every_cut):
            folder = tmp_path / str(cut)
            killed(tmp_path / "complete", folder, lines[:cut])
            assert outcome(self.searched(folder)) == outcome(complete), f"cut after record {cut}"

    def test_values_given_are_tried_first_and_need_not_be_given_again(
        self, tmp_path: Path
    ) -> None:
        given = [{f"op{index}": f"v{value}" for index in range(6)} for value in (3, 1, 3)]
        complete = self.searched(tmp_path / "complete", first=given)
        tried = [[*values.values()] for _, values, *_ in outcome(complete)]
        assert tried[:2] == [["v3"] * 6 + [48], ["v1"] * 6 + [48]]
        assert len({tuple(item) for item in tried}) == 30
        lines = (tmp_path / "complete/search" / NAME).read_bytes().splitlines(keepends=True)
        again = {"first": given}
        for cut, more in ((0, again), (2, again), (2, {}), (5, {"first": []}), (20, again)):
            folder = tmp_path / f"{cut}{len(more)}"
            killed(tmp_path / "complete", folder, lines[:cut])
            assert outcome(self.searched(folder, **more)) == outcome(complete)

    def test_of_values_given_the_same_and_the_infeasible_are_left_out(
        self, tmp_path: Path
    ) -> None:
        a, b, c = ({f"op{index}": f"v{value}" for index in range(6)} for value in range(3))
        oracle = self.searched(
            tmp_path, 3, first=[a] * 40 + [b, a, c], feasible=lambda item: item["op0"] != "v1"
        )
        tried = [values["op0"] for _, values, *_ in outcome(oracle)]
        assert tried[:2] == ["v0", "v2"]

    def test_values_outside_of_the_space_are_refused_before_it_starts(
        self, tmp_path: Path
    ) -> None:
        good = {f"op{index}": "v0" for index in range(6)}
        for wrong, line in (
            ({"op4": "v9"}, "'op4' is 'v9', expected one of 'v0', 'v1', 'v2', 'v3'"),
            ({"width": 64}, "'width' is 64, expected 48"),
            ({"typo": 5}, "there is no hyperparameter 'typo'"),
        ):
            oracle = self.made(tmp_path, first=[good, good | wrong])
            with pytest.raises(SpaceError, match=f"first: entry 2 of 2: .*{line}"):
                oracle.create_trial("a")
        assert not list(tmp_path.rglob("trial_*"))

    def test_other_values_to_try_first_are_another_search(self, tmp_path: Path) -> None:
        self.searched(tmp_path, 3)
        oracle = self.made(tmp_path, 4, first=[{f"op{index}": "v0" for index in range(6)}])
        with pytest.raises(
            LedgerError, match="started with other values to try first: give those"
        ):
            oracle.reload()

    def test_a_late_result_counts_once(self, tmp_path: Path) -> None:
        oracle = self.made(tmp_path, 4)
        early, late = oracle.create_trial("a"), oracle.create_trial("b")
        finish(oracle, late, 0.5)
        finish(oracle, early, 0.25)
        finish(oracle, late, 0.75)
        assert [trial.score for trial in oracle.trials.values()] == [0.25, 0.5]
        assert oracle.end_order == [late.trial_id, early.trial_id]

    def test_failures_cost_only_themselves(self, tmp_path: Path) -> None:
        oracle = self.made(tmp_path, 40, max_consecutive_failed_trials=None)
        for number in range(40):
            trial = oracle.create_trial("a")
            if number % 3:
                trial.status, trial.message = "FAILED", "out of memory"
                oracle.end_trial(trial)
            else:
                finish(oracle, trial, score(trial.hyperparameters.values))
        statuses = [trial.status for trial in oracle.trials.values()]
        assert statuses.count("COMPLETED") == 14
        assert statuses.count("FAILED") == 26
        assert oracle.get_best_trials()[0].score == max(
            trial.score for trial in oracle.trials.values() if trial.score is not None
        )

    @pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
    def test_a_score_that_is_no_number_fails_the_trial(self, tmp_path: Path, value: float) -> None:
        oracle = self.made(tmp_path, 3)
        trial = oracle.create_trial("a")
        finish(oracle, trial, value)
        assert oracle.trials[trial.trial_id].status == "FAILED"
        assert oracle.trials[trial.trial_id].message == f"score is {value}"
        json.loads(
            (tmp_path / f"search/trial_{trial.trial_id}/trial.json").read_text(),
            parse_constant=pytest.fail,
        )
        drive(oracle)
        assert len(oracle.trials) == 3

    def test_the_smallest_space_is_exhausted_then_the_search_stops(self, tmp_path: Path) -> None:
        oracle = self.made(tmp_path, 100, hyperparameters=space(2, 3))
        with pytest.warns(
            UserWarning, match="the search stops: all 9 of the space's distinct feasible"
        ):
            drive(oracle)
        assert len(oracle.trials) == 9

    def test_infeasible_proposals_are_not_tried(self, tmp_path: Path) -> None:
        oracle = self.searched(tmp_path, feasible=lambda values: values["op0"] != "v1")
        assert all(values["op0"] != "v1" for _, values, *_ in outcome(oracle))
        assert oracle.proposals.refused > 0

    def test_of_which_half_is_infeasible_it_tries_the_other_and_resumes_the_same(
        self, tmp_path: Path
    ) -> None:
        def even(values: dict[str, Any]) -> bool:
            """Refuses half of all vectors, and every neighbour of a feasible one in one step."""
            return sum(int(values[f"op{index}"][1]) for index in range(6)) % 2 == 0

        given = {"feasible": even}
        complete = self.searched(tmp_path / "complete", **given)
        assert all(even(values) for _, values, *_ in outcome(complete))
        assert len(complete.trials) == 30
        assert complete.proposals.refused > 5
        lines = (tmp_path / "complete/search" / NAME).read_bytes().splitlines(keepends=True)
        for cut in range(1, len(lines), 4 * self.every_cut):
            folder = tmp_path / str(cut)
            killed(tmp_path / "complete", folder, lines[:cut])
            assert outcome(self.searched(folder, **given)) == outcome(complete), f"cut at {cut}"

    @pytest.mark.sampled(5)  # each range with an oracle of its own, PPO among them
    @pytest.mark.parametrize(("low", "high"), [(-3.2, -0.1), (1e-9, 4e-9), (-2.0, -2.0)])
    def test_a_failure_is_below_every_score_of_any_range(
        self, tmp_path: Path, low: float, high: float
    ) -> None:
        oracle = self.made(tmp_path, 30)
        for number in range(30):
            trial = oracle.create_trial("a")
            if number % 3 == 1:
                trial.status, trial.message = "FAILED", "out of memory"
                oracle.end_trial(trial)
            else:
                share = score(trial.hyperparameters.values)
                finish(oracle, trial, low + share * (high - low))
        ranked = [trial.score for trial in oracle.get_best_trials(30)]
        assert ranked[:20] == sorted(ranked[:20], reverse=True)
        assert ranked[20:] == [None] * 10

    def test_a_small_feasible_part_is_found_by_the_searchers_own_samples(
        self, tmp_path: Path
    ) -> None:
        def rare(values: dict[str, Any]) -> bool:
            return (values["op0"], values["op4"], values["op8"]) == ("v1", "v2", "v0")

        oracle = self.searched(tmp_path, 50, hyperparameters=space(9), feasible=rare)
        assert len(oracle.trials) == 50
        assert all(rare(values) for _, values, *_ in outcome(oracle))

    def test_a_search_that_found_no_more_states_the_numbers(self, tmp_path: Path) -> None:
        def rare(values: dict[str, Any]) -> bool:
            return all(values[f"op{index}"] == "v0" for index in range(1, 9))

        given = {"hyperparameters": space(9), "feasible": rare}
        oracle = self.made(tmp_path, 5, **given)
        start = Proposal((0,) * 9)
        oracle.searcher.propose = lambda number: start
        with pytest.warns(UserWarning, match="the search stops: 4 vectors were tried, and of the"):
            drive(oracle)
        assert len(oracle.trials) == 4

    def test_equal_networks_are_tried_once(self, tmp_path: Path) -> None:
        def key(values: dict[str, Any]) -> tuple:
            return tuple(sorted(values[f"op{index}"] for index in range(6)))

        oracle = self.searched(tmp_path, canonical=key)
        keys = [key(values) for _, values, *_ in outcome(oracle)]
        assert len(set(keys)) == len(keys) == 30

    def test_duplicates_are_run_on_request(self, tmp_path: Path) -> None:
        oracle = self.searched(tmp_path, 60, hyperparameters=space(2, 2), duplicates="run")
        assert len(oracle.trials) == 60

    def test_the_last_trials_run_the_best_again_on_request(self, tmp_path: Path) -> None:
        complete = self.searched(tmp_path / "complete", 20, second_runs=5)
        first, last = outcome(complete)[:15], outcome(complete)[15:]
        best = sorted(first, key=lambda trial: -trial[3])[:5]
        assert [values for _, values, *_ in last] == [values for _, values, *_ in best]
        assert len({tuple(values.values()) for _, values, *_ in first}) == 15
        lines = (tmp_path / "complete/search" / NAME).read_bytes().splitlines(keepends=True)
        for cut in (-2, -5, -9, -16):
            folder = tmp_path / str(cut)
            killed(tmp_path / "complete", folder, lines[:cut])
            assert outcome(self.searched(folder, 20, second_runs=5)) == outcome(complete)

    def test_a_budget_can_be_raised(self, tmp_path: Path) -> None:
        self.searched(tmp_path, 9)
        more = outcome(self.searched(tmp_path, 30))
        assert [rest for _, *rest in more] == [
            rest for _, *rest in outcome(self.searched(tmp_path / "at_once", 30))
        ]

    def test_it_resumes_only_as_it_started(self, tmp_path: Path) -> None:
        drive(self.made(tmp_path), 2)
        with pytest.raises(LedgerError, match="was started with seed 7, now it is 8: use 7"):
            drive(self.made(tmp_path, seed=8))
        with pytest.raises(SpaceError, match=r"another space: hyperparameter 'op5' was \['v0'"):
            drive(self.made(tmp_path, hyperparameters=space(5)))
        drive(self.made(tmp_path, seed=None), 1)

    def test_it_minimises_too(self, tmp_path: Path) -> None:
        oracle = place(
            self.oracle(
                kt.Objective("score", "min"), 20, hyperparameters=space(), seed=7, **self.arguments
            ),
            tmp_path,
        )
        drive(oracle)
        scores = [trial.score for trial in oracle.trials.values()]
        assert oracle.get_best_trials()[0].score == min(scores)
