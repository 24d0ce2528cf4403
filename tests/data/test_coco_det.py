"""COCO for detection from a tiny folder of its layout, and COCO files that are refused."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from nas_tf.data import dataset_info, prepare
from nas_tf.data.check import check
from nas_tf.data.coco_det import INFO
from nas_tf.data.coco_file import read_coco
from nas_tf.data.examples import Examples
from nas_tf.data.init import inspect
from nas_tf.errors import DataError

CATEGORIES = [{"id": 2 * n + 1, "name": name} for n, name in enumerate(INFO.classes)][::-1]
ROWS = [
    {"category_id": 5, "bbox": [4, 6, 20, 12], "segmentation": [[4, 6, 24, 6, 24, 18]]},
    {"category_id": 1, "bbox": [-0.004, 0, 40.01, 30.004]},
    {"category_id": 159, "bbox": [1, 1, 30, 20], "iscrowd": 1},
]


@pytest.fixture
def source(tmp_path: Path, picture: Callable, noise: Callable) -> Callable[..., Path]:
    """Writes two pictures of 40x30 in each split, the second without any object."""

    def write(rows: list[dict], categories: list[dict] = CATEGORIES) -> Path:
        content = {
            "images": [
                {"id": n, "file_name": f"{n:012}.jpg", "height": 30, "width": 40} for n in (7, 9)
            ],
            "annotations": [{"image_id": 7, **row} for row in rows],
            "categories": categories,
        }
        for split in ("train", "val"):
            path = tmp_path / "annotations" / f"instances_{split}2017.json"
            path.parent.mkdir(exist_ok=True)
            path.write_text(json.dumps(content))
            for image in content["images"]:
                picture(tmp_path / f"{split}2017" / image["file_name"], noise(30, 40))
        return tmp_path

    return write


def test_boxes_by_the_names_of_classes_without_crowds(
    source: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NAS_TF_CACHE", str(tmp_path / "cache"))
    place = source(ROWS)
    assert len(dataset_info("coco_det").classes) == len(set(INFO.classes)) == 80
    assert check("coco_det", place).problems == []
    found = prepare("coco_det", place)
    assert (found.splits, found.left_out) == ({"train": 2, "val": 2}, ())
    examples = Examples("coco_det", "val")
    expected = [[4, 6, 24, 18, INFO.classes.index("car")], [0, 0, 40, 30, 0]]
    np.testing.assert_array_equal(examples.get(0)["boxes"], expected)
    assert examples.get(1)["boxes"].shape == (0, 5)


@pytest.mark.parametrize(
    ("row", "line"),
    [
        ({"bbox": ["4", "6", "20", "12"]}, "is not a COCO JSON with .*got `str`"),
        ({"bbox": "4 6 20 12"}, "is not a COCO JSON with .*got `str`"),
        ({"bbox": [4, 6, 20]}, "an object of 000000000007 in .* has no box, expected bbox"),
        ({}, "an object of 000000000007 in .* has no box, expected bbox"),
        ({"bbox": [4, 6, 0, 12]}, r"box 1 of 000000000007 is from \(4, 6\) to \(4, 18\)"),
        ({"bbox": [4, 6, -3, 12]}, r"box 1 of 000000000007 is from \(4, 6\) to \(1, 18\)"),
        ({"bbox": [4, 6, 37, 12]}, r"box 1 of 000000000007 is from \(4, 6\) to \(41, 18\)"),
        ({"bbox": [4, 6, 9, 9], "category_id": 2}, "an object of .* is of category 2, expected"),
    ],
)
def test_a_wrong_box_is_one_line(row: dict, line: str, source: Callable) -> None:
    place = source([{"category_id": 1, **row}])
    for problem in check("coco_det", place).problems:
        with pytest.raises(DataError, match=line):
            raise DataError(problem)
        assert "\n" not in problem


def test_other_categories_are_refused(source: Callable) -> None:
    place = source([], [*CATEGORIES[1:], {"id": 999, "name": "zeppelin"}])
    assert "has other categories than COCO's 80, such as" in check("coco_det", place).problems[0]


def test_a_json_of_two_gibibytes_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "all.json"
    with path.open("wb") as file:
        file.truncate(1 << 31)
    with pytest.raises(DataError, match=r"has 2,147,483,648 bytes, expected at most 1,073,741,8"):
        read_coco(path)
    with pytest.raises(DataError, match="has no labels that belong to its pictures"):
        inspect(tmp_path)
