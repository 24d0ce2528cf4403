"""A search that starts from the best genotypes of another run."""

import json
import random
from pathlib import Path

import pytest

from nas_tf import spaces
from nas_tf.errors import ConfigError, DataError
from nas_tf.runs import Run
from nas_tf.search import OBJECTIVE, TwoStageTuner, warm_start
from tests.runs.made import made
from tests.search.quick import QuickModel
from tests.training.evaluated import experiment
from tuner_oracles import EvolutionOracle, PPOOracle

SPACE = spaces.get("auxcell")


def test_the_best_are_returned_as_values_of_their_tokens(tmp_path: Path) -> None:
    run = made(tmp_path / "before", trials=20)
    found = warm_start.first(run.folder, SPACE, 4)
    assert [SPACE.decode([*values.values()]) for values in found] == [
        item.parsed for item in run.best(4)
    ]
    assert len(warm_start.first(run.folder, SPACE, 99)) == len(run.completed)


def test_networks_that_were_tried_again_are_returned_once(tmp_path: Path) -> None:
    four = [SPACE.sample(random.Random(seed)) for seed in range(4)]
    run = made(tmp_path / "before", trials=20, genotypes=four * 5, failing=0)
    found = warm_start.first(run.folder, SPACE, 6)
    assert {SPACE.decode([*values.values()]) for values in found} == set(four)
    assert len(found) == 4


def test_a_damaged_trial_is_reported_with_its_file(tmp_path: Path) -> None:
    run = made(tmp_path / "before", trials=3, failing=0)
    path = run.folder / "trials" / f"{run.best()[0].trial}.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"genotype": "[[1,2],[3]]"}))
    with pytest.raises(DataError, match=rf"{path.name} holds no genotype of .*put back a copy"):
        warm_start.first(run.folder, SPACE, 3)


@pytest.mark.parametrize("oracle", [PPOOracle, EvolutionOracle])
def test_they_are_the_first_trials(tmp_path: Path, oracle: type) -> None:
    before = made(tmp_path / "before", trials=20)
    first = warm_start.first(before.folder, SPACE, 5)
    model = QuickModel.of(experiment(), SPACE)
    tuner = TwoStageTuner(
        model,
        oracle(OBJECTIVE, 8, seed=1, first=first),
        directory=tmp_path,
        project_name="after",
    )
    tuner.search(verbose=0)
    tried = [trial.parsed for trial in Run(tmp_path / "after").trials]
    assert tried[:5] == [item.parsed for item in before.best(5)]
    assert len(set(tried)) == 8


@pytest.mark.parametrize(
    ("space", "trials", "line"),
    [
        ("dpc", 3, "before searched space dpc, expected a run of auxcell to start from"),
        ("auxcell", 0, "before has no completed trial to start from"),
    ],
)
def test_a_run_that_is_of_no_use_is_reported(
    tmp_path: Path, space: str, trials: int, line: str
) -> None:
    run = made(tmp_path / "before", space=space, trials=trials)
    with pytest.raises(ConfigError, match=line):
        warm_start.first(run.folder, SPACE, 3)


def test_what_is_no_run_is_reported(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere is not the folder of a search"):
        warm_start.first(tmp_path / "nowhere", SPACE, 3)
