"""Pictures of any size become inputs, and predictions return to their size."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from nas_tf.errors import ConfigError
from nas_tf.input_geometry import GREY, InputGeometry, Resize, resized_map

SIDES = st.integers(1, 90)
SIZES = st.tuples(SIDES, SIDES)
RULES = st.one_of(
    st.just(Resize()),
    st.builds(lambda n: Resize(longer=n), SIDES),
    st.builds(lambda n: Resize(shorter=n), st.integers(1, 20)),
    st.builds(lambda n: Resize(longer_at_most=n), SIDES),
    st.builds(lambda size: Resize(exact=size), SIZES),
)
FEWER = settings(max_examples=30)
INPUTS = st.tuples(st.integers(16, 48), st.integers(16, 48))


def numbered(size: tuple[int, int]) -> np.ndarray:
    """Returns a picture whose first two channels are the position of each pixel."""
    rows, columns = np.mgrid[: size[0], : size[1]]
    return np.stack([rows, columns, rows ^ columns], -1).astype(np.uint8)


@FEWER
@given(SIZES, INPUTS)
def test_windows_hold_every_pixel_where_it_was(
    own: tuple[int, int], size: tuple[int, int]
) -> None:
    geometry, picture = InputGeometry(size), numbered(own)
    windows = geometry.cut(picture).numpy()
    assert windows.shape[1:] == (*size, 3)
    for channel in range(3):
        joined = geometry.joined(windows[..., channel], own).numpy()
        np.testing.assert_array_equal(joined, picture[..., channel])


@FEWER
@given(SIZES, INPUTS, RULES)
def test_answers_come_back_by_the_nearest_pixel(
    own: tuple[int, int], size: tuple[int, int], rule: Resize
) -> None:
    geometry = InputGeometry(size, rule)
    small = geometry.resized_size(own).numpy()
    assert small.min() >= 1
    resized = InputGeometry(tuple(small)).cut(numbered(tuple(small)))[0]
    maps = InputGeometry(size).cut(resized.numpy())[..., 0]
    joined = geometry.joined(maps, own).numpy()
    rows, columns = (
        (2 * np.arange(side) + 1) * length // (2 * side)
        for side, length in zip(own, small, strict=True)
    )
    nearest = resized.numpy()[rows][:, columns, 0]
    np.testing.assert_array_equal(joined, nearest)
    np.testing.assert_array_equal(resized_map(resized[..., 0], tf.constant(own)), nearest)


@FEWER
@given(SIZES, INPUTS, RULES)
def test_a_pose_has_one_window_and_its_points_come_back(
    own: tuple[int, int], size: tuple[int, int], rule: Resize
) -> None:
    geometry = InputGeometry(size, rule, windows=False)
    assert len(geometry.cut(numbered(own))) == 1
    height, width = geometry.resized_size(own).numpy()
    assert height <= size[0]
    assert width <= size[1]
    corners = np.array([[-0.5, -0.5], [width - 0.5, height - 0.5]], np.float32)
    padding = ((size[1] - width) // 2, (size[0] - height) // 2)
    found = geometry.points(tf.constant(corners + padding, tf.float32), own).numpy()
    expected = [[-0.5, -0.5], [own[1] - 0.5, own[0] - 0.5]]
    np.testing.assert_allclose(found, expected, atol=1e-3)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (Resize(), (300, 200)),
        (Resize(longer=150), (150, 100)),
        (Resize(longer=450), (450, 300)),
        (Resize(shorter=100), (150, 100)),
        (Resize(longer_at_most=150), (150, 100)),
        (Resize(longer_at_most=450), (300, 200)),
        (Resize(exact=(10, 20)), (10, 20)),
    ],
)
def test_rules_of_resizing(rule: Resize, expected: tuple[int, int]) -> None:
    assert tuple(rule.size((300, 200)).numpy()) == expected
    for geometry in (
        InputGeometry((64, 96), rule),
        InputGeometry((64, 96), rule, any_size=True, margin=9),
    ):
        assert InputGeometry.of({"input": geometry.to_dict()}) == geometry


def test_a_smaller_picture_is_padded_with_grey_all_round() -> None:
    window = InputGeometry((8, 9)).cut(np.full((4, 4, 3), 200, np.uint8))[0].numpy()
    assert (window[2:6, 2:6] == 200).all()
    assert (window == GREY).sum() == 3 * (72 - 16)


def test_neighbouring_windows_share_a_quarter() -> None:
    picture = numbered((16, 80))
    windows = InputGeometry((16, 32)).cut(picture).numpy()
    assert windows[:, 0, 0, 1].tolist() == [0, 24, 48]


def test_a_smaller_picture_is_not_padded_if_a_network_takes_any_size() -> None:
    geometry, picture = InputGeometry((16, 32), any_size=True), numbered((9, 80))
    windows = geometry.cut(picture)
    assert windows.shape == (3, 9, 32, 3)
    np.testing.assert_array_equal(geometry.joined(windows, (9, 80)), picture)


@pytest.mark.parametrize(
    ("margin", "starts"),
    [(4, [0, 24, 48]), (5, [0, 16, 32, 48]), (8, [0, 16, 32, 48]), (99, [0, 16, 32, 48])],
)
def test_windows_share_the_margin_of_both_but_at_most_half(margin: int, starts: list[int]) -> None:
    windows = InputGeometry((16, 32), margin=margin).cut(numbered((16, 80))).numpy()
    assert windows[:, 0, 0, 1].tolist() == starts


def test_each_pixel_is_of_the_window_whose_centre_is_nearest() -> None:
    numbers = np.arange(3, dtype=np.uint8)[:, None, None] * np.ones((1, 16, 32), np.uint8)
    joined = InputGeometry((16, 32)).joined(numbers, (16, 80)).numpy()
    np.testing.assert_array_equal(joined[5], [0] * 28 + [1] * 24 + [2] * 28)


@pytest.mark.parametrize(
    "damaged",
    [
        {"size": [64]},
        {"size": [64, -1]},
        {"size": "64x96"},
        {"size": [64, 96], "resize": {"longest": 5}, "windows": True},
        {"size": [64, 96], "resize": {"longer": "5"}, "windows": True},
        {"size": [64, 96], "resize": {"longer": 5}},
        {"size": [64, 96], "resize": {}, "windows": True, "margin": -3},
        {"size": [64, 96], "resize": {}, "windows": True, "margin": "9"},
    ],
)
def test_damaged_metadata_are_one_line(damaged: dict) -> None:
    with pytest.raises(ConfigError, match=r"the model's metadata state input .*, expected size"):
        InputGeometry.of({"input": damaged})


def test_metadata_before_the_geometry_stretch_pictures() -> None:
    old = InputGeometry.of({"input": {"size": [64, 96]}})
    assert old == InputGeometry((64, 96), Resize(exact=(64, 96)))
