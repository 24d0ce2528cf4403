"""Label maps accept declared values and name the first pixel of any other value."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas_tf.data.info import LabelMap
from nas_tf.errors import DataError


@given(classes=st.integers(1, 200), seed=st.integers(0, 99))
def test_declared_values_pass_unchanged(classes: int, seed: int) -> None:
    raw = np.random.default_rng(seed).integers(0, classes, (5, 7)).astype(np.int32)
    raw[0, 0] = 255
    assert np.array_equal(LabelMap(classes, 255)(raw, "x.png"), raw)


def test_a_map_translates_every_value() -> None:
    labels = LabelMap(2, 255, {0: 1, 38: 0, 1000: 255})
    raw = np.array([[0, 38], [1000, 255]])
    assert labels(raw, "x.png").tolist() == [[1, 0], [255, 255]]


@pytest.mark.parametrize(
    ("mapping", "value", "accepted"),
    [
        (None, 12, "11 classes and ignore 11 declared"),
        (None, 70000, "11 classes and ignore 11 declared"),
        (None, -1, "11 classes and ignore 11 declared"),
        ({3: 0, 5: 10}, 4, "values 3, 5, 11 declared"),
    ],
)
def test_an_unknown_value_names_file_pixel_and_what_is_accepted(
    mapping: dict[int, int] | None, value: int, accepted: str
) -> None:
    raw = np.full((50, 300), 3)
    raw[40, 211] = value
    with pytest.raises(DataError) as error:
        LabelMap(11, 11, mapping)(raw, "trainannot/0001.png")
    assert str(error.value) == (
        f"label {value} in trainannot/0001.png at (211, 40): {accepted}; "
        "map it or set ignore_label"
    )


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ((3, 300), "ignore_label is 300: 0–255 is accepted"),
        ((3, 255, {1: 3}), "label_map sends 1 to 3: 0–2 and 255 (ignore) are accepted"),
        ((3, 255, {-1: 0}), "label_map maps value -1: 0–65535 is accepted"),
    ],
)
def test_impossible_maps_are_refused(arguments: tuple, line: str) -> None:
    with pytest.raises(DataError) as error:
        LabelMap(*arguments)
    assert str(error.value) == line


def test_a_value_of_a_billion_is_refused_without_a_table_of_as_many() -> None:
    raw = np.array([[0, 2**30], [65536, 1]], np.int32)
    tracemalloc.start()
    with pytest.raises(DataError, match=r"^label 1073741824 in big\.png at \(1, 0\)"):
        LabelMap(3, 255)(raw, "big.png")
    assert tracemalloc.get_traced_memory()[1] < 10_000_000
    tracemalloc.stop()
