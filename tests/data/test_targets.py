"""Every kind of target: stored and read, checked, resized, moved, batched, counted and drawn."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from nas_tf.data.augment import augment, move
from nas_tf.data.builder import DenseBuilder, Item, features
from nas_tf.data.check import check
from nas_tf.data.degradations import Degradation, Noise
from nas_tf.data.example_sheet import save_sheet, sheet
from nas_tf.data.examples import Examples, resize_example
from nas_tf.data.geometry import Motion, sample_motion
from nas_tf.data.info import DatasetInfo
from nas_tf.data.pipeline import evaluation, training, views
from nas_tf.data.registry import DATASETS
from nas_tf.data.store import prepare
from nas_tf.data.targets import TARGETS
from nas_tf.data.views import View
from nas_tf.input_geometry import Resize
from nas_tf.tasks.base import TargetSpec

INFO = DatasetInfo(
    name="tiny",
    title="Three small pictures with every kind of target",
    targets=("label", "depth", "keypoints", "boxes", "clean"),
    splits={"train": None},
    how_to_get="it is in this test",
    classes=("cat", "dog", "cow"),
    joints=("left", "right"),
    swaps=((0, 1),),
    extras=("head_size", "area"),
    most_boxes=4,
)
BOXES = TargetSpec("boxes")
CLEAN = TargetSpec("clean")
FILLS = {"label": 255, "depth": 0, "keypoints": 0, "boxes": 0, "clean": -2}
NO_BOX = [-1.0] * 5
STILL = View((24, 32), centred=True)
HEIGHT, WIDTH = 4, 6
FRAMES = {
    0: [[1, 2, 11, 12, 2], [0, 0, 32, 24, 0]],
    1: [],
    2: [[4, 4, 20, 9, 1], [2.5, 3, 3.5, 20, 1], [30, 20, 32, 24, 0]],
}


def annotated(number: int) -> dict[str, np.ndarray]:
    """A picture of noise with all kinds of stored targets; the second one has no box."""
    rng = np.random.default_rng(number)
    joints = np.array([[[3, 4, 2], [20, 5, 1]]], np.float32)
    return {
        "image": rng.integers(0, 256, (24, 32, 3)).astype(np.uint8),
        "label": rng.choice([0, 1, 255], (24, 32)).astype(np.uint8),
        "depth": rng.uniform(0, 9, (24, 32)).astype(np.float32),
        "keypoints": joints + number,
        "boxes": np.array(FRAMES[number], np.float32).reshape(-1, 5),
        "head_size": np.array([3.5 + number], np.float32),
        "area": np.array([40 + number], np.float32),
    }


class Tiny(DenseBuilder, skip_registration=True):
    """Three pictures that exist in memory only."""

    VERSION = tfds.core.Version("1.0.0")
    INFO = INFO

    @classmethod
    def items(cls, source: Path, split: str) -> list[Item] | None:
        return [Item(str(number), partial(annotated, number)) for number in range(3)]


@pytest.fixture(scope="module", autouse=True)
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Examples]:
    """The prepared pictures, known by name."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(DATASETS, "tiny", Tiny)
        prepare("tiny", tmp_path_factory.mktemp("source"))
        yield Examples("tiny", "train")


@pytest.mark.parametrize("key", TARGETS)
def test_a_prepared_record_gives_back_what_was_stored(key: str, tiny: Examples) -> None:
    for number in range(3):
        stored, read = annotated(number), tiny.get(tf.constant(number))
        assert (key in read) == (key in stored) == (key in features(INFO))
        if key in stored:
            assert read[key].numpy().dtype == stored[key].dtype
            assert np.array_equal(read[key], stored[key])


def test_boxes_of_integers_are_stored_as_floats() -> None:
    integers = np.array([[1, 2, 3, 4, 0]])
    assert TARGETS["boxes"].to_record(integers).dtype == np.float32


def example(**targets: object) -> dict[str, tf.Tensor]:
    """A picture of 4 x 6 pixels with some targets."""
    parts = {key: tf.constant(value, tf.float32) for key, value in targets.items()}
    return {"image": tf.zeros((HEIGHT, WIDTH, 3)), **parts}


ROWS = np.repeat(np.arange(6.0), 4).reshape(6, 4).T
"""A map of 4 x 6 pixels; each has the number of its column."""
JOINTS = [[[1, 2, 2], [4, 0, 1]]]
BOX = [[1, 0, 4, 3, 2]]


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("label", ROWS, np.repeat(np.repeat(ROWS, 2, axis=0), 3, axis=1)),
        ("depth", ROWS, np.repeat(np.repeat(ROWS, 2, axis=0), 3, axis=1)),
        ("keypoints", JOINTS, [[[4, 4.5, 2], [13, 0.5, 1]]]),
        ("head_size", [2.0], [2 * 6**0.5]),
        ("area", [2.0], [12]),
        ("boxes", BOX, [[3, 0, 12, 6, 2]]),
    ],
)
def test_resizing(key: str, value: object, expected: object) -> None:
    """By 2 down the rows and 3 along the columns."""
    resized = resize_example(example(**{key: value}), Resize(exact=(2 * HEIGHT, 3 * WIDTH)))
    np.testing.assert_allclose(resized[key], expected, rtol=1e-6)


def motion(crop: tuple[int, int] = (HEIGHT, WIDTH), **changes: object) -> Motion:
    """A motion that does nothing to a picture of 4 x 6 pixels except for the changes."""
    parts = {"scale": 1.0, "turn": 0.0, "mirror": False, "shift": (0.0, 0.0), **changes}
    values = {key: tf.constant(value) for key, value in parts.items()}
    return Motion(tf.constant([HEIGHT, WIDTH]), crop, **values)


TWICE = motion((8, 12), scale=2.0)
MIRRORED = motion(mirror=True)
SHIFTED = motion(shift=(-2.0, 1.0))
QUARTER_TURN = motion((6, 4), turn=np.pi / 2, shift=(-1.0, 1.0))
DOUBLED = np.repeat(np.repeat(ROWS, 2, axis=0), 2, axis=1)
PADDED = np.pad(ROWS[:3, 2:], ((1, 0), (0, 2)), constant_values=7)


@pytest.mark.parametrize(
    ("key", "value", "applied", "expected"),
    [
        ("label", ROWS, TWICE, DOUBLED),
        ("label", ROWS, MIRRORED, ROWS[:, ::-1]),
        ("label", ROWS, SHIFTED, PADDED),
        ("depth", ROWS, TWICE, DOUBLED / 2),
        ("depth", ROWS, MIRRORED, ROWS[:, ::-1]),
        ("depth", ROWS, SHIFTED, PADDED),
        ("keypoints", JOINTS, TWICE, [[[2.5, 4.5, 2], [8.5, 0.5, 1]]]),
        ("keypoints", JOINTS, MIRRORED, [[[1, 0, 1], [4, 2, 2]]]),
        ("keypoints", JOINTS, SHIFTED, [[[0, 0, 0], [2, 1, 1]]]),
        ("head_size", [2.0], TWICE, [4]),
        ("head_size", [2.0], MIRRORED, [2]),
        ("area", [2.0], TWICE, [8]),
        ("area", [2.0], SHIFTED, [2]),
        ("boxes", BOX, TWICE, [[2, 0, 8, 6, 2]]),
        ("boxes", BOX, MIRRORED, [[2, 0, 5, 3, 2]]),
        ("boxes", BOX, SHIFTED, [[0, 1, 2, 4, 2]]),
        ("boxes", BOX, QUARTER_TURN, [[1, 1, 4, 4, 2]]),
    ],
)
def test_motions(key: str, value: object, applied: Motion, expected: object) -> None:
    moved = move(example(**{key: value}), applied, INFO, dict.fromkeys(FILLS, 7))
    np.testing.assert_allclose(moved[key], expected, atol=1e-5)


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ([0, 0, 4, 4, 1], [0, 0, 1, 4, 1]),  # a quarter is left
        ([0, 0, 3.99, 4, 1], NO_BOX),
        ([3, 0, 4, 1, 1], [0, 0, 1, 1, 1]),  # a pixel is left
        ([3, 0, 4, 0.9, 1], NO_BOX),
        ([0, 0, 3, 4, 1], NO_BOX),
        (NO_BOX, NO_BOX),
    ],
)
def test_boxes_that_leave_the_crop_are_absent(box: list[float], expected: list[float]) -> None:
    moved = move(example(boxes=[box]), motion(shift=(-3.0, 0.0)), INFO, FILLS)
    np.testing.assert_allclose(moved["boxes"], [expected], atol=1e-6)


def test_a_turned_box_is_the_bounding_box_of_its_corners() -> None:
    eighth = motion((8, 8), turn=np.pi / 4, shift=(1.0, 2.0))
    moved = move(example(boxes=[[2, 1, 4, 3, 0]]), eighth, INFO, FILLS)
    half = 2**0.5
    np.testing.assert_allclose(
        moved["boxes"], [[4 - half, 4 - half, 4 + half, 4 + half, 0]], rtol=1e-6
    )


@settings(max_examples=30)
@given(
    seed=st.integers(0, 2**31 - 1).map(lambda seed: tf.constant([seed, 7])),
    crop=st.tuples(st.integers(20, 60), st.integers(20, 60)),
    scale=st.tuples(st.floats(0.6, 1.0), st.floats(1.0, 2.0)),
    mirror=st.booleans(),
    rotate=st.sampled_from([0.0, 40.0]),
)
def test_boxes_frame_the_same_image_content(
    seed: tf.Tensor, rotate: float, **rules: object
) -> None:
    view = View(rotate=rotate, **rules)
    label = np.zeros((30, 40), np.uint8)
    label[8:20, 5:25] = 1
    before = {"image": tf.zeros((30, 40, 3)), "label": tf.constant(label)}
    before["boxes"] = tf.constant([[5.0, 8, 25, 20, 1]])
    sampled = sample_motion(view, tf.constant([30, 40]), seed)
    after = move(before, sampled, INFO, {"label": 0})
    (x1, y1, x2, y2, label_of_box), shown = after["boxes"][0].numpy(), after["label"].numpy() == 1
    if label_of_box < 0:
        assert shown.sum() <= 0.3 * 240 * float(sampled.scale) ** 2
        return
    rows, columns = (np.flatnonzero(shown.any(axis=axis)) for axis in (1, 0))
    found = [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
    np.testing.assert_allclose([x1, y1, x2, y2], found, atol=2.5 if rotate else 1)


def expected_boxes(number: int) -> np.ndarray:
    """The boxes of a picture as a batch has them."""
    rows = [*FRAMES[number], *[NO_BOX] * 4]
    return np.array(rows[: INFO.most_boxes], np.float32)


@pytest.mark.parametrize("subset", [[0, 1, 2], [1], [2, 2]])
def test_batches_have_rows_for_the_most_boxes(tiny: Examples, subset: list[int]) -> None:
    expected = np.stack([expected_boxes(number) for number in subset])
    options = dict(batch=len(subset), subset=subset)
    streams = (
        training(tiny, BOXES, STILL, seed=1, epochs=1, shuffle=False, **options),
        views(tiny, BOXES, STILL, seed=1, **options),
        evaluation(tiny, BOXES, STILL, **options),
    )
    for stream in streams:
        assert stream.element_spec[1].shape[1:] == (4, 5)
        ((images, boxes),) = list(stream)
        assert np.array_equal(boxes, expected)
        assert images.shape == (len(subset), 24, 32, 3)


def test_boxes_and_extras_of_different_counts_share_a_batch(tiny: Examples) -> None:
    (batch,) = evaluation(tiny, BOXES, STILL, batch=3, extras=("area", "label"))
    assert np.array_equal(batch[1]["boxes"], np.stack([expected_boxes(n) for n in range(3)]))
    assert batch[1]["area"].numpy().tolist() == [[40], [41], [42]]
    assert np.array_equal(batch[1]["label"][2], annotated(2)["label"])


def noise(sigma: float) -> Degradation:
    return Degradation(noise=Noise((sigma,)))


NOISY = View((24, 32), mirror=True, scale=(0.8, 1.3), brightness=0.1, degradation=noise(30.0))


def test_the_clean_target_is_the_input_without_its_noise(tiny: Examples) -> None:
    quiet, picture, seed = (
        replace(NOISY, degradation=None),
        tiny.get(tf.constant(0)),
        tf.constant([4, 5]),
    )
    noisy = augment(picture, NOISY, INFO, FILLS, seed)
    without = augment(picture, quiet, INFO, FILLS, seed)
    assert np.array_equal(noisy["clean"], without["clean"])
    inside = without["clean"] != FILLS["clean"]
    assert 0.3 < np.mean(inside) < 1
    assert np.array_equal(without["clean"][inside], without["image"][inside])
    assert np.array_equal(noisy["label"], without["label"])
    assert noisy["clean"].dtype == tf.float32
    assert "clean" not in augment(picture, NOISY, INFO, {"label": 255}, seed)


def test_noise_has_the_given_deviation_and_is_not_clipped() -> None:
    white = {"image": tf.fill((100, 100, 3), 255.0)}
    view = View((100, 100), centred=True, degradation=noise(25.0))
    parts = augment(white, view, INFO, FILLS, tf.constant([1, 2]))
    added = (parts["image"] - parts["clean"]).numpy() * 127.5
    assert added.std() == pytest.approx(25, rel=0.02)
    assert added.mean() == pytest.approx(0, abs=0.5)
    assert (added > 0).mean() == pytest.approx(0.5, abs=0.02)


def test_noise_depends_on_seed_epoch_and_picture(tiny: Examples) -> None:
    def added(stream: tf.data.Dataset) -> np.ndarray:
        return np.concatenate([(image - clean).numpy() for image, clean in stream])

    view = View((24, 32), centred=True, degradation=noise(10.0))
    first, second, alone = (
        added(evaluation(tiny, CLEAN, view, batch=batch, subset=subset))
        for batch, subset in ((3, None), (2, None), (1, [1]))
    )
    assert np.array_equal(first, second)
    assert np.array_equal(first[1:2], alone)
    assert not np.allclose(first[0], first[1])
    options = dict(batch=3, shuffle=False, epochs=2)
    trained = added(training(tiny, CLEAN, view, seed=1, **options))
    assert np.array_equal(trained, added(training(tiny, CLEAN, view, seed=1, **options)))
    assert not np.allclose(trained[:3], trained[3:])
    assert not np.allclose(trained, added(training(tiny, CLEAN, view, seed=2, **options)))


def test_what_only_pictures_have_is_part_of_a_views_text_only_where_it_acts() -> None:
    assert repr(View((4, 6))) == (
        "View(crop=(4, 6), scale=(1.0, 1.0), longer_side=None, shorter_at_least=None, "
        "longer_at_most=None, centred=False, mirror=False, rotate=0.0, brightness=0.0, "
        "contrast=0.0, saturation=0.0, hue=0.0)"
    )
    shown = str(View((4, 6), turns=True, grey=True, degradation=noise(2.5)))
    assert "hue=0.0, turns=True, grey=True, degradation=Degradation(" in shown
    assert "sigma=(2.5,)" in shown


def test_a_check_counts_pixels_and_boxes_of_each_class(tmp_path: Path) -> None:
    report = check("tiny", tmp_path)
    assert report.problems == []
    counts = report.splits["train"].counts
    assert counts["boxes"].tolist() == [2, 2, 1, 0]
    labels = np.stack([annotated(number)["label"] for number in range(3)])
    assert counts["label"].tolist() == [(labels == value).sum() for value in (0, 1, 2, 255)]
    assert report.notes[:-1] == ["no pixel is of class cow: nothing is learnt of it"]


def test_a_class_without_boxes_is_noted_and_a_bad_box_is_a_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(FRAMES, 0, [[1, 2, 3, 4, 1]])
    monkeypatch.setitem(FRAMES, 2, [[1, 2, 3, 4, 0]])
    assert "no box is of class cow: nothing is learnt of it" in check("tiny", tmp_path).notes
    monkeypatch.setitem(FRAMES, 2, [[1, 2, 40, 4, 0]])
    (problem,) = check("tiny", tmp_path).problems
    assert problem.startswith("box 1 of 2 is from (1, 2) to (40, 4), its image 2 is 32x24")


def test_a_sheet_shows_boxes_in_the_colours_of_their_classes(tmp_path: Path) -> None:
    content = sheet("tiny", "train", 3)
    save_sheet(content, tmp_path / "all.png")
    info = replace(
        INFO, targets=("boxes", "clean"), palette=((250, 0, 0), (0, 250, 0), (0, 0, 250))
    )
    save_sheet(replace(content, info=info), tmp_path / "boxes.png")
    with Image.open(tmp_path / "boxes.png") as picture:
        used = {tuple(colour) for colour in np.asarray(picture.convert("RGB")).reshape(-1, 3)}
    assert set(info.colours) <= used


def test_keypoints_of_the_embedded_scenes_keep_their_form(shapes: Examples) -> None:
    spec = evaluation(shapes, TargetSpec("keypoints"), STILL, batch=2).element_spec[1]
    assert spec.shape.as_list() == [None, None, 14, 3]
