import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix, jaccard_score

from nas_tf.errors import ConfigError, DataError
from nas_tf.tasks import Outputs, Segmentation
from nas_tf.tasks.confusion import ConfusionMatrix, averages, best_classes, class_scores
from tests.contracts.task_contract import DenseTaskContract

CLASSES, IGNORE = 5, 9


def random_case(seed: int, classes: int = CLASSES) -> tuple[np.ndarray, np.ndarray]:
    """Returns labels with ignored pixels and often an absent class, and logits of their size."""
    rng = np.random.default_rng(seed)
    present = rng.permutation(classes)[: rng.integers(1, classes + 1)]
    labels = rng.choice([*present, IGNORE], (2, 8, 8)).astype(np.uint8)
    return labels, rng.normal(size=(2, 8, 8, classes)).astype(np.float32)


class TestSegmentation(DenseTaskContract):
    task = Segmentation(CLASSES, ignore_label=IGNORE)

    def targets(self, seed: int, batch: int) -> np.ndarray:
        rng = np.random.default_rng(seed)
        coarse = rng.choice([*range(CLASSES), IGNORE], (batch, 8, 12)).astype(np.uint8)
        return coarse.repeat(4, 1).repeat(4, 2)

    def perfect(self, target: np.ndarray) -> Outputs:
        return {"logits": tf.one_hot(target.astype(np.int32), CLASSES) * 10}

    def without_truth(self, target: np.ndarray) -> np.ndarray:
        return np.full_like(target, IGNORE)


@given(st.integers(0, 10_000))
def test_the_matrix_is_that_of_scikit_learn(seed: int) -> None:
    labels, logits = random_case(seed)
    matrix = ConfusionMatrix(CLASSES, IGNORE)
    matrix.update(tf.constant(labels), tf.constant(logits))
    counted = labels != IGNORE
    counts = matrix.numpy()
    assert counts.sum() == counted.sum()
    if counted.any():
        expected = confusion_matrix(
            labels[counted], logits.argmax(-1)[counted], labels=range(CLASSES)
        )
        np.testing.assert_array_equal(counts[:, :CLASSES], expected)


@given(st.integers(0, 10_000), st.sampled_from([None, 0]))
def test_figures_are_those_of_a_count_by_hand(seed: int, background: int | None) -> None:
    labels, logits = random_case(seed)
    task = Segmentation(CLASSES, ignore_label=IGNORE, background=background)
    metrics = task.metrics()
    metrics.update(tf.constant(labels), {"logits": tf.constant(logits)}, (8, 8))
    result = metrics.result()
    counted = labels != IGNORE
    truth, predicted = labels[counted], logits.argmax(-1)[counted]
    present = [c for c in range(CLASSES) if (truth == c).any()]
    rewarded = [c for c in present if c != background]
    assert result["reward"] == pytest.approx(reward_by_hand(truth, predicted, rewarded))
    assert task.score(result) == result["reward"]
    if not present:
        return
    iou = jaccard_score(truth, predicted, labels=present, average=None, zero_division=0)
    share = np.array([(truth == c).sum() for c in present])
    accuracy = [(predicted[truth == c] == c).mean() for c in present]
    expected = {
        "mean_iou": np.mean(iou),
        "frequency_weighted_iou": np.sum(iou * share) / share.sum(),
        "mean_class_accuracy": np.mean(accuracy),
        "pixel_accuracy": np.mean(truth == predicted),
    }
    assert {key: result[key] for key in expected} == pytest.approx(expected)


def reward_by_hand(truth: np.ndarray, predicted: np.ndarray, classes: list[int]) -> float:
    if not classes:
        return 0.0
    iou = jaccard_score(truth, predicted, labels=classes, average=None, zero_division=0)
    share = np.array([(truth == c).mean() for c in classes])
    accuracy = np.mean([(predicted[truth == c] == c).mean() for c in classes])
    return (iou.mean() * (iou * share).sum() / share.sum() * accuracy) ** (1 / 3)


def test_a_class_ruled_out_by_minus_infinity_is_no_broken_pixel() -> None:
    matrix = ConfusionMatrix(2, 255)
    matrix.update(tf.zeros((1, 1, 1), tf.uint8), tf.constant([[[[1.0, -float("inf")]]]]))
    assert matrix.numpy()[0, 0] == 1


@pytest.mark.parametrize("classes", [2, 255, 256, 300])
def test_the_mark_of_broken_logits_is_no_class(classes: int) -> None:
    """Classes are bytes only where one more than the last class fits too."""
    logits = np.zeros((1, 1, 3, classes), np.float32)
    logits[0, 0, 1, -1], logits[0, 0, 2] = 1, np.nan
    found = best_classes(tf.constant(logits)).numpy()
    assert found.tolist() == [[[0, classes - 1, classes]]]


def test_labels_that_were_never_declared_are_an_error() -> None:
    metrics = Segmentation(5).metrics()
    outputs = {"logits": tf.zeros((1, 1, 4, 5))}
    metrics.update(tf.constant([[[0, 7, 7, 255]]], tf.uint8), outputs, (1, 4))
    with pytest.raises(DataError, match=r"^2 pixels have labels that are neither 0–4 nor the ign"):
        metrics.result()


def test_a_class_predicted_but_absent_has_no_score_of_its_own() -> None:
    """The authors' code gives it IoU 0 and an accuracy of 2."""
    astray = np.array([[8, 1, 1, 0], [2, 8, 0, 0], [0, 0, 0, 0]])
    figures = averages(class_scores(astray))
    assert figures["mean_class_accuracy"] == pytest.approx(0.8)
    assert figures["mean_iou"] == pytest.approx((8 / 12 + 8 / 11) / 2)


def test_counts_beyond_32_bits_are_exact() -> None:
    matrix = ConfusionMatrix(2, 255)
    matrix._pixels.assign(tf.constant([[2**33, 0, 0], [0, 0, 0]], tf.int64))
    matrix.update(tf.zeros((1, 2, 2), tf.uint8), tf.zeros((1, 2, 2, 2)))
    assert matrix.numpy()[0, 0] == 2**33 + 4


@given(st.integers(0, 10_000))
def test_loss_is_that_of_a_sum_by_hand(seed: int) -> None:
    labels, logits = random_case(seed)
    weights = np.random.default_rng(seed).uniform(0.5, 2, CLASSES)
    shifted = logits.astype(np.float64) - logits.max(-1, keepdims=True)
    log_share = shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
    for given_weights in (None, weights):
        task = Segmentation(CLASSES, ignore_label=IGNORE, class_weights=given_weights)
        factors = np.ones(CLASSES) if given_weights is None else weights
        total = count = 0.0
        for place in np.argwhere(labels != IGNORE):
            label = labels[tuple(place)]
            total -= factors[label] * log_share[(*place, label)]
            count += factors[label]
        loss = task.loss(tf.constant(labels), {"logits": tf.constant(logits)})
        assert float(loss) == pytest.approx(total / count if count else 0.0, rel=1e-4)


def test_loss_at_the_logits_takes_the_nearest_label() -> None:
    labels = np.zeros((1, 8, 8), np.uint8)
    labels[0, 2::4, 2::4] = 1
    outputs = {"logits": tf.zeros((1, 2, 2, 2)) + tf.constant([0.0, 5.0])}
    task = Segmentation(2)
    assert float(task.loss(tf.constant(labels), outputs, at="logits")) < 0.01
    assert float(task.loss(tf.constant(labels), outputs)) > 4


def test_table_has_a_row_a_class() -> None:
    task = Segmentation(3, names=("sky", "road", "car"))
    metrics = task.metrics()
    labels = tf.constant([[[0, 0, 1, 255]]], tf.uint8)
    metrics.update(labels, {"logits": tf.one_hot([[[0, 1, 1, 1]]], 3)}, (1, 4))
    assert metrics.table() == [
        {"class": "sky", "iou": 0.5, "accuracy": 0.5, "share": pytest.approx(2 / 3)},
        {"class": "road", "iou": 0.5, "accuracy": 1.0, "share": pytest.approx(1 / 3)},
        {"class": "car", "iou": None, "accuracy": None, "share": 0.0},
    ]


def test_colours_are_those_given_and_ignored_pixels_are_black() -> None:
    task = Segmentation(2, colours=((1, 2, 3), (4, 5, 6)))
    coloured = task.coloured(np.array([[0, 1, 255]]))
    np.testing.assert_array_equal(coloured, [[(1, 2, 3), (4, 5, 6), (0, 0, 0)]])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_classes": 0}, "num_classes is 0, expected an integer of 1 or more"),
        ({"num_classes": 5, "ignore_label": 3}, "ignore_label is 3, expected 5–255"),
        ({"num_classes": 5, "background": 5}, "background is 5, expected 0–4"),
        (
            {"num_classes": 2, "class_weights": [1.0, -1.0]},
            "class_weights has -1.0, expected 0 or more",
        ),
        (
            {"num_classes": 2, "class_weights": [1.0]},
            "class_weights has 1 entries, expected 2, one per class",
        ),
    ],
)
def test_mistakes_are_named(options: dict, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Segmentation(**options)
    assert str(caught.value) == message
