"""A genotype that its space refuses is never a trial of a search, and costs others nothing."""

import importlib.util
from collections import Counter
from pathlib import Path
from typing import Any

import keras_tuner as kt
import pytest

import tuner_oracles
from nas_tf import networks, spaces
from nas_tf.config.conflicts import KERASTUNERS_OWN
from nas_tf.config.oracles import ORACLES
from nas_tf.config.schema import Config
from nas_tf.errors import GenotypeError
from nas_tf.genotype import Genotype
from nas_tf.jobs.oracles import oracle_of
from nas_tf.runs import Run, TrialRecord
from nas_tf.training import gate
from nas_tf.training.two_stage import TwoStage
from tests.contracts.space_contract import refusing
from tests.search.quick import QuickEvaluator, QuickModel
from tests.search.searched import ONE_STAGE, Listed, hypermodel, tuner
from tests.training.evaluated import experiment

SPACE = refusing(spaces.get({"name": "auxcell", "blocks": 1, "branches": 1}))
REASON = "its digest is odd"
SMALLEST = "[[[0,3]],[2,[0,1,9,9]]]"


@pytest.fixture
def choosy(monkeypatch: pytest.MonkeyPatch) -> tuple[Genotype, Genotype]:
    """A space by name that refuses genotypes; a refused one, and one that is not."""
    monkeypatch.setitem(spaces.SPACES, "auxcell", type(SPACE))
    every = list(spaces.AuxCellSpace(blocks=1, branches=1).neighbours(spaces.resolve(SMALLEST)))
    refused = next(genotype for genotype in every if SPACE.refusal(genotype))
    return refused, next(genotype for genotype in every if not SPACE.refusal(genotype))


class Checked(TwoStage):
    """The evaluator but for the training of what is not refused, which costs nothing."""

    def __init__(self, config: Config) -> None:
        self.config = config

    def with_epochs(self, epochs: int) -> "Checked":
        return self

    def evaluate(self, genotype: Genotype, gate: Any, **more: Any) -> TrialRecord:
        if SPACE.refusal(genotype):
            return super().evaluate(genotype, gate, **more)
        return QuickEvaluator(self.config, 0.0).evaluate(genotype, gate)


class CheckedModel(QuickModel):
    """The HyperModel of that evaluator."""

    def evaluator(self, train_data: Any = None, progress: Any = None) -> Any:
        return Checked(self.config(train_data))


def searched(folder: Path, oracle: str) -> Run:
    """A search by the oracle of a configuration whose candidates cost nothing."""
    search = {"oracle": oracle, "trials": 24, "tensorboard": False}
    config = experiment(space=SPACE.section(), search=search)
    item = tuner(folder, oracle_of(config, SPACE), CheckedModel.of(config, SPACE))
    if oracle in KERASTUNERS_OWN:
        item.search(verbose=0)
    else:
        tuner_oracles.search(item, verbose=0)
    return Run(folder)


def skip_without_its_library(oracle: str) -> None:
    if oracle == "bayesian" and importlib.util.find_spec("sklearn") is None:
        pytest.skip("scikit-learn is not installed")


@pytest.mark.parametrize("oracle", [name for name in ORACLES if name != "gradient"])
def test_no_oracle_tries_any(oracle: str, tmp_path: Path) -> None:
    skip_without_its_library(oracle)
    run = searched(tmp_path / "run", oracle)
    assert [trial.status for trial in run.trials] == ["completed"] * 24
    assert all(SPACE.refusal(trial.parsed) is None for trial in run.trials)


class Limited(QuickEvaluator):
    """The evaluator of no cost, under which two thirds of all genotypes are over a limit."""

    def with_epochs(self, epochs: int) -> "Limited":
        return self

    def evaluate(self, genotype: Genotype, gate: Any, **more: Any) -> TrialRecord:
        if int(genotype.digest, 16) % 3:
            return TrialRecord.of(genotype, 0.0, stopped="over a limit", refused=True)
        return super().evaluate(genotype, gate, **more)


class LimitedModel(QuickModel):
    """The HyperModel of that evaluator."""

    def evaluator(self, train_data: Any = None, progress: Any = None) -> Any:
        return Limited(self.config(train_data), 0.0)


@pytest.mark.parametrize(
    "oracle",
    [
        pytest.param(name, marks=[pytest.mark.slow] * (name == "bayesian"))
        for name in KERASTUNERS_OWN
    ],
)
def test_an_oracle_of_kerastuner_learns_of_those_over_a_limit(
    oracle: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    skip_without_its_library(oracle)
    known, own = [], kt.oracles.BayesianOptimizationOracle._vectorize_trials

    def vectors(oracle: kt.Oracle) -> Any:
        x, y = own(oracle)
        known.append(len(y))
        return x, y

    monkeypatch.setattr(kt.oracles.BayesianOptimizationOracle, "_vectorize_trials", vectors)
    count = 45 if oracle == "hyperband" else 30  # a Gaussian process of each number of trials
    search = {"oracle": oracle, "trials": count, "tensorboard": False}
    small = {"name": "auxcell", "blocks": 1, "branches": 1}
    config = experiment(space=small, search=search, stage_one={"epochs": 9})
    space = spaces.get(config.space)
    item = tuner(tmp_path / "run", oracle_of(config, space), LimitedModel.of(config, space))
    item.search(verbose=0)
    trials = list(item.oracle.trials.values())
    statuses = Counter(trial.status for trial in trials)
    assert statuses.total() == count
    assert min(statuses["FAILED"], statuses["COMPLETED"]) >= 8
    if oracle == "hyperband":  # which promotes none while a bracket misses a result
        rounds = [trial.hyperparameters.values["tuner/round"] for trial in trials]
        assert sum(number > 0 for number in rounds) >= 8
    else:  # which proposes a point again while it does not know its result
        assert known[-1] == count - 1


def test_a_first_trial_that_is_refused_is_left_out(tmp_path: Path) -> None:
    config = experiment(space=SPACE.section(), search={"oracle": "random", "trials": 3})
    usual = spaces.get(SPACE.section())
    names = [token.name for token in SPACE.tokens]
    near = [spaces.resolve(SMALLEST), *usual.neighbours(spaces.resolve(SMALLEST))][:8]
    first = [dict(zip(names, usual.encode(genotype), strict=True)) for genotype in near]
    model = QuickModel.of(config, SPACE)
    item = tuner(tmp_path / "run", oracle_of(config, SPACE, first), model)
    tuner_oracles.search(item, verbose=0)
    accepted = [genotype for genotype in near if SPACE.refusal(genotype) is None]
    assert [trial.parsed for trial in Run(item.folder).trials] == accepted[:3]


def test_no_network_is_built_of_one(choosy: tuple[Genotype, Genotype]) -> None:
    refused, accepted = choosy
    with pytest.raises(GenotypeError) as caught:
        networks.blueprint_of(refused, 3, input_size=(64, 64))
    assert str(caught.value) == f"genotype {refused} cannot be built: {REASON}"
    networks.blueprint_of(accepted, 3, input_size=(64, 64))


def test_its_evaluation_fails_before_anything_is_computed(
    choosy: tuple[Genotype, Genotype],
) -> None:
    refused, _ = choosy
    config = experiment(space=SPACE.section())
    evaluator = Checked(config)  # with neither data nor features
    result = evaluator.evaluate(refused, gate.make(config.gate, 1), seed=7)
    assert (result.failed, result.refused, result.stopped) == (True, True, REASON)
    assert (result.score, result.stages, result.seed) == (0.0, (), 7)


@pytest.mark.slow
def test_a_tuner_of_kerastuner_fails_it_and_goes_on(
    choosy: tuple[Genotype, Genotype], tmp_path: Path
) -> None:
    model = hypermodel(**ONE_STAGE, space={"name": "auxcell", "blocks": 1, "branches": 1})
    item = kt.Tuner(oracle=Listed(list(choosy)), hypermodel=model, directory=tmp_path)
    item.search(verbose=0)
    trials = item.oracle.trials
    assert [trials[name].status for name in sorted(trials)] == ["FAILED", "COMPLETED"]
    assert f"refused: {REASON}" in trials["0"].message
