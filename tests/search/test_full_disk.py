"""A disk that fills up while a search writes its run's folder."""

import gc
from pathlib import Path
from typing import Any

import pytest

import tuner_oracles
from nas_tf import spaces
from nas_tf.errors import EnvironmentFault
from nas_tf.genotype import Genotype
from nas_tf.networks.arrays import layouts
from nas_tf.networks.state import from_arrays, initial_arrays
from nas_tf.runs import Run, TrialRecord, saved_arrays
from nas_tf.search import candidate_models
from nas_tf.search.hypermodel import OBJECTIVE
from tests.e2e.disk import small_files
from tests.search.quick import QuickEvaluator, QuickModel
from tests.search.searched import tuner
from tests.training.evaluated import experiment
from tests.training.small import drawn
from tuner_oracles.ledger import NAME, LedgerError


class _Writing(QuickModel):
    """Candidates that write on their way, as when their features are cached."""

    def evaluator(self, train_data: Any = None, progress: Any = None) -> Any:
        return _Writer(self.config(train_data), 0.0)


class _Writer(QuickEvaluator):
    def evaluate(self, genotype: Genotype, gate: Any, **more: Any) -> TrialRecord:
        Path("features").write_bytes(b"x" * 200_000)
        return super().evaluate(genotype, gate, **more)


@pytest.mark.parametrize(
    ("model", "size", "kind"),
    [
        (_Writing, 100_000, EnvironmentFault),
        (QuickModel, 1000, LedgerError),
    ],
)
def test_it_ends_the_search_and_is_no_trials_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: type[QuickModel], size: int, kind: type
) -> None:
    monkeypatch.chdir(tmp_path)
    config = experiment(search={"tensorboard": False})

    def search(trials: int) -> None:
        item = model.of(config, spaces.get(config.space))
        oracle = tuner_oracles.RandomOracle(OBJECTIVE, trials, seed=1)
        tuner_oracles.search(tuner(tmp_path / "run", oracle, item), verbose=0)

    search(2)
    with small_files(size), pytest.raises(kind, match=r"can't be written: .*; free"):
        search(4)
    assert [trial.status for trial in Run(tmp_path / "run").trials] == ["completed"] * 2
    released = '"kind":"release"' in (tmp_path / "run" / NAME).read_text()
    assert released == (kind is EnvironmentFault)
    search(4)
    assert [trial.status for trial in Run(tmp_path / "run").trials] == ["completed"] * 4
    assert not list(tmp_path.rglob(".part-*"))


def test_nothing_is_left_of_weights_that_do_not_fit(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    blueprint = drawn()
    state = from_arrays(layouts(blueprint), initial_arrays(blueprint, seed=1))
    message = r"weights/5\.npz can't be written: File too large; free some space"
    with small_files(100_000), pytest.raises(EnvironmentFault, match=message):
        candidate_models.save_arrays(tmp_path, "5", blueprint, state)
    gc.collect()
    assert not list((tmp_path / "weights").iterdir())
    assert "".join(capfd.readouterr()) == ""
    candidate_models.save_arrays(tmp_path, "5", blueprint, state)
    assert (
        saved_arrays.read_arrays(tmp_path, "5").keys()
        == candidate_models.trained_arrays(blueprint, state).keys()
    )
