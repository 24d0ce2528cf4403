"""Detection: what locations learn, losses, chosen boxes and average precision, against goldens."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from nas_tf.errors import ConfigError
from nas_tf.input_geometry import InputGeometry, Resize
from nas_tf.tasks import Detection, Outputs, fcos
from nas_tf.training.scoring import metrics_of
from tests.contracts.task_contract import TaskContract

FOLDER = Path(__file__).parents[1] / "golden" / "detection"
VALUES = np.load(FOLDER / "fcos.npz")
GOLDEN = json.loads((FOLDER / "fcos.json").read_text())
CASES = {case["id"]: tuple(case["image_hw"]) for case in GOLDEN["cases"]}
MAPS = {"logits": "classes", "box_pred": "boxes", "ctr_logits": "centerness"}


def in_levels(size: tuple[int, int], values: np.ndarray) -> dict[str, np.ndarray]:
    """Splits values [images, locations, channels] into maps of the levels."""
    maps, first = {}, 0
    for level, (height, width) in fcos.level_sizes(size).items():
        part = values[:, first : first + height * width]
        maps[level] = part.reshape(len(values), height, width, -1)
        first += height * width
    return maps


def outputs_of(size: tuple[int, int], flat: dict[str, np.ndarray]) -> Outputs:
    return {
        f"{level}.{name}": tf.constant(part, tf.float32)
        for name, values in flat.items()
        for level, part in in_levels(size, values).items()
    }


class TestDetection(TaskContract):
    task = Detection(3, score="ap", names=("nut", "bolt", "screw"))
    size = (64, 96)
    updates_in_graph = False

    def targets(self, seed: int, batch: int) -> np.ndarray:
        """A box in each half of an image, and rows without one."""
        rng = np.random.default_rng(seed)
        boxes = np.full((batch, 5, 5), -1.0, np.float32)
        for image in boxes:
            for half in (0, 1):
                x1, y1 = 48 * half + rng.uniform(0, 12), rng.uniform(0, 20)
                width, height = rng.uniform(20, 34, 2)
                image[2 * half] = x1, y1, x1 + width, y1 + height, rng.integers(3)
        return boxes

    def perfect(self, target: np.ndarray) -> Outputs:
        encoded = self.task.encode(target, self.size).numpy()
        true = encoded[..., :1] == np.arange(1, 4)
        center = np.clip(encoded[..., 5:], 1e-4, 1 - 1e-4)
        return outputs_of(
            self.size,
            {
                "classes": np.where(true, 10.0, -10.0),
                "boxes": np.maximum(encoded[..., 1:5], 1.0),
                "centerness": np.log(center / (1 - center)),
            },
        )

    def outputs(self, seed: int, batch: int) -> Outputs:
        rng = np.random.default_rng(seed)
        count = sum(height * width for height, width in fcos.level_sizes(self.size).values())
        channels = {"classes": 3, "boxes": 4, "centerness": 1}
        return outputs_of(
            self.size,
            {
                name: (8.0 if name == "boxes" else 1.0)
                * np.abs(rng.standard_normal((batch, count, number)))
                for name, number in channels.items()
            },
        )


def golden_boxes(case: str) -> np.ndarray:
    """The boxes of a case, padded by rows of class -1."""
    padded = np.full((2, 40, 5), -1.0, np.float32)
    for n, rows in enumerate(padded):
        boxes, labels = VALUES[f"{case}/boxes{n}"], VALUES[f"{case}/boxlabels{n}"]
        rows[: len(boxes), :4], rows[: len(boxes), 4] = boxes, labels - 1
    return padded


@pytest.mark.parametrize("case", CASES)
def test_locations_learn_what_they_do_in_the_reference(case: str) -> None:
    encoded = fcos.assigned(tf.constant(golden_boxes(case)), CASES[case]).numpy()
    np.testing.assert_array_equal(encoded[..., 0], VALUES[f"{case}/labels"])
    if f"{case}/reg_targets" in VALUES:
        positive = encoded[..., 0] > 0
        expected = VALUES[f"{case}/reg_targets"][positive]
        np.testing.assert_allclose(encoded[positive, 1:5], expected, atol=1e-5)
        np.testing.assert_allclose(encoded[..., 5], VALUES[f"{case}/centerness"], atol=1e-6)


def test_ranges_decide_which_level_learns_a_box() -> None:
    box = np.array([[[30, 30, 80, 80, 0]]], np.float32)
    found = {}
    for name, arguments in {"paper": {}, "small": {"ranges": (16, 32, 64, 128)}}.items():
        encoded = Detection(1, **arguments).encode(box, (128, 128)).numpy()
        levels = in_levels((128, 128), encoded[..., :1])
        found[name] = [level for level, values in levels.items() if values.any()]
    assert found == {"paper": ["p3"], "small": ["p4", "p5"]}


@pytest.mark.parametrize("case", [case for case in CASES if f"{case}/logits" in VALUES])
def test_losses_and_their_gradients_are_those_of_the_reference(case: str) -> None:
    encoded = fcos.assigned(tf.constant(golden_boxes(case)), CASES[case])
    parts = [tf.constant(VALUES[f"{case}/{name}"], tf.float32) for name in MAPS]
    parts[2] = parts[2][..., None]
    expected = next(item["losses"] for item in GOLDEN["cases"] if item["id"] == case)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(parts)
        found = fcos.losses(encoded, *parts)
    for loss, name in zip(found, ("cls", "reg", "ctr"), strict=True):
        assert float(loss) == pytest.approx(expected[name], rel=1e-5, abs=1e-7)
    for loss, part, name in zip(found, parts, MAPS, strict=True):
        gradient = tape.gradient(loss, part, unconnected_gradients="zero").numpy()
        wanted = VALUES[f"{case}/grad_{name}"].reshape(gradient.shape)
        np.testing.assert_allclose(gradient, wanted, atol=1e-6 * max(1, np.abs(wanted).max()))


@pytest.mark.parametrize("batch", [None, 2])
def test_the_chosen_boxes_are_those_of_the_reference(batch: int | None) -> None:
    size = tuple(GOLDEN["detection"]["image_hw"])
    given = outputs_of(
        size,
        {
            ours: VALUES[f"det/{name}"].reshape(2, -1, n)
            for (name, ours), n in zip(MAPS.items(), (3, 4, 1), strict=True)
        },
    )
    signature = {name: tf.TensorSpec((batch, *part.shape[1:])) for name, part in given.items()}
    answer = tf.function(
        lambda outputs: Detection(3).answer(outputs, size),
        input_signature=[signature],
        autograph=False,
    )(given)
    for n in (0, 1):
        expected = VALUES[f"det/plain{n}"]
        assert int(answer["count"][n]) == len(expected)
        np.testing.assert_array_equal(answer["classes"][n] + 1, expected[:, 0])
        np.testing.assert_allclose(answer["scores"][n], expected[:, 1], atol=1e-6)
        np.testing.assert_allclose(answer["boxes"][n], expected[:, 2:], atol=1e-3)


def test_the_loss_as_a_score_is_that_of_each_image() -> None:
    contract = TestDetection()
    task = Detection(3)
    target, outputs = contract.targets(1, 3), contract.outputs(1, 3)
    metrics = metrics_of(task)
    metrics.update(target, outputs, contract.size)
    alone = [
        float(
            task.loss(
                task.encode(target[n : n + 1], contract.size),
                {name: part[n : n + 1] for name, part in outputs.items()},
            )
        )
        for n in range(3)
    ]
    result = metrics.result()
    assert result["loss"] == pytest.approx(np.mean(alone), rel=1e-6)
    assert task.score(result) == pytest.approx(np.exp(-np.mean(alone)), rel=1e-6)


def test_a_missed_and_a_wrong_box_lower_the_precision() -> None:
    task = Detection(2)
    target = np.array([[[0, 0, 10, 10, 0], [20, 20, 40, 40, 1]]], np.float32)

    def answer(*rows: tuple[float, ...]) -> dict[str, Any]:
        table = np.array(rows, np.float32)
        return {
            "boxes": table[None, :, :4],
            "scores": table[None, :, 4],
            "classes": table[None, :, 5].astype(np.int32),
        }

    def figures(*rows: tuple[float, ...]) -> dict[str, float]:
        metrics = task.metrics()
        metrics.add(target, answer(*rows))
        return dict(metrics.result())

    first, second = (0, 0, 10, 10, 0.9, 0), (20, 20, 40, 40, 0.8, 1)
    assert figures(first, second)["ap"] == pytest.approx(1.0)
    assert figures(first)["ap"] == pytest.approx(0.5)
    assert figures(first, (20, 20, 40, 40, 0.8, 0))["ap50"] == pytest.approx(0.5)
    shifted = figures(first, (22, 22, 42, 42, 0.8, 1))
    assert shifted["ap50"] == pytest.approx(1.0)
    assert shifted["ap"] < 0.85


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ({"classes": 0}, "classes is 0, expected an integer of 1 or more"),
        ({"classes": 2, "names": ("a",)}, "names has 1 entries, expected 2, one per class"),
        ({"classes": 2, "score": "map"}, "score is 'map', expected 'loss' or 'ap'"),
        *(
            (
                {"classes": 2, "ranges": ranges},
                f"ranges is {list(ranges)}, expected four rising numbers of pixels",
            )
            for ranges in ((64, 128, 256), (64, 64, 128, 256), (0, 64, 128, 256))
        ),
    ],
)
def test_wrong_settings_are_one_line(arguments: dict[str, Any], line: str) -> None:
    with pytest.raises(ConfigError) as error:
        Detection(**arguments)
    assert str(error.value) == line


@pytest.mark.parametrize(
    ("side", "label", "kept"),
    [(59.5, 0, True), (60.5, 0, False), (60.5, 1, True), (100.0, 1, True)],
)
def test_a_box_gives_way_above_an_overlap_of_six_tenths_in_its_class(
    side: float, label: int, kept: bool
) -> None:
    candidates = {
        "candidate_boxes": np.array([[[0, 0, 100, 100], [0, 0, 100, side]]], np.float32),
        "candidate_scores": np.array([[0.9, 0.8]], np.float32),
        "candidate_classes": np.array([[0, label]], np.int32),
    }
    answer = Detection(2).decoded(candidates)
    assert answer["count"].tolist() == [1 + kept]
    assert answer["classes"][0, :3].tolist() == [0, label if kept else -1, -1]


def test_boxes_without_an_area_are_none() -> None:
    """TensorFlow Lite repeats the first of them in all rows after it."""
    flat = [[50, 9, 50, 20], [9, 30, 20, 30], [0, 0, 20, 20], [40, 40, 30, 60]]
    candidates = {
        "candidate_boxes": np.array([flat], np.float32),
        "candidate_scores": np.array([[0.9, 0.8, 0.7, 0.6]], np.float32),
        "candidate_classes": np.array([[0, 1, 1, 0]], np.int32),
    }
    answer = Detection(2).decoded(candidates)
    assert answer["count"].tolist() == [1]
    assert answer["boxes"][0, :2].tolist() == [[0, 0, 20, 20], [0, 0, 0, 0]]


def test_boxes_in_the_padding_alone_are_no_boxes_of_the_picture() -> None:
    geometry = InputGeometry((64, 64), Resize(), windows=False)
    answer = {
        "boxes": np.array([[[0, 0, 16, 9], [0, 0, 32, 9], [40, 20, 70, 60], [0, 0, 0, 0]]], "f4"),
        "scores": np.array([[0.9, 0.8, 0.7, 0.0]], np.float32),
        "classes": np.array([[1, 0, 1, -1]], np.int32),
        "count": np.array([3], np.int32),
    }
    found = Detection(2).in_picture(answer, geometry, (64, 32))
    assert found["count"] == 2
    assert found["boxes"].numpy().tolist() == [[0, 0, 16, 9], [24, 20, 32, 60], [0] * 4, [0] * 4]
    np.testing.assert_allclose(found["scores"], [0.8, 0.7, 0, 0])
    assert found["classes"].numpy().tolist() == [0, 1, -1, -1]


def test_classes_less_likely_than_a_twentieth_are_no_boxes() -> None:
    """The probability of the class decides, before the centerness is taken into account."""
    size = (64, 64)
    count = sum(height * width for height, width in fcos.level_sizes(size).values())
    logits = np.full((1, count, 1), np.log(0.04 / 0.96))
    logits[0, 5] = np.log(0.06 / 0.94)
    flat = {"classes": logits, "boxes": np.full((1, count, 4), 4.0)}
    flat["centerness"] = np.zeros((1, count, 1))
    answer = Detection(1).answer(outputs_of(size, flat), size)
    assert answer["count"].numpy().tolist() == [1]
    np.testing.assert_allclose(answer["scores"][0, 0], 0.03, rtol=1e-5)
