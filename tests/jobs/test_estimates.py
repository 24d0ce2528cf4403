"""What a search takes is estimated from a few steps, and nothing of it stays."""

import random
from pathlib import Path

import pytest

from nas_tf import spaces
from nas_tf.config import load
from nas_tf.config.schema import Config
from nas_tf.errors import ConfigError, TrainingError
from nas_tf.jobs import estimates
from nas_tf.jobs.estimates import MEASURED, Estimate, estimate
from nas_tf.training import gate, guards
from nas_tf.training.shared_data import SharedData
from nas_tf.training.two_stage import TwoStage
from tests.prepared import with_shapes

SMALL = (
    *("network.width=8", "network.alpha=0.35", "network.weights=null", "precision=float32"),
    *("stage_one.views=2", "stage_one.epochs=3", "stage_one.batch=10", "stage_one.crop=[64,64]"),
    *("stage_one.distillation=0", "space={name: auxcell, blocks: 1, branches: 1}"),
)
STAGE_TWO = ("stage_two.epochs=2", "stage_two.batch=20", "stage_two.crop=[64,64]")


def small(*more: str) -> Config:
    return load("shapes_auxcell", [*SMALL, *more])


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = with_shapes(tmp_path, few=True)
    monkeypatch.setenv("NAS_TF_CACHE", str(folder))
    return folder


@pytest.mark.slow
def test_times_are_near_those_of_a_candidate_and_no_feature_stays(cache: Path) -> None:
    config, counts = small(*STAGE_TWO, "search.trials=7", "gate.policy=open"), []
    found = estimate(config, on_candidate=counts.append)
    assert not (cache / "features").exists()
    assert counts == [1, 2, 3]
    assert (found.trials, found.images, found.scored) == (7, 180, 20)
    assert len(found.stage_one) == len(found.stage_two) == MEASURED
    shared = SharedData(config)
    assert found.feature_bytes == pytest.approx(shared.train.size * 380 / 360, rel=1e-6)
    genotype = spaces.get(config.space).sample(random.Random(1))
    trial = TwoStage(config, shared).evaluate(genotype, gate.make(config.gate, 1))
    for stage, seconds in zip(trial.stages, (found.stage_one, found.stage_two), strict=True):
        actual = sum(stage.seconds.values())
        assert actual / 4 < min(seconds) <= max(seconds) < 4 * actual


def test_without_a_stage_two_a_search_has_one_duration(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(estimates, "MEASURED", 1)
    found = estimate(small("stage_two=null", "stage_one.image_share=0.2"))
    assert (found.images, found.stage_two) == (36, ())
    assert found.seconds()[0] == found.seconds()[1]


def test_workers_share_the_trials() -> None:
    found = Estimate(7, 10, 2, (3.0, 1.0, 2.0), (10.0, 30.0, 20.0), 8, 5.0, 9)
    assert found.seconds() == (5 + 7 * 2, 5 + 7 * 22)
    assert found.seconds(workers=2) == (5 + 4 * 2, 5 + 4 * 22)


def test_what_cannot_be_estimated_is_one_line(cache: Path) -> None:
    with pytest.raises(ConfigError, match="gradient, which prints the time"):
        estimate(load("shapes_denoise"))
    with pytest.raises(
        ConfigError, match=r"search\.supernet is \S+run, with which nothing is tra"
    ):
        estimate(load("shapes_denoise", ["search.oracle=random", "search.supernet=run"]))
    with pytest.raises(TrainingError, match="none of 20 random candidates could be trained: "):
        estimate(small("limits.params=10"))


@pytest.mark.slow
def test_a_candidate_that_fails_in_stage_two_is_not_measured(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def check_memory(_: object, __: object, batch: int) -> None:
        if batch == 20:
            raise guards.OverLimit("too large for stage two")

    monkeypatch.setattr(guards, "check_memory", check_memory)
    monkeypatch.setattr(estimates, "_SAMPLED", 2)
    with pytest.raises(TrainingError, match="could be trained: too large for stage two"):
        estimate(small(*STAGE_TWO))
