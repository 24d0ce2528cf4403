"""Learning rates over a stage."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas_tf.config.schema import Schedule
from nas_tf.training.optimizers import learning_rate_factor


def test_poly_is_that_of_keras() -> None:
    from nas_tf import quiet

    keras = quiet.load("tensorflow").keras
    reference = keras.optimizers.schedules.PolynomialDecay(1.0, 40, 0.0, power=0.9)
    for step in range(41):
        factor = learning_rate_factor(Schedule(kind="poly"), step, 40)
        assert factor == pytest.approx(float(reference(step)), abs=1e-6)


def test_steps_fall_at_their_shares() -> None:
    schedule = Schedule(kind="step", at=(0.5, 0.75), factor=0.1)
    rates = [learning_rate_factor(schedule, step, 8) for step in range(8)]
    assert rates == pytest.approx([1] * 4 + [0.1] * 2 + [0.01] * 2)


def test_warmup_rises_and_then_the_schedule_holds() -> None:
    schedule = Schedule(warmup_steps=4)
    assert [learning_rate_factor(schedule, step, 8) for step in range(6)] == [
        0.25,
        0.5,
        0.75,
        1,
        1,
        1,
    ]


@given(st.sampled_from(["constant", "poly", "step"]), st.integers(1, 500), st.data())
def test_factors_stay_between_zero_and_one(kind: str, steps: int, data: st.DataObject) -> None:
    step = data.draw(st.integers(0, steps - 1))
    assert 0 < learning_rate_factor(Schedule(kind=kind, at=(0.5,)), step, steps) <= 1
