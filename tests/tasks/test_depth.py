import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from nas_tf.errors import ConfigError
from nas_tf.tasks import Depth, Outputs
from tests.contracts.task_contract import DenseTaskContract


class TestDepth(DenseTaskContract):
    task = Depth()

    def targets(self, seed: int, batch: int) -> tf.Tensor:
        rng = np.random.default_rng(seed)
        coarse = rng.uniform(0.5, 8, (batch, 8, 12)) * (rng.random((batch, 8, 12)) > 0.2)
        return tf.constant(coarse.repeat(4, 1).repeat(4, 2), tf.float32)

    def perfect(self, target: tf.Tensor) -> Outputs:
        return {"logits": target[..., None]}

    def outputs(self, seed: int, batch: int) -> Outputs:
        """Depths of rooms, which the steps of a file tell apart."""
        return {"logits": 1 + super().outputs(seed, batch)["logits"]}

    def without_truth(self, target: tf.Tensor) -> tf.Tensor:
        return tf.zeros_like(target)


@given(st.integers(0, 10_000))
def test_loss_and_figures_by_hand(seed: int) -> None:
    rng = np.random.default_rng(seed)
    true = (rng.uniform(0.3, 9, (2, 4, 5)) * (rng.random((2, 4, 5)) > 0.3)).astype(np.float32)
    given_depth = rng.uniform(0.05, 12, (2, 4, 5)).astype(np.float32)
    known = true > 0
    if not known.any():
        return
    t, p = true[known].astype(np.float64), given_depth[known].astype(np.float64)
    error = np.abs(t - p)
    bound = error.max() / 5
    expected_loss = np.mean(
        [e if e <= bound else (e * e + bound * bound) / (2 * bound) for e in error]
    )
    task = Depth()
    logits = tf.constant(given_depth[..., None])
    assert float(task.loss(tf.constant(true), {"logits": logits})) == pytest.approx(
        expected_loss, rel=1e-4
    )
    metrics = task.metrics()
    metrics.update(tf.constant(true), {"logits": logits}, (4, 5))
    ratio = np.maximum(t / p, p / t)
    assert metrics.result() == pytest.approx(
        {
            "rmse": np.sqrt(np.mean((t - p) ** 2)),
            "rmse_log": np.sqrt(np.mean((np.log(t) - np.log(p)) ** 2)),
            "abs_rel": np.mean(error / t),
            "sqr_rel": np.mean(error**2 / t),
            "delta1": np.mean(ratio < 1.25),
            "delta2": np.mean(ratio < 1.25**2),
            "delta3": np.mean(ratio < 1.25**3),
        },
        rel=1e-5,
    )


def test_berhu_is_continuous_where_it_changes_form_and_quadratic_beyond() -> None:
    task = Depth()
    errors = tf.constant([0.1, 0.2, 0.2001, 1.0])
    true = tf.fill((1, 1, 4), 5.0)

    def values() -> list[float]:
        losses = []
        for n in range(4):
            picked = tf.one_hot([[n, 3]], 4, on_value=True, off_value=False)
            mask = tf.reduce_any(picked, 1)[:, None]
            outputs = {"logits": (true + errors)[..., None]}
            losses.append(float(task.loss(tf.where(mask, true, 0.0), outputs)))
        return losses

    at_bound, past_bound, largest = values()[1], values()[2], values()[3]
    assert past_bound == pytest.approx(at_bound, abs=1e-3)
    assert largest == pytest.approx((1.0 + 0.04) / 0.4)


def test_no_gradient_comes_from_missing_pixels() -> None:
    true = tf.constant([[[0.0, 2.0]]])
    logits = tf.Variable([[[[9.0], [2.5]]]])
    with tf.GradientTape() as tape:
        loss = Depth().loss(true, {"logits": logits})
    gradient = tape.gradient(loss, logits).numpy().reshape(-1)
    assert gradient[0] == 0
    assert gradient[1] == pytest.approx(5.0)  # e / c with e = 0.5, c = 0.1


def test_predictions_are_bounded_before_they_are_scored() -> None:
    metrics = Depth(least=0.5, most=10).metrics()
    outputs = {"logits": tf.constant([[[[-3.0], [50.0]]]])}
    metrics.update(tf.ones((1, 1, 2)), outputs, (1, 2))
    assert metrics.result()["abs_rel"] == pytest.approx((0.5 + 9.0) / 2)


def test_bounds_in_the_wrong_order_are_named() -> None:
    with pytest.raises(ConfigError, match=r"^least is 2 and most 1, expected 0 < least < most$"):
        Depth(least=2, most=1)
