"""The contract of every task; a task's test class inherits the suite."""

from typing import Any

import numpy as np
import tensorflow as tf

from nas_tf.tasks import Task


class TaskContract:
    task: Task
    size = (32, 48)
    best = 1.0
    updates_in_graph = True

    def targets(self, seed: int, batch: int) -> Any:
        """Random targets with something missing or ignored in them."""
        raise NotImplementedError

    def perfect(self, target: Any) -> tf.Tensor:
        """Logits that hit the target."""
        raise NotImplementedError

    def without_truth(self, target: Any) -> Any:
        """The same targets with everything ignored or missing."""
        raise NotImplementedError

    def logits(self, seed: int, batch: int) -> tf.Tensor:
        height, width = self.size
        shape = (batch, height // 4, width // 4, self.task.channels)
        return tf.abs(tf.random.stateless_normal(shape, (seed, 1)))

    def gathered(self, *batches: tuple[Any, tf.Tensor]) -> dict[str, float]:
        metrics = self.task.metrics()
        for target, logits in batches:
            metrics.update(target, logits, self.size)
        return dict(metrics.result())

    def part(self, target: Any, where: slice) -> Any:
        if isinstance(target, dict):
            return {key: value[where] for key, value in target.items()}
        return target[where]

    def test_a_perfect_prediction_has_the_best_score(self) -> None:
        target = self.targets(0, 4)
        result = self.gathered((target, self.perfect(target)))
        assert abs(self.task.score(result) - self.best) < 1e-6

    def test_scores_are_in_the_unit_interval(self) -> None:
        for seed in range(5):
            result = self.gathered((self.targets(seed, 2), self.logits(seed, 2)))
            assert 0 <= self.task.score(result) <= 1

    def test_the_split_into_batches_changes_nothing(self) -> None:
        target, logits = self.targets(1, 6), self.logits(1, 6)
        complete = self.gathered((target, logits))
        parts = [(self.part(target, s), logits[s]) for s in (slice(0, 1), slice(1, 6))]
        np.testing.assert_allclose(
            list(complete.values()), list(self.gathered(*parts).values()), rtol=1e-9
        )

    def test_merging_adds_and_resetting_forgets(self) -> None:
        target, logits = self.targets(2, 4), self.logits(2, 4)
        first, other = self.task.metrics(), self.task.metrics()
        first.update(self.part(target, slice(0, 2)), logits[:2], self.size)
        other.update(self.part(target, slice(2, 4)), logits[2:], self.size)
        first.merge(other)
        merged = list(first.result().values())
        np.testing.assert_allclose(merged, list(self.gathered((target, logits)).values()))
        first.reset()
        first.update(target, logits, self.size)
        np.testing.assert_allclose(merged, list(first.result().values()))

    def test_without_truth_there_is_no_loss_no_gradient_and_no_score(self) -> None:
        target = self.without_truth(self.targets(3, 2))
        logits = self.logits(3, 2)
        for at in ("target", "logits"):
            with tf.GradientTape() as tape:
                tape.watch(logits)
                loss = self.task.loss(self.task.encode(target, self.size), logits, at=at)
            assert loss == 0
            np.testing.assert_array_equal(tape.gradient(loss, logits), 0)
        assert self.task.score(self.gathered((target, logits))) == 0

    def test_losses_are_finite_scalars_that_training_lowers(self) -> None:
        target = self.targets(4, 2)
        dense = self.task.encode(target, self.size)
        for at in ("target", "logits"):
            logits = tf.Variable(self.logits(4, 2))
            optimiser = tf.keras.optimizers.legacy.Adam(0.05)
            losses = []
            for _ in range(30):
                with tf.GradientTape() as tape:
                    loss = self.task.loss(dense, logits, at=at)
                optimiser.apply_gradients([(tape.gradient(loss, logits), logits)])
                losses.append(float(loss))
            assert np.isfinite(losses).all()
            assert losses[-1] < losses[0]

    def test_loss_and_update_work_in_a_graph(self) -> None:
        target, logits = self.targets(5, 2), self.logits(5, 2)
        loss = tf.function(lambda dense, out: self.task.loss(dense, out), autograph=False)
        dense = self.task.encode(target, self.size)
        np.testing.assert_allclose(loss(dense, logits), self.task.loss(dense, logits), rtol=1e-5)
        if self.updates_in_graph:
            metrics = self.task.metrics()
            tf.function(metrics.update, autograph=False)(target, logits, self.size)
            assert metrics.result() == self.gathered((target, logits))

    def test_figures_are_finite_numbers(self) -> None:
        for target in (self.targets(5, 2), self.without_truth(self.targets(5, 2))):
            result = self.gathered((target, self.logits(5, 2)))
            assert all(np.isfinite(value) for value in result.values())

    def test_a_broken_pixel_without_truth_breaks_no_gradient(self) -> None:
        target = self.without_truth(self.targets(3, 1))
        logits = tf.fill(tf.shape(self.logits(3, 1)), float("nan"))
        with tf.GradientTape() as tape:
            tape.watch(logits)
            loss = self.task.loss(self.task.encode(target, self.size), logits, at="logits")
        assert loss == 0
        np.testing.assert_array_equal(tape.gradient(loss, logits), 0)

    def test_logits_that_are_not_finite_score_nothing(self) -> None:
        target = self.targets(6, 2)
        broken = tf.fill(tf.shape(self.logits(6, 2)), float("nan"))
        result = self.gathered((target, broken))
        assert np.isfinite(self.task.score(result))
        assert self.task.score(result) < 0.2

    def test_the_picture_shows_three_views(self) -> None:
        target, logits = self.targets(7, 1), self.logits(7, 1)
        image = np.random.default_rng(0).uniform(-1, 1, (*self.size, 3)).astype(np.float32)
        item = (
            {key: value[0] for key, value in target.items()}
            if isinstance(target, dict)
            else (np.asarray(target)[0])
        )
        picture = self.task.picture(image, item, logits[0].numpy())
        height, width = self.size
        assert picture.shape == (height, 3 * width + 8, 3)
        assert picture.dtype == np.uint8
        np.testing.assert_array_equal(picture[:, :width], np.uint8(np.round((image + 1) * 127.5)))

    def test_the_flip_test_is_the_mean_of_both(self) -> None:
        images = tf.random.stateless_normal((2, *self.size, 3), (1, 1))
        outputs = {True: self.logits(1, 2), False: self.logits(2, 2)}
        tested = self.task.flip_tested(lambda x: outputs[bool(tf.reduce_all(x == images))], images)
        expected = (outputs[True] + self.task.unflipped(outputs[False])) / 2
        np.testing.assert_allclose(tested, expected)

    def test_turning_back_twice_is_the_identity(self) -> None:
        logits = self.logits(8, 2)
        np.testing.assert_array_equal(self.task.unflipped(self.task.unflipped(logits)), logits)

    def test_the_table_names_every_row(self) -> None:
        metrics = self.task.metrics()
        metrics.update(self.targets(9, 2), self.logits(9, 2), self.size)
        assert all(isinstance(next(iter(row.values())), str) for row in metrics.table())
