"""Searches by KerasTuner's own tuners, and by its own oracles under ours."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import keras_tuner as kt
import numpy as np
import pytest

from nas_tf import networks, spaces
from nas_tf.config import load
from nas_tf.errors import ConfigError, DataError, NasTfError
from nas_tf.jobs import trials
from nas_tf.jobs.oracles import Hyperband
from nas_tf.networks.arrays import layouts
from nas_tf.networks.state import from_arrays
from nas_tf.runs import Run, saved_arrays
from nas_tf.search import SearchHyperModel
from nas_tf.search.hypermodel import OBJECTIVE
from nas_tf.training import from_config as settled
from nas_tf.training.scoring import shipped
from tests.search.searched import (
    ONE_STAGE,
    TWO_STAGES,
    Listed,
    hypermodel,
    images,
    logits,
    random_oracle,
    rewarded,
    tuner,
)
from tests.training.evaluated import SIMPLE, SPACE

TUNERS = {
    "random": (kt.RandomSearch, {"max_trials": 2}),
    "bayesian": (kt.BayesianOptimization, {"max_trials": 3, "num_initial_points": 2}),
    "hyperband": (kt.Hyperband, {"max_epochs": 2, "factor": 2}),
}
ORACLES = {
    "random": lambda: random_oracle(2),
    "bayesian": lambda: kt.oracles.BayesianOptimizationOracle(
        OBJECTIVE, max_trials=3, num_initial_points=2, seed=5
    ),
    "hyperband": lambda: kt.oracles.HyperbandOracle(OBJECTIVE, max_epochs=2, factor=2, seed=5),
}
TRIALS = {"random": 2, "bayesian": 3, "hyperband": 5}
HALVED = [1, 1, 2, 2, 2]
TEMPLATE = {"name": "template", "templates": 1, "blocks": 1}
SPACES = {"auxcell": SPACE, "template": TEMPLATE, "dpc": {"name": "dpc", "branches": 2}}
LIGHT, HEAVY = str(SIMPLE), "[[[0,3]],[1,[0,1,9,9]]]"


def statuses(search: Any) -> list[str]:
    return [search.oracle.trials[name].status for name in sorted(search.oracle.trials)]


def quickest_first(names: Iterable[str]) -> list[Any]:
    """The first of them is always run, the others with the slow tests."""
    first, *others = names
    return [first, *(pytest.param(name, marks=pytest.mark.slow) for name in others)]


@pytest.mark.slow
@pytest.mark.parametrize("name", quickest_first(TUNERS))
def test_a_tuner_of_kerastuner_searches_and_loads_its_best(name: str, tmp_path: Path) -> None:
    make, options = TUNERS[name]
    model = hypermodel(space=TEMPLATE, **ONE_STAGE)
    item = make(model, objective=OBJECTIVE, seed=5, directory=tmp_path, **options)
    item.search(verbose=0)
    assert statuses(item) == ["COMPLETED"] * TRIALS[name]
    best = item.oracle.get_best_trials(1)[0]
    assert best.score == best.metrics.get_last_value("stage_1_score")
    assert best.metrics.get_last_value("params") > 0
    # Features are cached in half precision, so a few pixels may fall to another class.
    found = rewarded(item.get_best_models(1)[0], model.evaluator().shared)
    assert found == pytest.approx(best.score, abs=2e-3)


@pytest.mark.slow
def test_two_stages_under_random_search_are_those_of_its_checkpoint(tmp_path: Path) -> None:
    model = hypermodel(**TWO_STAGES)
    search = kt.RandomSearch(model, OBJECTIVE, max_trials=1, seed=5, directory=tmp_path)
    search.search(verbose=0)
    best = search.oracle.get_best_trials(1)[0]
    assert best.score == best.metrics.get_last_value("stage_2_reward")
    found = rewarded(search.get_best_models(1)[0], model.evaluator().shared)
    assert found == pytest.approx(best.score, abs=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", quickest_first(ORACLES))
def test_our_tuner_with_an_oracle_of_kerastuner(name: str, tmp_path: Path) -> None:
    model = hypermodel(space=TEMPLATE, **ONE_STAGE)
    item = tuner(tmp_path / "run", ORACLES[name](), model)
    item.search(verbose=0)
    assert statuses(item) == ["COMPLETED"] * TRIALS[name]
    table = item.results_dataframe()
    assert list(table["trial"]) == sorted(item.oracle.trials)
    steps = [trial.stages[0].steps for trial in Run(item.folder).trials]
    epochs = HALVED if name == "hyperband" else [1] * TRIALS[name]
    assert steps == [4 * epoch for epoch in epochs]
    best, second = item.best_genotypes(2)
    assert str(best) == table.sort_values("reward", ascending=False)["genotype"].iloc[0]
    assert model.genotype(item.get_best_hyperparameters(1)[0]) == best
    assert second in [trial.parsed for trial in Run(item.folder).trials]
    found = rewarded(item.get_best_models(1)[0], model.evaluator().shared)
    assert found == pytest.approx(table["reward"].max(), abs=2e-3)
    record = Run(item.folder).best()[0]
    cost = networks.cost(trials.blueprint_of(Run(item.folder), record).deployed())
    assert (cost.params, cost.madds) == (record.params, record.madds)


@pytest.mark.slow
@pytest.mark.parametrize("space", quickest_first(SPACES))
def test_the_model_predicts_what_the_candidate_predicted(space: str, tmp_path: Path) -> None:
    changes: dict[str, Any] = {"space": SPACES[space]}
    if space == "dpc":
        changes["network"] = {"width": 16}
        changes["stage_one"] = {"epochs": 1, "views": 1, "batch": 128, "crop": [65, 65]}
    model = hypermodel(**{**TWO_STAGES, **changes})
    item = tuner(tmp_path / "run", random_oracle(1), model)
    item.search(verbose=0)
    reread = SearchHyperModel(spaces.get(SPACES[space]))
    again = tuner(item.folder, random_oracle(1), reread)
    keras_model = again.get_best_models(1)[0]
    shared, genotype = model.evaluator().shared, again.best_genotypes()[0]
    blueprint = settled.blueprint_builder(shared.config, genotype, "search")(
        shared.reward_view.crop
    )
    state = from_arrays(layouts(blueprint), saved_arrays.read_arrays(item.folder, "0"))
    seen = images(shared)
    predicted = shipped(blueprint, state)(seen)["logits"].numpy()
    assert np.abs(logits(keras_model, seen) - predicted).max() < 1e-5
    assert rewarded(keras_model, shared) == pytest.approx(
        Run(item.folder).trials[0].reward, abs=1e-5
    )


def under_both(folder: Path, genotypes: list[str], model: SearchHyperModel) -> list[Any]:
    """Finished searches of the same trials: by our tuner, and by KerasTuner's."""
    ours = tuner(folder / "ours", Listed(genotypes), model)
    theirs = kt.Tuner(
        oracle=Listed(genotypes), hypermodel=model, directory=folder, project_name="theirs"
    )
    for item in (ours, theirs):
        item.search(verbose=0)
    return [ours, theirs]


@pytest.mark.slow
def test_a_candidate_over_a_limit_costs_only_itself(tmp_path: Path) -> None:
    model = hypermodel(**ONE_STAGE, limits={"params": 253_000})
    both = under_both(tmp_path, [HEAVY, LIGHT], model)
    for item in both:
        assert statuses(item) == ["FAILED", "COMPLETED"]
        assert "refused: 253,281 parameters" in item.oracle.trials["0"].message
        assert model.genotype(item.get_best_hyperparameters(1)[0]) == spaces.resolve(LIGHT)
        assert len(item.get_best_models(1)) == 1
    table = both[0].results_dataframe()
    assert list(table["status"]) == ["failed", "completed"]
    assert table["stopped"][0] == "253,281 parameters, the limit is 253,000"


@pytest.mark.slow
def test_candidates_that_diverge_fail_with_their_reason(tmp_path: Path) -> None:
    steep = {"learning_rate": 1e30, "clip": None}
    model = hypermodel(**{**ONE_STAGE, "stage_one": {**ONE_STAGE["stage_one"], "decoder": steep}})
    for item in under_both(tmp_path, [HEAVY, LIGHT], model):
        assert statuses(item) == ["FAILED", "FAILED"]
        for trial in item.oracle.trials.values():
            assert "the loss is nan at step" in trial.message
    trials = Run(tmp_path / "ours").trials
    assert [trial.status for trial in trials] == ["failed", "failed"]
    assert all(trial.stopped.startswith("the loss is nan at step") for trial in trials)


@pytest.mark.slow
def test_a_crash_is_recorded_and_costs_only_itself(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken: list[int] = []

    def observer(what: str, step: int, total: int, loss: float) -> None:
        if not broken:
            broken.append(step)
            raise ValueError("a cable came loose\nand more")

    item = tuner(
        tmp_path / "run", Listed([LIGHT, LIGHT]), hypermodel(**ONE_STAGE), observer=observer
    )
    item.search(verbose=0)
    assert statuses(item) == ["FAILED", "COMPLETED"]
    assert "a cable came loose" in item.oracle.trials["0"].message
    first, second = Run(item.folder).trials
    assert (first.status, first.stopped) == ("failed", "ValueError: a cable came loose")
    assert second.status == "completed"
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.quick(2)
@pytest.mark.parametrize("ours", [True, False])
def test_a_mistake_is_no_failing_candidate(ours: bool, tmp_path: Path) -> None:
    model = hypermodel(**ONE_STAGE, data={"name": "camvid"})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NAS_TF_DATA", str(tmp_path / "nowhere"))
        if ours:
            with pytest.raises(DataError, match="camvid"):
                tuner(tmp_path / "run", random_oracle(2), model).search(verbose=0)
        else:
            search = kt.RandomSearch(model, OBJECTIVE, max_trials=2, directory=tmp_path)
            with pytest.raises(kt.errors.FatalError, match="camvid"):
                search.search(verbose=0)


@pytest.mark.slow
def test_weights_that_were_not_saved_are_reported(tmp_path: Path) -> None:
    item = tuner(
        tmp_path / "run", Listed([LIGHT, HEAVY]), hypermodel(**ONE_STAGE), saved_weights=1
    )
    item.search(verbose=0)
    assert len(item.get_best_models(1)) == 1
    with pytest.raises(NasTfError, match=r"the weights of trial \d are not saved: those of the"):
        item.get_best_models(2)


@pytest.mark.slow
def test_a_search_killed_within_its_first_trial_resumes_with_it(tmp_path: Path) -> None:
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    model = hypermodel(**ONE_STAGE)
    first = tuner(tmp_path / "run", random_oracle(2), model, observer=interrupted)
    with pytest.raises(KeyboardInterrupt):
        first.search(verbose=0)
    second = tuner(tmp_path / "run", random_oracle(2), model)
    second.search(verbose=0)
    assert statuses(second) == ["COMPLETED"] * 2
    started = first.oracle.trials["0"].hyperparameters.values
    assert second.oracle.trials["0"].hyperparameters.values == started


def played(oracle: kt.Oracle) -> list[int]:
    """The epochs of all trials an oracle proposes; scores grow with the number of a trial."""
    epochs = []
    while (trial := oracle.create_trial("tuner0")).status == "RUNNING":
        epochs.append(trial.hyperparameters.values["tuner/epochs"])
        oracle.update_trial(trial.trial_id, {"val_reward": float(len(oracle.trials))})
        trial.status = "COMPLETED"
        oracle.end_trial(trial)
    return epochs


def test_weights_are_those_given_else_the_configuration_s_else_imagenet() -> None:
    space, own = spaces.get("auxcell"), load("shapes_auxcell", ["network.weights=mine.h5"])
    found = [
        SearchHyperModel(space, config=own).config(),
        SearchHyperModel(space, config=own, weights=None).config(),
        SearchHyperModel(space, config=own, weights="other.h5").config(),
        SearchHyperModel(space).config("shapes"),
    ]
    here = Path.cwd()
    assert [item.network.weights for item in found] == [
        *(f"{here}/mine.h5", None, f"{here}/other.h5", "imagenet")
    ]


def test_drawn_weights_bring_their_width_unless_a_configuration_gives_one() -> None:
    space = spaces.get("auxcell")
    network = SearchHyperModel(space, weights="drawn").config("shapes").network
    assert (network.weights, network.alpha) == ("drawn", 0.35)
    wide = SearchHyperModel(space, weights="drawn", config=load("camvid_auxcell"))
    with pytest.raises(ConfigError, match="weights is drawn, expected encoder mobilenet_v2"):
        wide.check()


def test_hyperband_sweeps_until_the_budget_is_spent(tmp_path: Path) -> None:
    def make(trials: int) -> kt.Oracle:
        space = kt.HyperParameters()
        spaces_hyper = SearchHyperModel(spaces.get("auxcell"))
        spaces_hyper.declare_hyperparameters(space)
        space.values = {}
        oracle = Hyperband(trials, 5, objective=OBJECTIVE, hyperparameters=space, seed=3)
        oracle._set_project_dir(tmp_path, "oracle")
        return oracle

    first = make(13)
    sweep = [2, 2, 2, 2, 2, 5, 5, 5, 5, 5]
    assert played(first) == [*sweep, 2, 2, 2]
    first.save()
    again = make(20)
    again.reload()
    assert played(again) == [2, 2, *sweep[5:]]
    assert json.loads((tmp_path / "oracle" / "oracle.json").read_text())["max_epochs"] == 5
