"""Training in float16: the factor of the loss, and steps whose gradients overflow."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from nas_tf.training.hardware import FLOAT16
from nas_tf.training.learner import Learner
from nas_tf.training.loss_scale import LossScale
from tests.training import small


def state_of(learner: Learner) -> list[np.ndarray]:
    """Everything that a step may change, but the factor of the loss."""
    tracked = learner.tracked
    vectors = [item for item in tracked.values() if isinstance(item, tf.Variable)]
    optimisers = [item for item in tracked.values() if not isinstance(item, tf.Variable)]
    own = {id(learner._scale.factor), id(learner._scale.steps)}
    moments = [variable for item in optimisers for variable in item.variables]
    return [
        item.numpy()
        for item in (*vectors, *moments)
        if id(item) not in own and "learning_rate" not in item.name
    ]


def test_the_factor_halves_at_an_overflow_and_doubles_after_two_thousand_steps() -> None:
    scale = LossScale()
    update = tf.function(scale.update)
    first = float(scale.factor)
    update(tf.constant(False))
    assert float(scale.factor) == first / 2
    for _ in range(1999):
        update(tf.constant(True))
    update(tf.constant(False))
    assert float(scale.factor) == first / 4
    for _ in range(2000):
        assert float(scale.factor) == first / 4
        update(tf.constant(True))
    assert float(scale.factor) == first / 2
    for _ in range(40):
        update(tf.constant(False))
    assert float(scale.factor) == 1.0


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_one_value_that_overflows_is_found(value: float) -> None:
    scale, good = LossScale(), tf.constant([1.0, 65504.0])
    assert bool(scale.finite([good, good]))
    assert not bool(scale.finite([good, tf.constant([0.0, value])]))


def test_a_step_that_overflows_changes_the_factor_alone() -> None:
    learner = small.learner(precision=FLOAT16, polyak=0.9)
    learner._scale.factor.assign(1e30)
    before, images = state_of(learner), small.batch()
    loss = float(learner.step(*images, small.RATES))
    assert np.isfinite(loss)
    assert float(learner._scale.factor) == pytest.approx(5e29)
    for found, value in zip(state_of(learner), before, strict=True):
        np.testing.assert_array_equal(found, value)
    learner._scale.factor.assign(1024.0)
    learner.step(*images, small.RATES)
    changed = [not np.array_equal(a, b) for a, b in zip(state_of(learner), before, strict=True)]
    assert all(changed)


def test_it_learns_as_in_float32() -> None:
    losses: dict[Any, list[float]] = {}
    for precision in (FLOAT16, small.FLOAT32):
        learner = small.learner(precision=precision)
        found = [float(learner.step(*small.batch(), small.RATES)) for _ in range(30)]
        losses[precision.compute] = found
    assert losses[tf.float16][0] == pytest.approx(losses[tf.float32][0], rel=0.01)
    assert losses[tf.float16][-1] == pytest.approx(losses[tf.float32][-1], rel=0.02)


def test_gradients_below_the_smallest_number_count() -> None:
    """A loss of a millionth, at a million times the rate, moves the weights as far."""
    moved = []
    for precision, factor in ((FLOAT16, 1e-6), (small.FLOAT32, 1.0)):
        parts = {"decoder": small.SGD}
        learner = small.learner(precision=precision, optimisers=parts)
        loss, before = learner.loss, learner.trainable["decoder"].numpy()
        learner.loss = lambda *given, by, loss=loss, factor=factor: factor * loss(*given, by=by)
        for _ in range(4 if factor < 1 else 1):
            learner.step(*small.batch(), {"decoder": 0.1 / factor})
            if not np.array_equal(learner.trainable["decoder"], before):
                break
        moved.append(learner.trainable["decoder"].numpy() - before)
    assert np.linalg.norm(moved[0] - moved[1]) < 0.05 * np.linalg.norm(moved[1])


def test_checkpoints_have_the_factor() -> None:
    assert {"loss_scale", "loss_scale_steps"} <= small.learner(precision=FLOAT16).tracked.keys()
    assert "loss_scale" not in small.learner().tracked
