"""Restoration: the published loss and figures, padding, and pictures of any size."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from nas_tf.errors import ConfigError
from nas_tf.tasks import Outputs, Restoration
from nas_tf.tasks import restoration_metrics as figures
from tests.contracts.task_contract import DenseTaskContract

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "restoration" / "quality.npz")


class TestRestoration(DenseTaskContract):
    task = Restoration(3)
    updates_in_graph = False

    def targets(self, seed: int, batch: int) -> tf.Tensor:
        """Smooth pictures with a padded border."""
        rough = tf.random.stateless_uniform((batch, 4, 6, 3), (seed, 2), -1, 1)
        clean = tf.clip_by_value(tf.image.resize(rough, self.size, "bicubic"), -1, 1).numpy()
        clean[:, :3], clean[:, :, 40:] = -2, -2
        return tf.constant(clean)

    def perfect(self, target: tf.Tensor) -> Outputs:
        return {"logits": (target + 1) / 2}

    def outputs(self, seed: int, batch: int) -> Outputs:
        return {"logits": tf.random.stateless_uniform((batch, *self.size, 3), (seed, 1))}

    def without_truth(self, target: tf.Tensor) -> tf.Tensor:
        return tf.fill(target.shape, -2.0)

    def test_an_answer_scores_as_its_outputs_do(self) -> None:
        """But for the rounding to bytes."""
        target, outputs = self.targets(3, 3), self.outputs(3, 3)
        metrics, expected = self.task.metrics(), self.task.metrics()
        metrics.add(target, self.answer(outputs))
        expected.update(target, outputs, self.size)
        assert metrics.result() == pytest.approx(expected.result(), rel=1e-3, abs=1e-3)

    def test_what_is_painted_is_the_restored_picture_whatever_the_opacity(self) -> None:
        answer = self.part(self.answer(self.outputs(7, 1)), 0)
        image = np.zeros((*self.size, 3), np.uint8)
        painted = self.task.paint(image, answer, opacity=0.5)
        np.testing.assert_array_equal(painted, self.task.coloured(answer["restored"]))

    def test_an_answer_may_keep_the_size_of_the_map(self) -> None:
        outputs = self.outputs(7, 1)
        found = self.task.answer(outputs, None)["restored"]
        np.testing.assert_array_equal(found, self.answer(outputs)["restored"])
        (name,) = self.task.signatures()
        floats = self.task.signatures()[name](outputs)["restored"]
        np.testing.assert_array_equal(tf.round(floats), tf.cast(found, tf.float32))

    def test_stored_targets_have_values_of_the_encoded_ones(self) -> None:
        encoded = self.task.encode(self.targets(6, 2), self.size)
        assert np.isin(self.task.stored(encoded, (8, 12)), encoded).all()


class TestGreyRestoration(TestRestoration):
    task = Restoration(1)

    def perfect(self, target: tf.Tensor) -> Outputs:
        return {"logits": (target[..., :1] + 1) / 2}

    def targets(self, seed: int, batch: int) -> tf.Tensor:
        return tf.repeat(super().targets(seed, batch)[..., :1], 3, axis=-1)

    def outputs(self, seed: int, batch: int) -> Outputs:
        return {"logits": super().outputs(seed, batch)["logits"][..., :1]}


def nhwc(name: str) -> np.ndarray:
    return GOLDEN[name].transpose(0, 2, 3, 1)


def case(name: str) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """The target, the output and the known pixels of a case of figures, in double precision."""
    parts = [GOLDEN[f"{name}/{key}"][None, ..., None] for key in ("target", "output")]
    clean, restored = (tf.constant(part, tf.float64) for part in parts)
    return clean, restored, tf.ones(clean.shape, bool)


@pytest.mark.parametrize("name", ["L1", "L2", "L3", "L4", "L5_equal"])
def test_the_loss_and_its_gradient_are_the_published_ones(name: str) -> None:
    restored, clean = tf.constant(nhwc(f"{name}/pred")), 2 * nhwc(f"{name}/target") - 1
    search, train, _ = GOLDEN[f"{name}/values"]
    for weight, expected in ((0.5, search), (0.6, train)):
        task = Restoration(restored.shape[-1], ssim_weight=weight)
        with tf.GradientTape() as tape:
            tape.watch(restored)
            loss = task.loss(clean, {"logits": restored})
        assert loss.numpy() == pytest.approx(expected, abs=1e-6)
    gradient, expected = tape.gradient(loss, restored), nhwc(f"{name}/grad_train")
    scale = max(np.abs(expected).max(), 1e-3)
    np.testing.assert_allclose(gradient, expected, atol=1e-5 * scale)


@pytest.mark.parametrize("name", ["M1", "M2", "M3", "M4"])
def test_psnr_and_ssim_are_scikit_images_and_the_padded_one_is_the_published_one(
    name: str,
) -> None:
    psnr, interior, padded = GOLDEN[f"{name}/values"]
    assert figures.psnr(*case(name)).numpy() == pytest.approx(psnr, abs=1e-9)
    assert figures.ssim(*case(name)).numpy() == pytest.approx(interior, abs=1e-9)
    assert figures.ssim(*case(name), padded=True).numpy() == pytest.approx(padded, abs=1e-9)
    clean, restored, _ = (tf.cast(part, tf.float32) for part in case(name))
    assert tf.image.ssim(clean, restored, 1.0).numpy() == pytest.approx(interior, abs=1e-5)


def score_of(task: Restoration, clean: Any, restored: Any) -> dict[str, float]:
    metrics = task.metrics()
    metrics.add(clean, {"restored": restored})
    return dict(metrics.result())


def test_known_figures() -> None:
    task, grey = Restoration(), tf.zeros((1, 16, 16, 3))
    one_step = score_of(task, grey, tf.fill((1, 16, 16, 1), 0.5 + 1 / 255))
    assert one_step["psnr"] == pytest.approx(48.1308, abs=1e-4)
    assert score_of(task, grey - 1, tf.ones((1, 16, 16, 1))) == pytest.approx(
        {"psnr": 0, "ssim": 1e-4 / (1 + 1e-4)}
    )
    equal = score_of(task, grey, tf.fill((1, 16, 16, 1), 0.5))
    assert (equal["psnr"], task.score(equal)) == (100, pytest.approx(1))


def test_padding_counts_nowhere() -> None:
    """A padded picture has the loss and the figures of the picture itself."""
    task, rng = Restoration(), np.random.default_rng(3)
    clean = rng.uniform(-1, 1, (1, 20, 24, 1)).astype(np.float32).repeat(3, -1)
    restored = rng.uniform(0, 1, (1, 20, 24, 1)).astype(np.float32)
    margins = ((0, 0), (5, 7), (3, 0), (0, 0))
    padded = np.pad(clean, margins, constant_values=-2)
    noise = rng.uniform(0, 1, (1, 32, 27, 1)).astype(np.float32)
    noise[:, 5:25, 3:] = restored
    losses = [
        float(task.loss(target, {"logits": logits}))
        for target, logits in ((clean, restored), (padded, noise))
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    assert score_of(task, clean, restored) == pytest.approx(score_of(task, padded, noise))


def test_a_picture_smaller_than_the_window_has_no_ssim() -> None:
    task, rng = Restoration(), np.random.default_rng(4)
    metrics, noise = task.metrics(), rng.uniform(0, 1, (1, 40, 40, 1))
    metrics.add(tf.zeros((1, 40, 40, 3)), {"restored": noise})
    alone = metrics.result()
    metrics.add(tf.zeros((1, 10, 40, 3)), {"restored": tf.fill((1, 10, 40, 1), 0.5)})
    both = metrics.result()
    assert both["ssim"] == alone["ssim"]
    assert both["psnr"] == pytest.approx((alone["psnr"] + 100) / 2)
    tiny = score_of(task, tf.zeros((1, 3, 3, 3)), tf.fill((1, 3, 3, 1), 0.5))
    assert tiny == {"psnr": 100, "ssim": 0}


def test_the_loss_of_an_inverted_picture_is_finite_and_falls() -> None:
    """SSIM below zero has no logarithm; the loss continues as a straight line."""
    task = Restoration()
    checks = np.indices((1, 16, 16)).sum(0)[..., None] % 2.0
    clean = tf.constant(2 * checks - 1, tf.float32)
    restored = tf.Variable(1 - (clean + 1) / 2)
    assert figures.ssim_map(restored, (clean + 1) / 2).numpy().mean() < -0.9
    losses = []
    for _ in range(60):
        with tf.GradientTape() as tape:
            loss = task.loss(clean, {"logits": restored})
        restored.assign_sub(0.5 * tape.gradient(loss, restored))
        losses.append(float(loss))
    assert np.isfinite(losses).all()
    assert losses[-1] < losses[0] / 2


def test_levels_of_noise_have_figures_of_their_own() -> None:
    task, rng = Restoration(levels=(30.0, 50.0)), np.random.default_rng(5)
    assert task.extras == ("level",)
    target = {"clean": tf.zeros((4, 16, 16, 3)), "level": tf.constant([30.0, 50, 50, 30])}
    deviations = np.reshape([0.01, 0.1, 0.1, 0.01], (4, 1, 1, 1))
    restored = 0.5 + deviations * rng.normal(0, 1, (4, 16, 16, 1))
    metrics = task.metrics()
    metrics.update(target, {"logits": tf.constant(restored, tf.float32)}, (16, 16))
    result, table = metrics.result(), metrics.table()
    assert result["psnr_30"] == pytest.approx(40, abs=0.5)
    assert result["psnr_50"] == pytest.approx(20, abs=0.5)
    assert result["psnr"] == pytest.approx((result["psnr_30"] + result["psnr_50"]) / 2)
    assert [(row["noise"], row["pictures"]) for row in table] == [
        *(("all", 4), ("sigma 30", 2), ("sigma 50", 2)),
    ]
    np.testing.assert_array_equal(task.encode(target, (16, 16)), target["clean"])


def test_the_padded_figure_is_that_of_the_published_protocol_alone() -> None:
    clean, restored = (
        tf.zeros((1, 16, 16, 3)),
        np.random.default_rng(6).uniform(0, 1, (1, 16, 16, 1)),
    )
    assert score_of(Restoration(), clean, restored).keys() == {"psnr", "ssim"}
    found = score_of(Restoration(protocol="hinas"), clean, restored)
    assert found["ssim_zero_padded"] > found["ssim"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"channels": 2}, r"^channels is 2, expected 1 or 3$"),
        ({"protocol": "other"}, r"^protocol is 'other', expected 'standard' or 'hinas'$"),
        ({"ssim_weight": -1}, r"^ssim_weight is -1, expected 0 or more$"),
    ],
)
def test_other_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Restoration(**settings)
