"""COCO with VOC's classes from a tiny folder of its layout: polygons, run lengths and crowds."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from nas_tf.data import dataset_info, prepare
from nas_tf.data.check import check
from nas_tf.data.coco_det import INFO as COCO
from nas_tf.data.coco_voc_seg import INFO
from nas_tf.data.examples import Examples
from nas_tf.data.presets import preset
from nas_tf.data.store import resolve_source
from nas_tf.errors import DataError

IDS = {name: 2 * number + 1 for number, name in enumerate(COCO.classes)}
CATEGORIES = [{"id": number, "name": name} for name, number in IDS.items()][::-1]
HEIGHT, WIDTH = 30, 40
VOC_NAMES = {
    **{"airplane": "aeroplane", "motorcycle": "motorbike", "couch": "sofa", "tv": "tvmonitor"},
    **{"potted plant": "pottedplant", "dining table": "diningtable"},
}
"""The classes that have another name in COCO."""


def square(x: int, y: int, side: int) -> list[list[int]]:
    return [[x, y, x + side, y, x + side, y + side, x, y + side]]


def runs(rows: slice, columns: slice) -> dict:
    """Run lengths of a rectangle, as COCO states those of crowds."""
    inside = np.zeros((HEIGHT, WIDTH), bool)
    inside[rows, columns] = True
    changes = np.flatnonzero(np.diff(inside.T.ravel(), prepend=False))
    counts = np.diff([0, *changes, HEIGHT * WIDTH]).tolist()
    return {"size": [HEIGHT, WIDTH], "counts": counts}


def row(image: int, name: str, segmentation: object, area: float, **other: object) -> dict:
    return {
        **{"image_id": image, "category_id": IDS[name], "segmentation": segmentation},
        **{"area": area, "bbox": [0, 0, 1, 1], **other},
    }


ROWS = [
    row(1, "cat", square(12, 12, 4), 16),
    row(1, "couch", square(10, 10, 10), 100),
    row(1, "person", runs(slice(0, 30), slice(0, 2)), 60, iscrowd=1),
    row(1, "person", square(0, 0, 1), 1),
    row(1, "toaster", square(30, 20, 5), 25),
    row(1, "toaster", runs(slice(0, 4), slice(30, 34)), 16, iscrowd=1),
    row(2, "toaster", square(3, 3, 9), 81),
    row(3, "person", runs(slice(0, 9), slice(0, 9)), 81, iscrowd=1),
    row(4, "tv", runs(slice(5, 9), slice(7, 12)), 20),
    row(6, "dog", [], 9),
]


@pytest.fixture
def source(tmp_path: Path, picture: Callable, noise: Callable) -> Callable[..., Path]:
    """Writes six pictures in each split, the fifth without any object."""

    def write(rows: list[dict] = ROWS, categories: list[dict] = CATEGORIES) -> Path:
        files = [f"{number:012}.jpg" for number in range(1, 7)]
        images = [
            {"id": number, "file_name": file, "height": HEIGHT, "width": WIDTH}
            for number, file in enumerate(files, start=1)
        ]
        content = {"images": images, "annotations": rows, "categories": categories}
        for split in ("train", "val"):
            path = tmp_path / "annotations" / f"instances_{split}2017.json"
            path.parent.mkdir(exist_ok=True)
            path.write_text(json.dumps(content))
            for file in files:
                picture(tmp_path / f"{split}2017" / file, noise(HEIGHT, WIDTH))
        return tmp_path

    return write


def label_of(name: str) -> int:
    return INFO.classes.index(VOC_NAMES.get(name, name))


def test_classes_of_voc_with_crowds_ignored_and_small_objects_on_top(
    source: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NAS_TF_CACHE", str(tmp_path / "cache"))
    place = source()
    assert check("coco_voc_seg", place).problems == []
    assert prepare("coco_voc_seg", place).splits == {"train": 2, "val": 2}
    examples = Examples("coco_voc_seg", "val")
    found = [examples.get(number) for number in range(2)]
    assert [example["id"].numpy().decode() for example in found] == [
        *("000000000001", "000000000004")
    ]
    expected = np.zeros((HEIGHT, WIDTH), np.uint8)
    expected[10:20, 10:20] = label_of("couch")
    expected[12:16, 12:16] = label_of("cat")
    expected[:, :2] = 255
    expected[0, 0] = label_of("person")
    np.testing.assert_array_equal(found[0]["label"], expected)
    expected = np.zeros((HEIGHT, WIDTH), np.uint8)
    expected[5:9, 7:12] = label_of("tv")
    np.testing.assert_array_equal(found[1]["label"], expected)


def test_every_class_of_voc_is_a_category_of_coco(source: Callable) -> None:
    rows = [
        row(number % 5 + 1, name, square(2 * number % 36, 4 + 5 * (number // 18), 2), 4)
        for number, name in enumerate(COCO.classes)
    ]
    shares = check("coco_voc_seg", source(rows)).splits["val"].shares
    assert shares.shape == (21,)
    assert (shares > 0).all()


def test_classes_and_views_are_those_of_voc() -> None:
    voc, own = dataset_info("voc2012_seg"), dataset_info("coco_voc_seg")
    assert (own.classes, own.colours, own.ignore_label) == (voc.classes, voc.colours, 255)
    assert preset("coco_voc_seg", "full") == preset("voc2012_seg", "full")


def test_the_folder_of_coco_det_is_a_source_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NAS_TF_DATA", str(tmp_path))
    (tmp_path / "coco_det").mkdir()
    assert resolve_source("coco_voc_seg", None) == tmp_path / "coco_det"


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"category_id": 2}, "an object of 000000000001 in .* is of category 2, expected an id"),
        ({"segmentation": [[1, 1, 2, 2]]}, "an outline of 000000000001 in .* is no polygon"),
        (
            {"segmentation": {"size": [9, 9], "counts": [81]}},
            "a mask of 000000000001 in .* does not cover its 40x30 pixels",
        ),
    ],
)
def test_a_wrong_object_is_one_line(change: dict, line: str, source: Callable) -> None:
    wrong = row(1, "cat", square(1, 1, 2), 4) | change
    problems = check("coco_voc_seg", source([*ROWS, wrong])).problems
    assert len(problems) == 2
    for problem in problems:
        with pytest.raises(DataError, match=line):
            raise DataError(problem)
        assert "\n" not in problem


def test_absent_and_damaged_files_are_one_line_each(source: Callable) -> None:
    place = source()
    (place / "val2017" / "000000000004.jpg").unlink()
    (problem,) = check("coco_voc_seg", place).problems
    assert problem.startswith(f"image {place / 'val2017' / '000000000004.jpg'} is missing")
    listing = place / "annotations" / "instances_val2017.json"
    listing.write_text(listing.read_text()[:-9])
    (problem,) = check("coco_voc_seg", place).problems
    assert problem.startswith(f"{listing} is not a COCO JSON with images, annotations and categ")
    assert "\n" not in problem
    other = [*CATEGORIES[1:], {"id": 999, "name": "zeppelin"}]
    problem = check("coco_voc_seg", source([], other)).problems[0]
    assert "has other categories than COCO's 80, such as" in problem
    for split in ("train", "val"):
        (place / "annotations" / f"instances_{split}2017.json").unlink()
    with pytest.raises(DataError, match=f"^no split of coco_voc_seg is in {place}; extract"):
        check("coco_voc_seg", place)
