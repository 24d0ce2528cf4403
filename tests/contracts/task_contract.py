"""The contract of every task; a task's test class inherits the suite."""

import json
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from nas_tf.input_geometry import InputGeometry, Resize
from nas_tf.tasks import DenseTask, Outputs, Pass, Task
from nas_tf.training.scoring import metrics_of
from serving.images import decode_map


class TaskContract:
    task: Task
    size = (32, 48)
    best = 1.0
    updates_in_graph = True

    def targets(self, seed: int, batch: int) -> Any:
        """Random targets with something missing or ignored in them."""
        raise NotImplementedError

    def perfect(self, target: Any) -> Outputs:
        """Outputs that hit the target."""
        raise NotImplementedError

    def outputs(self, seed: int, batch: int) -> Outputs:
        """Random outputs."""
        raise NotImplementedError

    def result_of(self, *batches: tuple[Any, Outputs]) -> dict[str, float]:
        metrics = metrics_of(self.task)
        for target, outputs in batches:
            metrics.update(target, outputs, self.size)
        return dict(metrics.result())

    def part(self, values: Any, where: slice | int) -> Any:
        if isinstance(values, dict):
            return {key: value[where] for key, value in values.items()}
        return values[where]

    def answer(self, outputs: Outputs) -> dict[str, np.ndarray]:
        """An answer as a runtime returns it."""
        return tf.nest.map_structure(np.asarray, dict(self.task.answer(outputs, self.size)))

    def image(self) -> np.ndarray:
        return np.random.default_rng(0).uniform(-1, 1, (*self.size, 3)).astype(np.float32)

    def test_a_perfect_prediction_has_the_best_score(self) -> None:
        target = self.targets(0, 4)
        result = self.result_of((target, self.perfect(target)))
        assert abs(self.task.score(result) - self.best) < 1e-6

    def test_scores_are_within_their_range(self) -> None:
        least, most = self.task.score_range
        for seed in range(5):
            result = self.result_of((self.targets(seed, 2), self.outputs(seed, 2)))
            assert least <= self.task.score(result) <= most

    def test_the_headline_is_among_the_figures(self) -> None:
        result = self.result_of((self.targets(0, 2), self.outputs(0, 2)))
        assert 0 <= result[self.task.headline] <= 1

    def test_the_split_into_batches_changes_nothing(self) -> None:
        target, outputs = self.targets(1, 6), self.outputs(1, 6)
        complete = self.result_of((target, outputs))
        parts = [
            (self.part(target, where), self.part(outputs, where))
            for where in (slice(0, 1), slice(1, 6))
        ]
        np.testing.assert_allclose(
            list(complete.values()), list(self.result_of(*parts).values()), rtol=1e-6
        )

    def test_losses_are_finite_scalars_that_training_lowers(self) -> None:
        encoded = self.task.encode(self.targets(4, 2), self.size)
        outputs = {name: tf.Variable(values) for name, values in self.outputs(4, 2).items()}
        optimiser = tf.keras.optimizers.legacy.Adam(0.05)
        losses = []
        for _ in range(30):
            with tf.GradientTape() as tape:
                loss = self.task.loss(encoded, outputs)
            gradients = tape.gradient(loss, list(outputs.values()))
            assert all(np.isfinite(gradient).all() for gradient in gradients)
            optimiser.apply_gradients(zip(gradients, outputs.values(), strict=True))
            losses.append(loss.numpy())
        assert np.shape(losses) == (30,)
        assert np.isfinite(losses).all()
        assert losses[-1] < losses[0]

    def test_loss_and_update_work_in_a_graph(self) -> None:
        target, outputs = self.targets(5, 2), self.outputs(5, 2)
        loss = tf.function(lambda encoded, out: self.task.loss(encoded, out), autograph=False)
        encoded = self.task.encode(target, self.size)
        np.testing.assert_allclose(
            loss(encoded, outputs), self.task.loss(encoded, outputs), rtol=1e-5
        )
        if self.updates_in_graph:
            metrics = metrics_of(self.task)
            tf.function(metrics.update, autograph=False)(target, outputs, self.size)
            assert metrics.result() == self.result_of((target, outputs))

    def test_figures_are_finite_numbers(self) -> None:
        result = self.result_of((self.targets(5, 2), self.outputs(5, 2)))
        assert all(np.isfinite(value) for value in result.values())

    def test_outputs_that_are_not_finite_score_nothing(self) -> None:
        outputs = {
            name: tf.fill(tf.shape(values), float("nan"))
            for name, values in self.outputs(6, 2).items()
        }
        score = self.task.score(self.result_of((self.targets(6, 2), outputs)))
        least, most = self.task.score_range
        assert np.isfinite(score)
        assert score < least + 0.2 * (most - least)

    def test_an_answer_scores_as_its_outputs_do(self) -> None:
        target, outputs = self.targets(3, 3), self.outputs(3, 3)
        metrics = self.task.metrics()
        metrics.add(target, self.answer(outputs))
        expected = self.task.metrics()
        expected.update(target, outputs, self.size)
        assert metrics.result() == pytest.approx(expected.result(), rel=1e-6)

    def test_an_answer_has_a_row_per_image_in_eager_and_in_a_graph(self) -> None:
        outputs = self.outputs(4, 3)
        answer = self.answer(outputs)
        traced = tf.function(lambda out: self.task.answer(out, self.size), autograph=False)
        for name, values in traced(outputs).items():
            assert len(values) == 3
            np.testing.assert_allclose(values, answer[name], rtol=1e-5)
        assert set(self.task.primary) <= answer.keys()
        alone = self.answer(self.part(outputs, slice(1, 2)))
        for name, values in alone.items():
            np.testing.assert_allclose(values[0], answer[name][1], rtol=1e-5)

    def test_an_undecoded_answer_is_decoded_to_the_answer(self) -> None:
        outputs = self.outputs(5, 2)
        answer = self.answer(outputs)
        undecoded = tf.nest.map_structure(
            np.asarray, dict(self.task.undecoded(outputs, self.size))
        )
        without_bytes = {
            name: values.astype(np.int32) if values.dtype == np.uint8 else values
            for name, values in undecoded.items()
        }
        for given in (undecoded, without_bytes, answer):
            decoded = self.task.decoded(given)
            assert decoded.keys() == answer.keys()
            for name, values in answer.items():
                assert decoded[name].dtype == values.dtype
                np.testing.assert_allclose(decoded[name], values, rtol=1e-6)

    def test_an_answer_agrees_with_itself_and_less_with_another(self) -> None:
        answer, other = self.answer(self.outputs(1, 3)), self.answer(self.outputs(2, 3))
        np.testing.assert_array_equal(self.task.agreement(answer, answer), np.ones(3))
        shares = self.task.agreement(answer, other)
        assert shares.shape == (3,)
        assert (shares < 1).all()

    def test_stored_targets_have_values_of_the_encoded_ones(self) -> None:
        encoded = self.task.encode(self.targets(6, 2), self.size)
        stored = self.task.stored(encoded, (self.size[0] // 4, self.size[1] // 4))
        for before, after in zip(*map(tf.nest.flatten, (encoded, stored)), strict=True):
            assert len(after) == 2
            assert np.isin(after, before).all()

    def test_a_picture_has_the_answer_of_its_windows(self) -> None:
        """A picture of the input's own size has one window, whose answer stays as it is."""
        geometry = InputGeometry(self.size, Resize(), self.task.windows)
        answer = self.answer(self.outputs(7, 1))
        primary = {name: answer[name] for name in self.task.primary}
        found = self.task.in_picture(primary, geometry, self.size)
        assert found.keys() == primary.keys()
        for name, values in primary.items():
            np.testing.assert_allclose(found[name], values[0], rtol=1e-5)

    def test_a_file_has_the_answer_to_its_picture(self) -> None:
        geometry = InputGeometry(self.size, Resize(), self.task.windows)
        answer = self.answer(self.outputs(7, 1))
        answer = {name: answer[name] for name in self.task.primary}
        found = self.task.in_picture(answer, geometry, self.size)
        file = tf.nest.map_structure(tf.convert_to_tensor, dict(self.task.to_file(found)))
        read = self.task.from_file({k: decode_map(part.numpy()) for k, part in file.items()})
        assert read.keys() == answer.keys()
        assert self.task.agreement({k: part[None] for k, part in read.items()}, answer) > 0.99

    def test_it_is_painted_at_the_size_of_the_image(self) -> None:
        image = np.uint8(127.5 * (self.image() + 1))
        answer = self.part(self.answer(self.outputs(7, 1)), 0)
        for shown in (image, image.repeat(2, 0).repeat(2, 1)):
            painted = self.task.paint(shown, answer, size=self.size, opacity=0.5)
            assert (painted.shape, painted.dtype) == (shown.shape, np.uint8)
            assert (painted != shown).any()

    def test_the_picture_shows_three_views(self) -> None:
        target, outputs, image = self.targets(7, 1), self.outputs(7, 1), self.image()
        item = self.part(tf.nest.map_structure(np.asarray, target), 0)
        picture = self.task.picture(image, item, self.part(outputs, 0))
        height, width = self.size
        assert picture.shape == (height, 3 * width + 8, 3)
        assert picture.dtype == np.uint8
        np.testing.assert_array_equal(picture[:, :width], np.uint8(np.round((image + 1) * 127.5)))

    def test_its_metadata_are_enough_to_decode_and_draw(self) -> None:
        """They survive JSON, and the task that they describe paints the same."""
        about = json.loads(json.dumps(self.task.about()))
        task = type(self.task).of_model(about)
        assert task.names == self.task.names
        image, outputs = np.zeros((*self.size, 3), np.uint8), self.outputs(8, 1)
        undecoded = tf.nest.map_structure(
            np.asarray, dict(self.task.undecoded(outputs, self.size))
        )
        answer = self.part(task.decoded(undecoded), 0)
        expected = self.part(self.answer(outputs), 0)
        without_lines = task.paint(image, expected)
        np.testing.assert_array_equal(task.paint(image, answer), without_lines)
        if not getattr(self.task, "limbs", ()):
            np.testing.assert_array_equal(self.task.paint(image, expected), without_lines)

    def test_the_table_names_every_row(self) -> None:
        metrics = metrics_of(self.task)
        metrics.update(self.targets(9, 2), self.outputs(9, 2), self.size)
        assert all(isinstance(next(iter(row.values())), str) for row in metrics.table())


class DenseTaskContract(TaskContract):
    """The contract of a task of one map."""

    task: DenseTask

    def without_truth(self, target: Any) -> Any:
        """The same targets with everything ignored or missing."""
        raise NotImplementedError

    def outputs(self, seed: int, batch: int) -> Outputs:
        height, width = self.size
        shape = (batch, height // 4, width // 4, self.task.channels)
        return {"logits": tf.abs(tf.random.stateless_normal(shape, (seed, 1)))}

    def test_the_head_has_its_channels(self) -> None:
        assert (self.task.head.task, self.task.head.channels) == (
            self.task.name,
            self.task.channels,
        )

    def test_without_truth_there_is_no_loss_no_gradient_and_no_score(self) -> None:
        target = self.without_truth(self.targets(3, 2))
        logits = self.outputs(3, 2)["logits"]
        for at in ("target", "logits"):
            with tf.GradientTape() as tape:
                tape.watch(logits)
                encoded = self.task.encode(target, self.size)
                loss = self.task.loss(encoded, {"logits": logits}, at=at)
            assert loss == 0
            np.testing.assert_array_equal(tape.gradient(loss, logits), 0)
        result = self.result_of((target, {"logits": logits}))
        assert self.task.score(result) == 0
        assert all(np.isfinite(value) for value in result.values())

    def test_a_broken_pixel_without_truth_breaks_no_gradient(self) -> None:
        target = self.without_truth(self.targets(3, 1))
        logits = tf.fill(tf.shape(self.outputs(3, 1)["logits"]), float("nan"))
        with tf.GradientTape() as tape:
            tape.watch(logits)
            encoded = self.task.encode(target, self.size)
            loss = self.task.loss(encoded, {"logits": logits}, at="logits")
        assert loss == 0
        np.testing.assert_array_equal(tape.gradient(loss, logits), 0)

    def test_the_loss_at_the_logits_is_lowered_too(self) -> None:
        encoded = self.task.encode(self.targets(4, 2), self.size)
        logits = tf.Variable(self.outputs(4, 2)["logits"])
        optimiser = tf.keras.optimizers.legacy.Adam(0.05)
        losses = []
        for _ in range(30):
            with tf.GradientTape() as tape:
                loss = self.task.loss(encoded, {"logits": logits}, at="logits")
            optimiser.apply_gradients([(tape.gradient(loss, logits), logits)])
            losses.append(float(loss))
        assert np.isfinite(losses).all()
        assert losses[-1] < losses[0]

    def test_the_flip_test_is_the_mean_of_both(self) -> None:
        straight, turned = self.outputs(1, 2), self.outputs(2, 2)
        passes = [Pass(straight, self.size), Pass(turned, self.size, is_mirrored=True)]
        tested = self.task.merged(passes, self.size)["logits"]
        mirrored = self.task.unflipped(turned)["logits"]
        np.testing.assert_allclose(tested, (straight["logits"] + mirrored) / 2)

    def test_turning_back_twice_is_the_identity(self) -> None:
        outputs = self.outputs(8, 2)
        twice = self.task.unflipped(self.task.unflipped(outputs))
        np.testing.assert_array_equal(twice["logits"], outputs["logits"])

    def test_maps_of_several_scales_are_averaged_at_the_first_s_size(self) -> None:
        outputs = self.outputs(8, 2)
        small = {"logits": tf.ones((2, 2, 3, self.task.channels))}
        passes = [Pass(outputs, self.size), Pass(small, (8, 12))]
        averaged = self.task.merged(passes, self.size)
        np.testing.assert_allclose(averaged["logits"], (outputs["logits"] + 1) / 2, rtol=1e-6)

    def test_a_teacher_of_the_same_map_is_at_no_distance(self) -> None:
        outputs = self.outputs(8, 2)
        assert self.task.distance(outputs, outputs["logits"]) == 0
        apart = self.task.distance(outputs, tf.cast(outputs["logits"] + 2, tf.float16))
        assert float(apart) == pytest.approx(4, rel=1e-2)
