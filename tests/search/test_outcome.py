"""Trials that never wrote their own record are recorded all the same."""

import multiprocessing
import os
from pathlib import Path

import pytest

from nas_tf import spaces
from nas_tf.errors import ConfigError, EnvironmentFault
from nas_tf.runs import Run, filenames
from nas_tf.search.outcome import unrecorded_failures
from nas_tf.search.tuner import TwoStageTuner
from tests.runs.made import made
from tests.search.searched import ONE_STAGE, hypermodel, random_oracle, tuner
from tests.training.evaluated import SPACE


def oracle(trials: int = 2) -> object:
    import tuner_oracles
    from nas_tf.search.hypermodel import OBJECTIVE

    return tuner_oracles.RandomOracle(OBJECTIVE, trials, seed=5)


def dying(folder: Path) -> None:
    """A search whose process dies within its first trial."""
    item = tuner(folder, oracle(1), hypermodel(**ONE_STAGE), observer=lambda *_: os._exit(9))
    item.search(verbose=0)


@pytest.mark.slow
def test_a_trial_whose_process_died_too_often_is_recorded_as_failed(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    spawn = multiprocessing.get_context("spawn")
    for _ in range(3):
        process = spawn.Process(target=dying, args=(folder,))
        process.start()
        process.join()
        assert process.exitcode == 9
    assert Run(folder).trials == []
    tuner(folder, oracle(1), hypermodel(**ONE_STAGE)).search(verbose=0)
    (lost,) = Run(folder).trials
    assert (lost.status, lost.reward) == ("failed", 0.0)
    assert lost.stopped == "the process that ran it died 3 times"
    assert spaces.get(SPACE).parse(lost.genotype) == lost.parsed
    assert (folder / filenames.TABLE).read_text().count("died 3 times") == 1
    assert list(unrecorded_failures(folder, spaces.get(SPACE), 0.0)) == []


@pytest.mark.slow
def test_what_cannot_be_written_is_not_the_candidate_s_failure(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    item = tuner(folder, oracle(), hypermodel(**ONE_STAGE))
    (folder / filenames.WEIGHTS).write_text("in the way")
    with pytest.raises(EnvironmentFault, match=r"run can't be written: .*weights"):
        item.search(verbose=0)
    assert Run(folder).trials == []
    (folder / filenames.WEIGHTS).unlink()
    again: TwoStageTuner = tuner(folder, oracle(), hypermodel(**ONE_STAGE))
    again.search(verbose=0)
    assert [trial.status for trial in Run(folder).trials] == ["completed"] * 2


def test_a_run_is_not_gone_on_with_under_another_configuration(tmp_path: Path) -> None:
    run = made(tmp_path / "run", trials=2)
    item = tuner(run.folder, random_oracle(3), hypermodel(**ONE_STAGE))
    kept = (run.folder / filenames.CONFIG).read_bytes()
    with pytest.raises(ConfigError, match=r"run was started with \S+=.*, now it is .*: give"):
        item.search(verbose=0)
    assert (run.folder / filenames.CONFIG).read_bytes() == kept
