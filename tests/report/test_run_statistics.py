"""The numbers of a report, against the trials they come from."""

import json
from pathlib import Path

import numpy as np
import pytest

from nas_tf import spaces
from nas_tf.report.run_statistics import RunStatistics, running_mean
from nas_tf.runs import Run, filenames
from tests.runs.made import made, sampled

SPACES = ("auxcell", "template", "dpc")


@pytest.fixture(scope="module", params=SPACES)
def statistics(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> RunStatistics:
    return RunStatistics(
        made(tmp_path_factory.mktemp("runs") / "run", space=request.param, trials=60)
    )


def test_every_trial_has_one_end(statistics: RunStatistics) -> None:
    went_on = [trial for trial in statistics.completed if trial.stopped != "gate"]
    assert (
        len(statistics.gated) + len(went_on) + len(statistics.failed)
        == len(statistics.trials)
        == 60
    )
    assert statistics.failed
    assert statistics.gated
    assert statistics.x(statistics.trials) == list(range(1, 61))


def test_the_best_so_far_only_rises_and_ends_at_the_best(statistics: RunStatistics) -> None:
    assert (np.diff(statistics.best_so_far) >= 0).all()
    assert statistics.best_so_far[-1] == statistics.run.best()[0].reward


def test_the_running_mean_is_that_of_the_last() -> None:
    values = np.random.default_rng(1).normal(size=50)
    expected = [values[max(0, end - 7) : end].mean() for end in range(1, 51)]
    assert running_mean(values, 7) == pytest.approx(expected)


def test_the_bar_is_the_mean_before_each_trial(statistics: RunStatistics) -> None:
    firsts = statistics.stage_scores(0)
    numbers = statistics.x(statistics.completed)
    assert list(statistics.bar) == numbers[1:]
    for at in (1, 5, len(firsts) - 1):
        assert statistics.bar[numbers[at]] == pytest.approx(np.mean(firsts[:at]))


def test_the_bar_is_the_gate_s_own(tmp_path: Path) -> None:
    run = made(tmp_path / "run", trials=6, failing=0, gate=False)
    assert RunStatistics(run).bar == {}
    states = [("0002", 0.3), ("0000", 0.4), ("0009", 0.5), ("0001", 0.6)]
    for policy, expected in (("paper", {1: 0.3, 2: 0.5}), ("authors", {1: 0.4, 2: 0.6, 3: 0.3})):
        lines = [
            json.dumps({"trial": trial, "reward": 0.5, "goes_on": True, "state": state})
            for trial, state in ((item, {"policy": policy, "mean": mean}) for item, mean in states)
        ]
        (run.folder / filenames.GATE).write_text("\n".join([*lines, '{"trial": "00']))
        assert RunStatistics(Run(run.folder)).bar == expected


def test_a_trial_s_seconds_are_complete(statistics: RunStatistics) -> None:
    summed = sum(statistics.seconds.values())
    assert summed == pytest.approx([trial.seconds for trial in statistics.trials])


def test_shares_of_a_window_make_up_one(statistics: RunStatistics) -> None:
    for kind in statistics.shares:
        assert kind.shares.sum(axis=0) == pytest.approx(1.0), kind.kind
        assert kind.shares.shape == (len(kind.words), len(kind.edges) - 1)
        assert kind.edges[-1] == len(statistics.completed)


def test_an_effect_is_the_difference_of_means(statistics: RunStatistics) -> None:
    kind = statistics.shares[0]
    chosen = [
        spaces.get(trial.space).choices(trial.parsed)[kind.kind] for trial in statistics.completed
    ]
    rewards = np.array([trial.reward for trial in statistics.completed])
    for word, (effect, error) in zip(kind.words, kind.effects, strict=True):
        has = np.array([word in item for item in chosen])
        if min(has.sum(), (~has).sum()) < 2:
            assert np.isnan(effect)
        else:
            assert effect == pytest.approx(rewards[has].mean() - rewards[~has].mean())
            assert error > 0


@pytest.mark.parametrize("space", SPACES)
def test_choices_are_words_of_the_vocabulary(space: str) -> None:
    known = spaces.get(space).vocabulary
    for genotype in sampled(space, 50):
        for kind, words in spaces.get(space).choices(genotype).items():
            assert words or kind == "rates"
            if kind in known and kind != "connections":
                assert set(words) <= set(known[kind])


def test_rewards_by_output_stride_and_down_sampling_factor(tmp_path: Path) -> None:
    statistics = RunStatistics(made(tmp_path / "run", trials=30, space="template"))
    kinds = {kind.kind: kind for kind in statistics.shares}
    stride = kinds["output stride"]
    assert stride.words == ("stride 4", "stride 8", "stride 16")
    first = [trial for trial in statistics.completed if trial.output_stride == 4]
    rest = [trial.reward for trial in statistics.completed if trial.output_stride != 4]
    expected = np.mean([trial.reward for trial in first]) - np.mean(rest)
    assert stride.effects[0, 0] == pytest.approx(expected)
    assert kinds["down-sampling factors"].words == ("factor 1", "factor 2")
    chosen = spaces.get("template").choices(spaces.resolve("wacv-arch0"))
    assert chosen["down-sampling factors"] == ["factor 2", "factor 1", "factor 1"]


def test_the_choices_of_arch0() -> None:
    chosen = spaces.get("auxcell").choices(spaces.resolve("arch0"))
    assert chosen["operations"][:2] == ["sep5x5_rate6", "conv3x3_rate3"]
    assert chosen["connections"][-3:] == ["stride 16", "stride 32", "stride 4"]
