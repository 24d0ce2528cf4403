"""Training of a super-net: two halves, two recipes, and resumption to the bit."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import tensorflow as tf

from nas_tf.config.schema import Config, Schedule
from nas_tf.errors import DataError
from nas_tf.networks.supernet import ARCHITECTURE
from nas_tf.training.guards import Diverged
from nas_tf.training.optimizers import learning_rate_factor
from nas_tf.training.supernet_training import WEIGHTS, SuperNetTraining, halves
from tests.prepared import shared_cache
from tests.training.interrupted import interrupt_after

STEPS = 2


@pytest.fixture(scope="module", autouse=True)
def cache() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NAS_TF_CACHE", str(shared_cache()))
        yield


def config(**gradient: Any) -> Config:
    content = {
        "space": {"name": "restoration", "layers": 1, "nodes": 1},
        "data": {"name": "shapes_clean", "view": {"input": [16, 16]}},
        "degradation": {"noise": {"sigma": (30.0, 50.0)}},
        "search": {"oracle": "gradient"},
        "gradient": {
            **{"epochs": 3, "warmup_epochs": 1, "batch": 135, "crop": [16, 16], "width": 2},
            **gradient,
        },
        "precision": "float32",
    }
    return msgspec.convert(content, Config)


def vectors(training: SuperNetTraining) -> list[np.ndarray]:
    state = training.state
    return [part[name] for part in (state.trainable, state.statistics) for name in sorted(part)]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[dict, list]]:
    """The architecture and all vectors after each epoch."""
    training = SuperNetTraining(config(), tmp_path_factory.mktemp("undisturbed"))
    assert training.per_epoch == STEPS
    return [(vars(training.architecture).copy(), vectors(training)) for _ in training.epochs()]


def test_the_architecture_learns_after_the_warm_up_only(undisturbed: list) -> None:
    first, second, last = (architecture for architecture, _ in undisturbed)
    assert (first["alpha"] == 1).all()
    assert (first["beta"] == 1).all()
    for name in ("alpha", "beta"):
        assert (second[name] != 1).any()
        assert (last[name] != second[name]).any()
    weights = [each[0] for _, each in undisturbed]
    assert not np.array_equal(weights[0], weights[1])


@pytest.mark.slow
def test_a_training_killed_within_an_epoch_ends_with_the_same_bits(
    undisturbed: list, tmp_path: Path
) -> None:
    class Killed(Exception):
        pass

    training = SuperNetTraining(config(), tmp_path)

    def kill(done: int, loss: float) -> None:
        if done == 2 * STEPS - 1:  # in the second epoch, whose architecture steps have begun
            training.save()
            raise Killed

    with pytest.raises(Killed):
        for _ in training.epochs(kill):
            pass
    check_resumed(tmp_path, undisturbed)


def check_resumed(folder: Path, undisturbed: list) -> None:
    """Checks that a training which ended in its second epoch resumes to the same bits."""
    again = SuperNetTraining(config(), folder)
    assert again.resume()
    ends = [(end.epoch, end.steps_done) for end in again.epochs()]
    assert ends == [(1, 2 * STEPS), (2, 3 * STEPS)]
    for resumed, expected in zip(vectors(again), undisturbed[-1][1], strict=True):
        np.testing.assert_array_equal(resumed, expected)


@pytest.mark.quick(3)
@pytest.mark.parametrize("number", [3, 4, 6])
def test_ctrl_c_right_after_an_update_repeats_none(
    undisturbed: list, tmp_path: Path, number: int
) -> None:
    """After the warm-up's two updates, each of the architecture comes before one of weights."""
    training = SuperNetTraining(config(), tmp_path)
    interrupt_after(number, training._learner)
    with pytest.raises(KeyboardInterrupt):
        for _ in training.epochs():
            pass
    training.save()
    check_resumed(tmp_path, undisturbed)


def test_a_loss_that_is_not_finite_is_never_saved(tmp_path: Path) -> None:
    training = SuperNetTraining(config(weights={"learning_rate": 1e30}), tmp_path)
    with pytest.raises(Diverged, match="the loss of the"):
        for _ in training.epochs():
            pass
    saved = sorted(tmp_path.iterdir())
    training.save()
    assert sorted(tmp_path.iterdir()) == saved


def test_each_part_learns_from_its_own_half(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    training = SuperNetTraining(config(), tmp_path)
    first, second = halves(np.arange(540), 1)
    assert sorted([*first, *second]) == [*range(540)]
    assert (len(first), len(second)) == (270, 270)
    drawn, original = [], training._batches
    monkeypatch.setattr(
        training,
        "_batches",
        lambda half, start: drawn.append((half, start)) or original(half, start),
    )
    learner = training._learner

    def count(*batch: Any, by: str) -> float:
        learner._tallies[by].add(tf.constant(0.0))
        return 0.0

    monkeypatch.setattr(learner, "step", count)
    list(training.epochs())
    assert drawn == [(0, (0, 0)), (0, (1, 0)), (1, (0, 0)), (0, (2, 0)), (1, (1, 0))]
    assert {WEIGHTS, ARCHITECTURE} == set(training.parts)


def test_the_schedule_is_that_of_the_released_code() -> None:
    golden = json.loads((Path(__file__).parents[1] / "golden/restoration/hinas.json").read_text())
    rates = golden["schedules"]["search_lr_epochs_1_to_100"]
    schedule = Schedule(kind="cosine", cycles=10, least=0.04)
    ours = [0.025 * learning_rate_factor(schedule, epoch, 100) for epoch in range(1, 101)]
    np.testing.assert_allclose(ours, rates, rtol=1e-9)


def test_a_half_below_a_batch_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="batch is 271"):
        SuperNetTraining(config(batch=271), tmp_path)
