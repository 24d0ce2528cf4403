"""Errors that end a search from outside are one line, whichever library raised them."""

import json
import sys
from pathlib import Path

import click
import keras_tuner as kt
import pytest

import tuner_oracles
from nas_tf import spaces
from nas_tf.cli.search import _interrupted
from nas_tf.errors import ConfigError, DataError, EnvironmentFault, NasTfError, TrainingError
from nas_tf.jobs.oracles import Bayesian, Hyperband
from nas_tf.jobs.search import reporting_errors
from nas_tf.runs import Run
from nas_tf.search import warm_start
from nas_tf.search.hypermodel import OBJECTIVE
from tests.search.quick import QuickModel
from tests.search.searched import tuner
from tests.training.evaluated import experiment
from tuner_oracles.ledger import NAME, Busy, LedgerError, Lost, Unwritable
from tuner_oracles.tokens import SpaceError
from tuner_oracles.worker import ChiefLost


@pytest.mark.parametrize(
    ("raised", "expected", "line"),
    [
        (LedgerError("a/ledger.jsonl is closed"), DataError, "a/ledger.jsonl is closed"),
        (
            Busy("a/l"),
            DataError,
            "a/l is in use: another process is running this search; end it "
            "first, or give another folder with --out",
        ),
        (
            Lost("a/l is damaged"),
            DataError,
            "a/l is damaged; put back a copy of ledger.jsonl, or "
            "start another search from the best of this one: --warm-start a --out NEW instead of",
        ),
        (Unwritable(Path("a"), OSError(28, "full")), EnvironmentFault, "a can't be written: "),
        (TimeoutError("no worker has called"), EnvironmentFault, "the search in a ended: no wo"),
        (SpaceError("lr is continuous"), ConfigError, "lr is continuous"),
        (ChiefLost("the chief is gone"), NasTfError, "the chief is gone"),
        (json.JSONDecodeError("Expecting value", "", 0), DataError, "oracle.json or a trial.json"),
        (
            RuntimeError("Number of consecutive failures exceeded the limit of 10.\nnan"),
            TrainingError,
            "10 trials failed in a row; the last: nan",
        ),
    ],
)
def test_it_is_an_error_of_one_line(
    raised: Exception, expected: type[Exception], line: str
) -> None:
    with pytest.raises(NasTfError) as caught, reporting_errors(Path("a")):
        raise raised
    assert type(caught.value) is expected
    assert str(caught.value).startswith(line)


def test_a_defect_keeps_its_traceback() -> None:
    with pytest.raises(RuntimeError, match="a defect"), reporting_errors(Path("a")):
        raise RuntimeError("a defect")


@pytest.mark.parametrize(
    ("arguments", "command"),
    [
        (["search", "mine.yaml", "a b=1"], "nas-tf search mine.yaml 'a b=1' --resume"),
        (["search", "mine.yaml", "--resume"], "nas-tf search mine.yaml --resume"),
        (["quickstart", "--out", "x"], "nas-tf quickstart --out x"),
    ],
)
def test_an_interrupted_search_prints_the_command_that_resumes(
    arguments: list[str],
    command: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "argv", ["nas-tf", *arguments])
    assert isinstance(_interrupted(), click.exceptions.Exit)
    assert capsys.readouterr().err == f"stopped; resume with: {command}\n"


@pytest.mark.parametrize("kind", ["bayesian", "hyperband"])
def test_oracles_of_kerastuner_write_their_files_atomically(kind: str, tmp_path: Path) -> None:
    space = kt.HyperParameters()
    space.Choice("a", [1, 2, 3])
    options = {"objective": kt.Objective("x", "max"), "hyperparameters": space, "seed": 3}
    oracle = (
        Bayesian(max_trials=9, **options) if kind == "bayesian" else Hyperband(9, 4, **options)
    )
    oracle._set_project_dir(tmp_path, "run")
    trial = oracle.create_trial("tuner0")
    names = ["oracle.json", f"trial_{trial.trial_id}/trial.json"]
    oracle.save()
    opened = [(tmp_path / "run" / name).open() for name in names]
    oracle.update_trial(trial.trial_id, {"x": 1.0})
    trial.status = "COMPLETED"
    oracle.end_trial(trial)
    for file, name in zip(opened, names, strict=True):
        before = json.loads(file.read())  # a reader of the old file still has its whole content
        assert before != json.loads((tmp_path / "run" / name).read_text())
        file.close()


def test_a_run_without_its_ledger_can_start_another(tmp_path: Path) -> None:
    config = experiment(search={"tensorboard": False})
    space = spaces.get(config.space)
    model = QuickModel.of(config, space)

    def search(folder: Path, first: list[dict[str, int]] | None = None) -> None:
        oracle = tuner_oracles.RandomOracle(OBJECTIVE, 3, seed=1, first=first)
        tuner_oracles.search(tuner(folder, oracle, model), verbose=0)

    search(tmp_path / "run")
    (tmp_path / "run" / NAME).unlink()
    message = r"has no ledger\.jsonl: it was deleted.*--warm-start \S+run --out NEW"
    with pytest.raises(DataError, match=message), reporting_errors(tmp_path / "run"):
        search(tmp_path / "run")
    search(tmp_path / "new", warm_start.first(tmp_path / "run", space, 1))
    best = Run(tmp_path / "run").best()[0].parsed
    assert best in [trial.parsed for trial in Run(tmp_path / "new").trials]
