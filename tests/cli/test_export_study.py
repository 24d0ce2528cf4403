"""A run written to an Optuna study, and read back by Optuna's own means."""

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from nas_tf import spaces
from nas_tf.cli.export_study import command
from nas_tf.errors import DataError
from tests.runs.recorded import run, trial

optuna = pytest.importorskip("optuna")

TRIALS = [
    trial(0, (0.30, 0.40), latency_ms=12.5),
    trial(1, (0.20,), stopped="gate"),
    trial(2, (), status="failed", stopped="9 parameters, the limit is 1"),
    trial(3, (0.35, 0.50)),
]


def exported(folder: Path, storage: str, *more: str) -> str:
    done = CliRunner().invoke(
        command, [str(folder), "--storage", storage, *more], catch_exceptions=False
    )
    return done.output


@pytest.fixture
def storage(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'study.db'}"


def test_everything_is_read_back_by_optuna(tmp_path: Path, storage: str) -> None:
    run(tmp_path / "camvid", TRIALS)
    assert exported(tmp_path / "camvid", storage) == (
        f"4 of 4 trials added to study camvid in {storage}\n"
    )
    study = optuna.load_study(study_name="camvid", storage=storage)
    states = [trial.state.name for trial in study.trials]
    assert states == ["COMPLETE", "PRUNED", "FAIL", "COMPLETE"]
    assert [trial.value for trial in study.trials] == [0.4, 0.2, None, 0.5]
    assert [trial.intermediate_values for trial in study.trials] == [
        {1: 0.3, 2: 0.4},
        {1: 0.2},
        {},
        {1: 0.35, 2: 0.5},
    ]
    space = spaces.get("auxcell")
    for record, exported_trial in zip(TRIALS, study.trials, strict=True):
        values = [exported_trial.params[token.name] for token in space.tokens]
        assert space.decode(values) == record.parsed
        for token in space.tokens:
            kind = exported_trial.distributions[token.name]
            assert kind == optuna.distributions.CategoricalDistribution(tuple(range(token.size)))
        attributes = exported_trial.user_attrs
        assert (attributes["trial"], attributes["genotype"]) == (record.trial, record.genotype)
        assert (attributes["params"], attributes["madds"]) == (record.params, record.madds)
        assert exported_trial.datetime_start.astimezone(UTC) == datetime.fromisoformat(
            record.started
        )
        assert exported_trial.duration.total_seconds() == 30
    assert study.trials[0].user_attrs["latency_ms"] == 12.5
    assert study.trials[0].user_attrs["mean_iou"] == 0.2
    assert study.trials[2].user_attrs["stopped"] == "9 parameters, the limit is 1"
    assert study.best_trial.number == 3
    assert study.user_attrs["oracle"] == "PPOOracle"


def test_optuna_computes_with_it(tmp_path: Path, storage: str) -> None:
    many = [trial(n, (n / 20, n / 16)) for n in range(12)]
    run(tmp_path / "camvid", many)
    exported(tmp_path / "camvid", storage)
    study = optuna.load_study(study_name="camvid", storage=storage)
    ranked = optuna.importance.get_param_importances(
        study, evaluator=optuna.importance.FanovaImportanceEvaluator(seed=1)
    )
    assert sum(ranked.values()) == pytest.approx(1)
    frame = study.trials_dataframe()
    assert list(frame["value"]) == [trial.reward for trial in many]
    proposed = study.ask({"free": optuna.distributions.FloatDistribution(0, 1)})
    assert proposed.number == 12


def test_called_again_it_adds_what_has_ended_since(tmp_path: Path, storage: str) -> None:
    run(tmp_path / "camvid", TRIALS[:3])
    exported(tmp_path / "camvid", storage)
    run(tmp_path / "camvid", TRIALS[3:])
    assert exported(tmp_path / "camvid", storage).startswith("1 of 4 trials added")
    assert exported(tmp_path / "camvid", storage).startswith("0 of 4 trials added")
    study = optuna.load_study(study_name="camvid", storage=storage)
    assert [trial.user_attrs["trial"] for trial in study.trials] == ["00", "01", "02", "03"]


def test_a_study_of_something_else_is_left_alone(tmp_path: Path, storage: str) -> None:
    run(tmp_path / "camvid", TRIALS)
    exported(tmp_path / "camvid", storage)
    run(tmp_path / "other" / "camvid", TRIALS, created="2026-02-03T04:05:06.000+00:00")
    with pytest.raises(DataError) as caught:
        exported(tmp_path / "other" / "camvid", storage)
    assert str(caught.value) == (
        f"study camvid in {storage} is of camvid, begun 2026-01-02T03:00:00.000+00:00, expected "
        "of camvid, begun 2026-02-03T04:05:06.000+00:00: give another --name"
    )
    assert "4 of 4" in exported(tmp_path / "other" / "camvid", storage, "--name", "second")
    optuna.create_study(study_name="own", storage=storage).add_trial(
        optuna.trial.create_trial(value=1.0)
    )
    with pytest.raises(DataError, match=r"study own in .* is of something else, expected of"):
        exported(tmp_path / "camvid", storage, "--name", "own")


@pytest.mark.parametrize("wrong", ["study.db", "sqlite:////no/such/folder/study.db"])
def test_a_storage_that_cannot_be_opened_is_one_line(tmp_path: Path, wrong: str) -> None:
    run(tmp_path / "camvid", TRIALS)
    with pytest.raises(DataError) as caught:
        exported(tmp_path / "camvid", wrong)
    message = str(caught.value)
    assert message.startswith(
        f"storage {wrong} can't be opened, expected such as sqlite:///study.db"
    )
    assert "\n" not in message


def test_without_optuna_it_says_how_to_get_it(tmp_path: Path) -> None:
    run(tmp_path / "camvid", TRIALS)
    code = "import sys; sys.modules['optuna'] = None; from nas_tf.cli import main; main()"
    arguments = ["export-study", str(tmp_path / "camvid"), "--storage", "sqlite:///study.db"]
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 4
    assert done.stderr.startswith("nas-tf: Optuna is not installed (")
    assert done.stderr.endswith("): pip install 'nas-tf[optuna]'\n")


def test_exporting_loads_no_tensorflow(tmp_path: Path) -> None:
    run(tmp_path / "camvid", TRIALS)
    code = (
        "import sys\n"
        "from nas_tf.cli.export_study import command\n"
        "command(sys.argv[1:], standalone_mode=False)\n"
        "print({'tensorflow', 'keras_tuner'} & set(sys.modules))"
    )
    arguments = [str(tmp_path / "camvid"), "--storage", "sqlite:///study.db"]
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.stdout.splitlines()[-1] == "set()", done.stderr
