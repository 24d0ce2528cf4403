"""Image, dense targets and keypoints stay aligned in every motion."""

from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from nas_tf.data.augment import augment, move
from nas_tf.data.geometry import Motion, sample_motion
from nas_tf.data.info import DatasetInfo
from nas_tf.data.views import View
from nas_tf.errors import ConfigError

INFO = DatasetInfo(
    name="test",
    title="",
    targets=("label", "depth", "keypoints"),
    splits={},
    how_to_get="",
    joints=("left hand", "right hand", "head"),
    swaps=((0, 1),),
)
FILLS = {"label": 255, "depth": 0, "keypoints": 0}
GREYS = np.array([0, 40, 80, 120, 160, 200, 240], np.uint8)

views = st.builds(
    View,
    crop=st.tuples(st.integers(8, 60), st.integers(8, 60)),
    scale=st.tuples(st.floats(0.5, 1.0), st.floats(1.0, 2.0)),
    shorter_at_least=st.sampled_from([None, 20, 30]),
    longer_at_most=st.sampled_from([None, 40]),
    centred=st.booleans(),
    mirror=st.booleans(),
    rotate=st.sampled_from([0.0, 40.0]),
)
seeds = st.integers(0, 2**31 - 1).map(lambda seed: tf.constant([seed, 7]))


def example(height: int, width: int, seed: int = 0) -> dict[str, tf.Tensor]:
    """Blocks of classes; the image shows each class in its own grey."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, len(GREYS), (height // 6 + 1, width // 6 + 1))
    label = np.kron(coarse, np.ones((6, 6), int))[:height, :width].astype(np.uint8)
    image = np.repeat(GREYS[label][..., None], 3, axis=2)
    return {"image": tf.constant(image), "label": tf.constant(label)}


def interior(label: np.ndarray) -> np.ndarray:
    """Pixels with one class within three pixels, the reach of bilinear interpolation at 2.5 x."""
    same = np.zeros(label.shape, bool)
    windows = np.lib.stride_tricks.sliding_window_view(label, (7, 7))
    same[3:-3, 3:-3] = windows.min(axis=(2, 3)) == windows.max(axis=(2, 3))
    return same


def still(image: tf.Tensor, crop: tuple[int, int], **changes: object) -> Motion:
    """A motion of an image into a crop that does nothing except for the changes."""
    parts = {"scale": 1.0, "turn": 0.0, "mirror": False, "shift": (0.0, 0.0), **changes}
    values = {key: tf.constant(value) for key, value in parts.items()}
    return Motion(tf.shape(image)[:2], crop, **values)


@settings(max_examples=40)
@given(view=views, seed=seeds, size=st.tuples(st.integers(12, 50), st.integers(12, 50)))
def test_labels_stay_aligned_and_no_value_appears(
    view: View, seed: tf.Tensor, size: tuple[int, int]
) -> None:
    before = example(*size)
    after = augment(before, view, INFO, FILLS, seed)
    label, image = after["label"].numpy(), after["image"].numpy()
    assert image.shape == (*view.crop, 3)
    assert label.shape == view.crop
    assert image.min() >= -1
    assert image.max() <= 1
    assert set(np.unique(label)) <= set(np.unique(before["label"])) | {255}
    inside = interior(label) & (label != 255)
    shown = (image[..., 0] + 1) * 127.5
    np.testing.assert_allclose(shown[inside], GREYS[label[inside]], atol=0.1)
    np.testing.assert_allclose(image[interior(label) & (label == 255)], 0, atol=1e-6)


@settings(max_examples=15)
@given(view=views, seed=seeds)
def test_the_same_seed_gives_the_same_bytes(view: View, seed: tf.Tensor) -> None:
    first, second = (augment(example(30, 40), view, INFO, FILLS, seed) for _ in range(2))
    assert all(np.array_equal(first[key], second[key]) for key in first)


@settings(max_examples=30)
@given(view=views, seed=seeds)
def test_keypoints_land_on_the_same_image_content(view: View, seed: tf.Tensor) -> None:
    places = np.array([[8, 9], [25, 20], [33, 12]])
    label = np.zeros((30, 40), np.uint8)
    for number, (x, y) in enumerate(places, start=1):
        label[y - 2 : y + 3, x - 2 : x + 3] = number
    points = np.column_stack([places, [2, 2, 2]])[None].astype(np.float32)
    before = {"image": np.repeat(label[..., None], 3, 2), "label": label, "keypoints": points}
    motion = sample_motion(view, tf.constant([30, 40]), seed)
    after = move({k: tf.constant(v) for k, v in before.items()}, motion, INFO, FILLS)
    expected = [2, 1, 3] if bool(motion.mirror) else [1, 2, 3]
    for (x, y, visibility), number in zip(after["keypoints"][0].numpy(), expected, strict=True):
        if visibility:
            row, column = min(round(y), view.crop[0] - 1), min(round(x), view.crop[1] - 1)
            assert after["label"][row, column] == number


def test_a_mirror_swaps_sides_and_twice_is_nothing() -> None:
    before = example(24, 32)
    before["depth"] = tf.random.stateless_uniform((24, 32), (1, 2), 1, 9)
    points = [[[3, 4, 2], [20, 8, 1], [0, 0, 0]]]
    before["keypoints"] = tf.constant(points, tf.float32)
    mirror = still(before["image"], (24, 32), mirror=True)
    once = move(before, mirror, INFO, FILLS)
    assert np.array_equal(once["label"], before["label"][:, ::-1])
    assert once["keypoints"].numpy().tolist() == [[[11, 8, 1], [28, 4, 2], [0, 0, 0]]]
    twice = move(once, mirror, INFO, FILLS)
    for key in before:
        np.testing.assert_array_equal(twice[key], before[key])


def test_lengths_and_depth_follow_the_scale() -> None:
    before = example(20, 20) | {
        "depth": tf.fill((20, 20), 6.0),
        "head_size": tf.constant([5.0]),
        "area": tf.constant([30.0]),
    }
    after = move(before, still(before["image"], (40, 40), scale=2.0), INFO, FILLS)
    assert np.unique(after["depth"]).tolist() == [3.0]
    assert after["head_size"].numpy().tolist() == [10.0]
    assert after["area"].numpy().tolist() == [120.0]


def test_joints_that_leave_the_crop_are_absent() -> None:
    before = {"image": tf.zeros((20, 20, 3)), "keypoints": tf.fill((1, 3, 3), 2.0)}
    after = move(before, still(before["image"], (20, 20), shift=(-3.0, 0.0)), INFO, FILLS)
    assert not after["keypoints"].numpy().any()


@pytest.mark.parametrize("crop", [(24, 32), (10, 40), (50, 11), (25, 33), (7, 7)])
def test_a_still_view_is_a_copy_and_equals_the_sampled_one(crop: tuple[int, int]) -> None:
    before, view = example(24, 32), View(crop, centred=True)
    motion = sample_motion(view, tf.constant([24, 32]), tf.constant([1, 2]))
    assert motion.still
    sampled = replace(motion, still=False, upright=False)
    for item, other in (("image", "image"), ("label", "label")):
        first, second = (move(before, m, INFO, FILLS) for m in (motion, sampled))
        np.testing.assert_allclose(first[item], second[other], atol=1e-4)
    if crop == (24, 32):
        assert np.array_equal(move(before, motion, INFO, FILLS)["image"], before["image"])


@pytest.mark.parametrize("upright", [False, True])
@pytest.mark.parametrize("mirror", [False, True])
def test_scaling_without_rotation_is_tf_image_resize(upright: bool, mirror: bool) -> None:
    image = tf.random.stateless_uniform((21, 33, 3), (3, 4), 0, 255)
    motion = replace(still(image, (42, 66), scale=2.0, mirror=mirror), upright=upright)
    moved = move({"image": image}, motion, INFO, FILLS)["image"]
    resized = tf.image.resize(image[:, ::-1] if mirror else image, (42, 66))
    border = 0 if upright else 1  # sampled by matrix, half a pixel at the border mixes with grey
    inner = slice(border, -border or None)
    np.testing.assert_allclose(moved[inner, inner], resized[inner, inner], atol=1e-3)


@settings(max_examples=25)
@given(view=views, seed=seeds)
def test_sampling_rows_and_columns_apart_changes_nothing(view: View, seed: tf.Tensor) -> None:
    inner = tf.random.stateless_uniform((26, 36, 3), seed, 0, 255)
    framed = tf.pad(inner, [[2, 2], [2, 2], [0, 0]], constant_values=127.5)
    drawn = sample_motion(view, tf.constant([30, 40]), seed)
    apart = replace(drawn, turn=tf.constant(0.0), still=False, upright=True)
    first, second = (
        move({"image": framed}, motion, INFO, FILLS)["image"]
        for motion in (apart, replace(apart, upright=False))
    )
    np.testing.assert_allclose(first, second, atol=0.05)


def test_every_place_of_a_crop_is_drawn() -> None:
    view = View((4, 4))
    shifts = {
        tuple(sample_motion(view, tf.constant([6, 5]), tf.constant([s, 0])).shift.numpy())
        for s in range(200)
    }
    assert shifts == {(-x, -y) for x in range(2) for y in range(3)}


def test_size_rules_of_the_papers() -> None:
    def scale(size: tuple[int, int], **rules: object) -> float:
        view = View((8, 8), **rules)
        return float(sample_motion(view, tf.constant(size), tf.constant([1, 1])).scale)

    assert scale((200, 400), shorter_at_least=300) == 1.5
    assert scale((600, 900), shorter_at_least=300) == 1.0
    assert scale((1024, 2048), scale=(0.7, 1.4), longer_at_most=1024) == 0.5
    assert scale((100, 128), longer_side=256) == 2.0


def test_a_share_of_the_pictures_is_scaled() -> None:
    """The others keep their size, and a share of 1 changes no motion of before."""
    size, view = tf.constant([40, 50]), View((8, 8), scale=(0.8, 1.2))
    seeds_ = [tf.constant([n, 3]) for n in range(200)]
    always = [float(sample_motion(view, size, seed).scale) for seed in seeds_]
    fifth = replace(view, scale_share=0.2)
    scales = [float(sample_motion(fifth, size, seed).scale) for seed in seeds_]
    assert 1 not in always
    assert all(scale in (1, other) for scale, other in zip(scales, always, strict=True))
    assert 130 < scales.count(1.0) < 190
    assert "scale_share=0.2" in repr(fifth)
    assert "scale_share" not in repr(view)


@pytest.mark.parametrize("factor", [0.8, 1.0, 1.25])
def test_bicubic_scaling_is_that_of_pillow(factor: float) -> None:
    pixels = np.random.default_rng(2).integers(90, 166, (40, 60, 3), np.uint8)
    size = round(40 * factor), round(60 * factor)
    view = View(size, scale=(factor, factor), interpolation="bicubic")
    motion = sample_motion(view, tf.constant([40, 60]), tf.constant([1, 2]))
    moved = move({"image": tf.constant(pixels)}, motion, INFO, FILLS)["image"]
    expected = Image.fromarray(pixels).resize(size[::-1], Image.Resampling.BICUBIC)
    np.testing.assert_allclose(moved, np.asarray(expected, np.float32), atol=1.5)
    assert "interpolation='bicubic'" in repr(view)


def test_colour_changes_leave_labels_alone_and_padding_in_range() -> None:
    view = View((30, 40), brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1, centred=True)
    before = example(30, 40)
    after = augment(before, view, INFO, FILLS, tf.constant([3, 3]))
    assert np.array_equal(after["label"], before["label"])
    assert not np.allclose((after["image"] + 1) * 127.5, before["image"], atol=2)
    assert np.abs(after["image"]).max() <= 1


@pytest.mark.parametrize(
    ("settings_", "line"),
    [
        ({"crop": (0, 8)}, "crop is (0, 8): a height and a width of at least 1"),
        ({"scale": (2.0, 1.0)}, "scale is (2.0, 1.0): 0 < lowest <= highest is accepted"),
        ({"hue": 0.7}, "hue is 0.7: 0–0.5 is accepted"),
        ({"scale_share": 2}, "scale_share is 2: 0–1 is accepted"),
        *(
            (
                settings_,
                f"interpolation is {settings_['interpolation']}: bilinear is accepted, "
                "or bicubic if rotate is 0",
            )
            for settings_ in ({"interpolation": "area"}, {"interpolation": "bicubic", "rotate": 5})
        ),
    ],
)
def test_views_that_make_no_sense_are_refused(settings_: dict, line: str) -> None:
    with pytest.raises(ConfigError) as error:
        View(**{"crop": (8, 8), **settings_})
    assert str(error.value) == line
