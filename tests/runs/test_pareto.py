"""Fronts of costs that not every trial knows."""

from pathlib import Path

import pytest
from msgspec import structs

from nas_tf.errors import DataError
from nas_tf.runs import Run
from nas_tf.runs.trial_store import TrialStore
from tests.runs.made import made


def test_trials_without_latency_are_no_part_of_its_front(tmp_path: Path) -> None:
    made(tmp_path / "run", trials=12, latency=True)
    known = Run(tmp_path / "run").pareto("latency_ms")
    assert known
    best = structs.replace(known[-1], trial="unknown", latency_ms=None, score=9.0, reward=9.0)
    TrialStore(tmp_path / "run").add(best)
    run = Run(tmp_path / "run")
    assert run.pareto("latency_ms") == known
    assert run.pareto("params")[-1].trial == "unknown"
    made(tmp_path / "other", trials=5)
    assert Run(tmp_path / "other").pareto("latency_ms") == []


def test_a_run_may_be_named_by_a_string(tmp_path: Path) -> None:
    made(tmp_path / "run", trials=2)
    run = Run(str(tmp_path / "run"))
    assert run == Run(tmp_path / "run")
    assert len(run.best(2)) == 2
    with pytest.raises(DataError, match=r"none is not the folder of a search: it has no"):
        Run("none")


def test_the_table_has_score_and_latency(tmp_path: Path) -> None:
    made(tmp_path, trials=3, latency=True, failing=0)
    replace = structs.replace(Run(tmp_path).trials[0], trial="x", score=0.5, reward=0.25)
    TrialStore(tmp_path).add(replace)
    frame = Run(tmp_path).to_frame().set_index("trial")
    assert (frame.loc["x"].score, frame.loc["x"].reward) == (0.5, 0.25)
    assert frame.loc["x"].latency_ms == round(replace.latency_ms, 3)
