"""What ends a search from outside it is one line, whoever raised it."""

import json
import sys
from pathlib import Path

import click
import keras_tuner as kt
import pytest

from nas_tf.cli.kerastuner_oracles import Bayesian, Hyperband
from nas_tf.cli.search import _interrupted
from nas_tf.cli.search_run import _one_line
from nas_tf.errors import ConfigError, DataError, EnvironmentFault, NasTfError, TrainingError
from tuner_oracles.ledger import LedgerError, Unwritable
from tuner_oracles.tokens import SpaceError
from tuner_oracles.worker import ChiefLost


@pytest.mark.parametrize(
    ("raised", "expected", "line"),
    [
        (LedgerError("a/ledger.jsonl is damaged"), DataError, "a/ledger.jsonl is damaged"),
        (Unwritable(Path("a"), OSError(28, "full")), EnvironmentFault, "a can't be written: "),
        (TimeoutError("no worker was heard of"), EnvironmentFault, "the search in a ends: no wo"),
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
def test_it_is_an_error_a_person_meets(
    raised: Exception, expected: type[Exception], line: str
) -> None:
    with pytest.raises(NasTfError) as caught, _one_line(Path("a")):
        raise raised
    assert type(caught.value) is expected
    assert str(caught.value).startswith(line)


def test_a_defect_keeps_its_traceback() -> None:
    with pytest.raises(RuntimeError, match="a defect"), _one_line(Path("a")):
        raise RuntimeError("a defect")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["search", "mine.yaml", "a b=1"], "nas-tf search mine.yaml 'a b=1' --resume"),
        (["search", "mine.yaml", "--resume"], "nas-tf search mine.yaml --resume"),
        (["quickstart", "--out", "x"], "nas-tf quickstart --out x"),
    ],
)
def test_an_interrupted_search_tells_the_command_that_goes_on(
    arguments: list[str],
    told: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "argv", ["nas-tf", *arguments])
    assert isinstance(_interrupted(), click.exceptions.Exit)
    assert capsys.readouterr().err == f"stopped; go on with: {told}\n"


@pytest.mark.parametrize("kind", ["bayesian", "hyperband"])
def test_oracles_of_kerastuner_write_their_files_whole(kind: str, tmp_path: Path) -> None:
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
    whole = [(tmp_path / "run" / name).open() for name in names]
    oracle.update_trial(trial.trial_id, {"x": 1.0})
    trial.status = "COMPLETED"
    oracle.end_trial(trial)
    for file, name in zip(whole, names, strict=True):
        before = json.loads(file.read())  # a reader of the old file still has all of it
        assert before != json.loads((tmp_path / "run" / name).read_text())
        file.close()
