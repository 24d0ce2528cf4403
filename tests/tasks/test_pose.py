import contextlib
import io

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from pycocotools.cocoeval import COCOeval

from nas_tf.errors import ConfigError
from nas_tf.tasks import Outputs, Pose, heatmaps
from nas_tf.tasks.pose import COCO_SIGMAS
from tests.contracts.task_contract import DenseTaskContract

JOINTS, SWAPS = 6, ((0, 1), (2, 3))


def people(seed: int, batch: int, joints: int, size: tuple[int, int]) -> np.ndarray:
    """Returns one person per image, with joints well inside, some of them absent."""
    rng = np.random.default_rng(seed)
    points = rng.uniform(6, np.array(size[::-1]) - 7, (batch, 1, joints, 2))
    seen = rng.choice([0, 1, 2], (batch, 1, joints, 1))
    seen[:, :, 0] = 2
    return np.concatenate([points * (seen > 0), seen], -1).astype(np.float32)


class PoseContract(DenseTaskContract):
    def targets(self, seed: int, batch: int) -> dict[str, np.ndarray]:
        extra = np.full((batch, 1), 6.0 if self.task.scoring == "pckh" else 9000.0, np.float32)
        points = people(seed, batch, self.task.channels, self.size)
        return {"keypoints": points, self.task.extras[0]: extra}

    def perfect(self, target: dict[str, np.ndarray]) -> Outputs:
        return {"logits": self.task.encode(target, self.size)}

    def without_truth(self, target: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {**target, "keypoints": np.zeros_like(target["keypoints"])}


class TestPckh(PoseContract):
    task = Pose(JOINTS, swaps=SWAPS, limbs=((0, 1), (1, 2)))
    size = (64, 96)


class TestOks(PoseContract):
    updates_in_graph = False
    task = Pose(17, score="oks", limbs=((5, 6),))
    size = (64, 96)


@given(st.integers(0, 10_000))
def test_a_rendered_joint_is_decoded_to_a_pixel(seed: int) -> None:
    points = people(seed, 3, JOINTS, (64, 96))
    found, peaks = heatmaps.decode(heatmaps.render(tf.constant(points), (64, 96)))
    seen = points[:, 0, :, 2] > 0
    away = np.abs(found.numpy() - points[:, 0, :, :2]).max(-1)
    assert away[seen].max() <= 1.01  # a quarter of the stride, half a pixel each way
    assert peaks.numpy()[seen].min() > 0.8


def test_a_heatmap_by_hand() -> None:
    maps = heatmaps.render(tf.constant([[[[17.5, 9.5, 2.0], [0.0, 0.0, 0.0]]]]), (32, 40))
    assert maps.shape == (1, 8, 10, 2)
    row, column = np.mgrid[:8, :10]
    expected = np.exp(-((column - 4.0) ** 2 + (row - 2.0) ** 2) / 8)
    np.testing.assert_allclose(maps[0, ..., 0], expected, rtol=1e-5)
    np.testing.assert_array_equal(maps[0, ..., 1], -1)


def test_sizes_that_are_no_multiple_of_the_stride() -> None:
    points = people(3, 4, JOINTS, (61, 83))
    maps = heatmaps.render(tf.constant(points), (61, 83))
    assert maps.shape[1:3] == (16, 21)
    found, _ = heatmaps.decode(maps)
    seen = points[:, 0, :, 2] > 0
    assert np.abs(found.numpy() - points[:, 0, :, :2]).max(-1)[seen].max() <= 1.01


@given(st.integers(0, 10_000))
def test_pckh_by_hand(seed: int) -> None:
    size = (64, 96)
    target = {
        "keypoints": people(seed, 3, JOINTS, size),
        "head_size": np.array([[8.0], [20.0], [0.0]], np.float32),
    }
    logits = tf.random.stateless_normal((3, 16, 24, JOINTS), (seed, 2))
    found = heatmaps.decode(logits)[0].numpy()
    metrics = Pose(JOINTS).metrics()
    metrics.update(target, {"logits": logits}, size)
    for row, joint in zip(metrics.table(), range(JOINTS), strict=True):
        for threshold in (0.5, 0.1):
            hits = count = 0
            for person in (0, 1):  # the third has no head size
                x, y, seen = target["keypoints"][person, 0, joint]
                if seen:
                    away = np.hypot(*(found[person, joint] - (x, y)))
                    hits += away <= threshold * target["head_size"][person, 0]
                    count += 1
            assert row["count"] == count
            assert row[f"pckh@{threshold}"] == (hits / count if count else None)


def test_a_joint_at_the_very_threshold_of_pckh_is_hit() -> None:
    logits = np.zeros((1, 16, 24, 1), np.float32)
    logits[0, 5, 4] = 1
    [[[x, y]]], _ = heatmaps.decode(tf.constant(logits))
    for away, share in ((4.0, 1.0), (4.25, 0.0)):
        metrics = Pose(1).metrics()
        keypoints = np.array([[[[x + away, y, 2]]]], np.float32)
        target = {"keypoints": keypoints, "head_size": np.array([[8.0]], np.float32)}
        metrics.update(target, {"logits": tf.constant(logits)}, (64, 96))
        assert metrics.result()["pckh@0.5"] == share


def test_pckh_of_a_data_set_weighs_joints_by_their_number_and_leaves_some_out() -> None:
    """MPII's usual evaluation: 4 of the 5 joints that count are hit."""
    points = np.zeros((3, 1, 3, 3), np.float32)
    points[:, 0, 0] = (30, 30, 2)
    points[:2, 0, 1] = (60, 20, 2)
    points[:, 0, 2] = (10, 40, 2)
    shown = points.copy()
    shown[0, 0, 1, 0] -= 40
    shown[:, 0, 2, 0] += 40
    metrics = Pose(3, unscored=[2]).metrics()
    target = {"keypoints": points, "head_size": np.full((3, 1), 10, np.float32)}
    maps = heatmaps.render(tf.constant(shown), (64, 96))
    metrics.update(target, {"logits": maps}, (64, 96))
    assert metrics.result()["pckh@0.5"] == pytest.approx(0.8)


@pytest.mark.parametrize("score", ["pckh", "oks"])
def test_maps_without_a_finite_value_are_near_nothing(score: str) -> None:
    task = Pose(17, score=score)
    points = np.full((1, 1, 17, 3), 2.0, np.float32)  # all joints in the corner
    extra = {task.extras[0]: np.full((1, 1), 50.0, np.float32)}
    metrics = task.metrics()
    broken = tf.fill((1, 16, 24, 17), float("nan"))
    metrics.update({"keypoints": points, **extra}, {"logits": broken}, (64, 96))
    assert task.score(metrics.result()) == 0


def test_oks_by_hand() -> None:
    """pycocotools' own similarity of one pose, against the formula of the COCO page."""
    task = Pose(17, score="oks")
    size = (64, 96)
    target = {"keypoints": people(5, 1, 17, size), "area": np.array([[700.0]], np.float32)}
    true = target["keypoints"][0, 0]
    shifted = true.copy()
    shifted[:, 0] += 3
    found = heatmaps.decode(heatmaps.render(tf.constant(shifted[None, None]), size))[0].numpy()[0]
    squared = ((found - true[:, :2]) ** 2).sum(-1)
    falloff = np.exp(-squared / (2 * 700.0 * (2 * np.array(COCO_SIGMAS)) ** 2))
    oks = falloff[true[:, 2] > 0].mean()
    thresholds = np.linspace(0.5, 0.95, 10)
    metrics = task.metrics()
    maps = task.encode({"keypoints": shifted[None, None]}, size)
    metrics.update(target, {"logits": maps}, size)
    assert metrics.result()["ap"] == pytest.approx(np.mean(oks >= thresholds), abs=1e-6)
    assert 0 < metrics.result()["ap"] < 1


def test_oks_takes_its_figures_from_pycocotools() -> None:
    from pycocotools.coco import COCO

    from nas_tf.tasks.pose_metrics import _annotation, _found

    task = Pose(17, score="oks")
    size = (64, 96)
    metrics = task.metrics()
    for seed in range(6):
        points = people(seed, 2, 17, size)
        rough = points + np.random.default_rng(seed).normal(0, 2.5, points.shape) * [1, 1, 0]
        area = np.full((2, 1), 800.0, np.float32)
        maps = heatmaps.render(tf.constant(rough, tf.float32), size)
        metrics.update({"keypoints": points, "area": area}, {"logits": maps}, size)
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        numbered = list(enumerate(metrics._people, 1))
        truth.dataset = {
            "images": [{"id": n} for n, _ in numbered],
            "annotations": [
                {"id": n, "iscrowd": 0, **_annotation(n, *person[:2])} for n, person in numbered
            ],
            "categories": [{"id": 0, "name": "person"}],
        }
        truth.createIndex()
        found = [_found(n, *person[2:]) for n, person in numbered]
        direct = COCOeval(truth, truth.loadRes(found), "keypoints")
        direct.evaluate()
        direct.accumulate()
        direct.summarize()
    result = metrics.result()
    assert [result[k] for k in ("ap", "ap50", "ap75", "ar")] == [
        direct.stats[n] for n in (0, 1, 2, 5)
    ]
    assert 0 < result["ap"] < 1


def test_the_flip_test_gives_left_and_right_their_places() -> None:
    task = Pose(JOINTS, swaps=SWAPS)
    points = people(1, 2, JOINTS, (64, 96))
    mirrored = points.copy()
    mirrored[..., 0] = np.where(points[..., 2] > 0, 95 - points[..., 0], 0)
    mirrored[:, :, [0, 1, 2, 3]] = mirrored[:, :, [1, 0, 3, 2]]
    maps = heatmaps.render(tf.constant(points), (64, 96))
    turned = task.unflipped({"logits": heatmaps.render(tf.constant(mirrored), (64, 96))})
    np.testing.assert_allclose(turned["logits"], maps, atol=1e-5)


def test_loss_is_the_mean_square_over_joints_that_are_there() -> None:
    task = Pose(2)
    encoded = task.encode(np.array([[[[8.0, 8.0, 2], [0, 0, 0]]]], np.float32), (16, 16))
    logits = np.random.default_rng(0).normal(size=(1, 4, 4, 2)).astype(np.float32)
    expected = np.mean((logits[..., 0] - encoded[..., 0]) ** 2)
    assert float(task.loss(encoded, {"logits": tf.constant(logits)})) == pytest.approx(
        expected, rel=1e-5
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"joints": 0}, "joints is 0, expected an integer of 1 or more"),
        ({"joints": 5, "score": "auc"}, "score is 'auc', expected 'pckh' or 'oks'"),
        ({"joints": 5, "score": "oks"}, "sigmas are needed for OKS of 5 joints, one per joint"),
        ({"joints": 5, "swaps": ((0, 5),)}, "swaps and limbs join joints of 0–4"),
        (
            {"joints": 5, "swaps": ((0, 1), (1, 2))},
            "swaps ((0, 1), (1, 2)) name a joint twice, expected pairs",
        ),
        ({"joints": 5, "names": ("a",)}, "names has 1 entries, expected 5, one per joint"),
    ],
)
def test_mistakes_are_named(options: dict, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Pose(**options)
    assert str(caught.value) == message


def test_a_score_without_its_field_is_refused() -> None:
    metrics, outputs = Pose(2).metrics(), {"logits": tf.zeros((1, 4, 4, 2))}
    with pytest.raises(ConfigError, match=r"^target has no 'head_size', which this score"):
        metrics.update(np.zeros((1, 1, 2, 3), np.float32), outputs, (16, 16))
