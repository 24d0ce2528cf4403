"""Targets that contradict their picture are refused in one line that names the example."""

from pathlib import Path

import numpy as np
import pytest

from nas_tf.data.builder import Item, read_item
from nas_tf.errors import DataError
from tests.data.test_targets import INFO, annotated


def broken(row: list[float]) -> DataError:
    """The error on a picture with a sound box and another one."""
    boxes = np.array([[0, 0, 2, 2, 0], row], np.float32)
    item = Item("7", lambda: annotated(0) | {"boxes": boxes}, Path("a.png"))
    with pytest.raises(DataError) as error:
        read_item(item, INFO)
    return error.value


@pytest.mark.parametrize(
    ("row", "corners"),
    [
        ([1, 2, 33, 4, 0], "from (1, 2) to (33, 4)"),
        ([1, 2, 5, 24.5, 0], "from (1, 2) to (5, 24.5)"),
        ([-1, 2, 5, 4, 0], "from (-1, 2) to (5, 4)"),
        ([1, -2, 5, 4, 0], "from (1, -2) to (5, 4)"),
        ([5, 2, 1, 4, 0], "from (5, 2) to (1, 4)"),
        ([1, 2, 5, 2, 0], "from (1, 2) to (5, 2)"),
        ([1, 2, np.nan, 4, 0], "from (1, 2) to (nan, 4)"),
    ],
)
def test_boxes_outside_or_without_an_area_are_refused(row: list[float], corners: str) -> None:
    assert str(broken(row)) == (
        f"box 2 of 7 is {corners}, its image a.png is 32x24 (width x height): expected x1 < x2 "
        "and y1 < y2 inside the image; correct or remove the box"
    )


@pytest.mark.parametrize("label", [-1, 3, 0.5])
def test_boxes_of_unknown_classes_are_refused(label: float) -> None:
    assert str(broken([1, 2, 5, 4, label])) == (
        f"box 2 of 7 is of class {label:g}, expected 0–2; correct it or declare the class"
    )


@pytest.mark.parametrize(
    ("boxes", "line"),
    [
        (np.zeros((2, 4)), "boxes of 7 have shape (2, 4), expected x1, y1, x2, y2, class"),
        (np.zeros(0), "boxes of 7 have shape (0,), expected x1, y1, x2, y2, class"),
        (
            np.ones((5, 5)),
            "7 has 5 boxes, expected at most 4: leave some out, or raise most_boxes of tiny",
        ),
    ],
)
def test_boxes_of_another_shape_are_refused(boxes: np.ndarray, line: str) -> None:
    with pytest.raises(DataError) as error:
        read_item(Item("7", lambda: annotated(0) | {"boxes": boxes}), INFO)
    assert str(error.value) == line


@pytest.mark.parametrize("key", ["label", "depth"])
def test_maps_of_another_size_are_refused(key: str) -> None:
    with pytest.raises(DataError) as error:
        read_item(Item("7", lambda: annotated(0) | {key: np.zeros((20, 32))}), INFO)
    assert str(error.value) == (
        f"{key} of 7 is 32x20, its image 7 is 32x24 (width x height): both must be of one size; "
        "export the pair again"
    )
