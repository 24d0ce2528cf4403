"""A folder of one's own with boxes: VOC's XML, YOLO's text or a COCO JSON, the same example."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nas_tf.data import prepare
from nas_tf.data.check import check
from nas_tf.data.examples import Examples
from nas_tf.data.registry import dataset_info
from nas_tf.errors import DataError
from tests.data.test_voc_boxes import annotation

EXPECTED = [[4, 6, 24, 18, 1], [0, 0, 40, 30, 0]]
CLASSES = "classes: [nut, bolt]\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two pictures in each split, the second without any object."""
    monkeypatch.setenv("NAS_TF_CACHE", str(tmp_path / "cache"))
    for split in ("train", "val"):
        (tmp_path / "own" / "images" / split).mkdir(parents=True)
        for name in ("a", "b"):
            path = tmp_path / "own" / "images" / split / f"{name}.png"
            Image.new("RGB", (40, 30)).save(path)
    return tmp_path / "own"


def as_xml(folder: Path) -> str:
    texts = {"a": annotation(("bolt", 5, 7, 24, 18), ("nut", 1, 1, 40, 30)), "b": annotation()}
    for split in ("train", "val"):
        (folder / "boxes" / split).mkdir(parents=True)
        for name, text in texts.items():
            (folder / "boxes" / split / f"{name}.xml").write_text(text)
    return CLASSES + "boxes: boxes/{split}/{name}.xml\n"


def as_text(folder: Path) -> str:
    """A picture without objects has no file, as YOLO's tools leave it."""
    for split in ("train", "val"):
        (folder / "boxes" / split).mkdir(parents=True)
        text = "1 0.35 0.4 0.5 0.4\n0 0.5 0.5 1.0001 1\n"
        (folder / "boxes" / split / "a.txt").write_text(text)
    return CLASSES + "boxes: boxes/{split}/{name}.txt\n"


def as_json(folder: Path) -> str:
    rows = [{"category_id": 9, "bbox": [4, 6, 20, 12]}, {"category_id": 3, "bbox": [0, 0, 40, 30]}]
    rows.append({"category_id": 3, "bbox": [1, 1, 2, 2], "iscrowd": 1})
    content = {
        "images": [{"id": n, "file_name": f"{name}.png"} for n, name in enumerate("ab")],
        "annotations": [{"image_id": 0, **row} for row in rows],
        "categories": [{"id": 9, "name": "bolt"}, {"id": 3, "name": "nut"}],
    }
    for split in ("train", "val"):
        (folder / f"{split}.json").write_text(json.dumps(content))
    return 'boxes: "{split}.json"\n'


@pytest.mark.parametrize("write", [as_xml, as_text, as_json])
def test_every_format_gives_the_same_boxes(write, folder: Path) -> None:
    (folder / "dataset.yaml").write_text(write(folder))
    name = f"folder:{folder}"
    info = dataset_info(name)
    assert (info.targets, info.classes) == (("boxes",), ("nut", "bolt"))
    assert check(name).problems == []
    assert prepare(name).splits == {"train": 2, "val": 2}
    examples = Examples(name, "val")
    np.testing.assert_allclose(examples.get(0)["boxes"], EXPECTED, atol=1e-4)
    assert examples.get(1)["boxes"].shape == (0, 5)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("2 0.5 0.5 0.1 0.1", "is '2 0.5 0.5 0.1 0.1', expected class, centre x and y, width"),
        ("1 0.5 0.5 0.1", "is '1 0.5 0.5 0.1', expected class, centre x and y, width and height"),
        ("nut 0.5 0.5 0.1 0.1", "is 'nut 0.5 0.5 0.1 0.1', expected class, centre x and y"),
        ("1 nan 0.5 0.1 0.1", "is '1 nan 0.5 0.1 0.1', expected class, centre x and y"),
    ],
)
def test_a_wrong_line_is_reported(line: str, problem: str, folder: Path) -> None:
    (folder / "dataset.yaml").write_text(as_text(folder))
    path = folder / "boxes" / "train" / "b.txt"
    path.write_text(f"{line}\n")
    (found,) = check(f"folder:{folder}").problems
    assert found.startswith(f"{path} line 1 {problem}")


def test_a_huge_file_is_refused_before_it_is_read(folder: Path) -> None:
    (folder / "dataset.yaml").write_text(as_text(folder))
    path = folder / "boxes" / "train" / "b.txt"
    with path.open("wb") as file:
        file.truncate(1 << 29)
    (problem,) = check(f"folder:{folder}").problems
    assert problem.startswith(f"list {path} has more than 268,435,456 bytes")


def test_a_box_outside_its_picture_is_found_by_the_check_and_left_out(folder: Path) -> None:
    (folder / "dataset.yaml").write_text(as_text(folder))
    (folder / "boxes" / "train" / "b.txt").write_text("1 0.9 0.5 0.5 0.2\n1 0.5 0.5 0 0\n")
    problem, other = check(f"folder:{folder}").problems[:1], prepare(f"folder:{folder}").left_out
    assert problem == list(other[:1])
    assert len(other) == 2
    assert "box 1 of train/b is from (26, 12) to (46, 18)" in other[0]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("boxes: boxes/{name}.xml\n", "line 1: boxes needs the key classes, expected a list of"),
        (CLASSES + "boxes: boxes\n", "line 2: boxes is boxes, expected VOC's annotations/"),
        (CLASSES + "boxes: a.json\nlabels: labels\n", "line 2: boxes is given with other targets"),
        (CLASSES + "boxes: /etc/{name}.xml\n", "line 2: boxes is /etc/{name}.xml, expected VOC's"),
    ],
)
def test_a_wrong_key_is_one_line(text: str, line: str, folder: Path) -> None:
    (folder / "dataset.yaml").write_text(text)
    with pytest.raises(DataError) as error:
        dataset_info(f"folder:{folder}")
    assert line in str(error.value)
