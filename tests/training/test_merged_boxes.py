"""Boxes of mirror images and of several scales are put together before overlaps are removed."""

from collections.abc import Iterator, Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from nas_tf.config.schema import Evaluation
from nas_tf.networks.fcos import level_sizes
from nas_tf.networks.state import State
from nas_tf.tasks import Detection, fcos
from nas_tf.training import scoring
from nas_tf.training.scoring import Scorer, Split, check_evaluation

SIZE = (128, 256)
TASK = Detection(2, names=("nut", "bolt"))
BOXES = np.array([[[24, 40, 88, 72, 1]], [[160, 8, 240, 88, 1]]], np.float32)
EVALUATIONS = {
    "plain": Evaluation(batch=2),
    "mirrored": Evaluation(batch=2, flip=True),
    "half": Evaluation(batch=2, scales=(0.5,)),
    "all": Evaluation(batch=2, scales=(0.5, 1.0, 1.5), flip=True),
}


class Toy:
    """A network that finds the bright rectangle of an image, wherever it is and at any size."""

    def __init__(self, blueprint: Any, parts: Any) -> None:
        self.blueprint = blueprint

    def __call__(self, images: tf.Tensor, trainable: Any, statistics: Any) -> Any:
        size = self.blueprint.input_size
        bright = tf.cast(images[..., 0] > 0, tf.float32)
        sides = []
        for axis in (2, 1):
            shown = tf.reduce_max(bright, axis=3 - axis)
            first = tf.cast(tf.argmax(shown, axis=1), tf.float32)
            sides += [first, first + tf.reduce_sum(shown, axis=1)]
        x1, x2, y1, y2 = (side[:, None] for side in sides)
        x, y = tf.unstack(fcos.locations(size), axis=-1)
        flat = {
            "boxes": tf.stack([x - x1, y - y1, x2 - x, y2 - y], axis=-1),
            "classes": tf.stack([0 * (x - x1) - 9, 0 * (x - x1) + 2], axis=-1),
            "centerness": (0 * (x - x1) + 2)[..., None],
        }
        outputs = {}
        counts = [height * width for height, width in level_sizes(size).values()]
        for name, values in flat.items():
            for level, part in zip(
                level_sizes(size), tf.split(values, counts, axis=1), strict=True
            ):
                shape = (-1, *level_sizes(size)[level], values.shape[-1])
                outputs[f"{level}.{name}"] = tf.reshape(part, shape)
        return SimpleNamespace(outputs=outputs)


class Drawn(Split):
    """Two images with a bright rectangle each."""

    def batches(self, task: Any, batch: int) -> Iterator[tuple[Any, Any]]:
        images = np.full((2, *SIZE, 3), -1, np.float32)
        for image, ((x1, y1, x2, y2, _),) in zip(images, BOXES.astype(int), strict=True):
            image[y1:y2, x1:x2] = 1
        yield tf.constant(images), BOXES


@pytest.fixture(scope="module")
def answers() -> Mapping[str, Any]:
    """The answer and the figures by each evaluation."""
    found = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scoring, "Functional", Toy)
        for name, evaluation in EVALUATIONS.items():
            scorer = Scorer(_blueprint, TASK, {}, SIZE, evaluation)
            ((_, _, outputs),) = scorer.predictions(State({}, {}), Drawn(None, None, (0, 1)))
            metrics = scorer.score(State({}, {}), Drawn(None, None, (0, 1)))
            found[name] = TASK.answer(outputs, SIZE), metrics
    return found


def _blueprint(size: tuple[int, int]) -> Any:
    blueprint = SimpleNamespace(input_size=size, layers=())
    blueprint.deployed = lambda: blueprint
    return blueprint


@pytest.mark.parametrize("name", EVALUATIONS)
def test_every_pass_finds_the_same_box_once(answers: Mapping[str, Any], name: str) -> None:
    answer, metrics = answers[name]
    assert answer["count"].numpy().tolist() == [1, 1]
    assert answer["classes"][:, 0].numpy().tolist() == [1, 1]
    np.testing.assert_allclose(answer["boxes"][:, 0], BOXES[:, 0, :4], atol=1e-3)
    assert [row["ap50"] for row in metrics.table()] == [None, pytest.approx(1)]
    assert ("loss" in metrics.result()) == (name == "plain"), "a loss is that of one pass"


def test_boxes_of_mirror_images_alone_are_turned_back() -> None:
    """Without the straight pass, whose boxes win over the same ones of a mirrored one."""
    from nas_tf.tasks import Pass

    toy = Toy(_blueprint((64, 128)), {})
    ((images, _),) = Drawn(None, None).batches(TASK, 2)
    small = tf.image.resize(images, (64, 128))[:, :, ::-1]
    passes = [Pass(toy(small, None, None).outputs, (64, 128), is_mirrored=True)]
    answer = TASK.answer(TASK.merged(passes, SIZE), SIZE)
    np.testing.assert_allclose(answer["boxes"][:, 0], BOXES[:, 0, :4], atol=1e-3)


def test_boxes_may_be_merged() -> None:
    check_evaluation(TASK, EVALUATIONS["all"])
