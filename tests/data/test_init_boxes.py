"""The dataset.yaml of a folder with boxes reads it without a fault, in every usual layout."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from nas_tf.data.init import inspect
from nas_tf.errors import DataError
from tests.data.test_init import described, settings
from tests.data.test_voc_boxes import annotation

OBJECTS = (("nut", 2, 2, 8, 8), ("bolt", 1, 1, 16, 12))
LINES = "1 0.5 0.5 0.4 0.5\n0 0.5 0.5 1 1\n"


@pytest.fixture
def fill(tmp_path: Path, picture: Callable, noise: Callable) -> Callable[..., None]:
    """Writes pictures, and a text for each whose pattern is given; the last has no objects."""

    def write(image: str, boxes: str, text: str, empty: str | None, names: str) -> None:
        for name in names:
            picture(tmp_path / image.format(name), noise(12, 16))
            path, content = tmp_path / boxes.format(name), empty if name == names[-1] else text
            path.parent.mkdir(parents=True, exist_ok=True)
            if content is not None:
                path.write_text(content)

    return write


@pytest.mark.parametrize(
    ("image", "boxes", "images", "pattern"),
    [
        ("images/{}.jpg", "annotations/{}.xml", "images", "annotations/{name}.xml"),
        ("JPEGImages/{}.jpg", "Annotations/{}.xml", "JPEGImages", "Annotations/{name}.xml"),
        ("{}.png", "{}.xml", "{name}", "{name}.xml"),
        ("cells/{}.jpg", "cells/{}.xml", "cells", "cells/{name}.xml"),
    ],
)
def test_xml_of_voc_without_splits_is_divided(
    tmp_path: Path, fill: Callable, image: str, boxes: str, images: str, pattern: str
) -> None:
    fill(image, boxes, annotation(*OBJECTS), annotation(), "abcdefghij")
    found = described(tmp_path)
    assert found.arrangement.title == "pictures and VOC's XML"
    assert found.classes == ("bolt", "nut")
    written = settings(tmp_path)
    assert (written.get("images", "images"), written["boxes"]) == (images, pattern)
    assert "  - nut  # 9 boxes" in found.text


@pytest.mark.parametrize(
    ("image", "boxes"),
    [
        ("images/{0}/{1}.jpg", "labels/{0}/{1}.txt"),
        ("{0}/images/{1}.jpg", "{0}/labels/{1}.txt"),
        ("{0}/{1}.jpg", "{0}/{1}.txt"),
    ],
)
@pytest.mark.parametrize("words", [("train", "val"), ("train", "valid")])
def test_text_of_yolo_in_folders_of_splits(
    tmp_path: Path, fill: Callable, image: str, boxes: str, words: tuple[str, str]
) -> None:
    for word, names in zip(words, ("abc", "de"), strict=True):
        fill(image.format(word, "{}"), boxes.format(word, "{}"), LINES, None, names)
    (tmp_path / "data.yaml").write_text("nc: 3\nnames: [nut, bolt, washer]\n")
    found = described(tmp_path, train=3, val=2)
    assert found.classes == ("nut", "bolt", "washer")
    assert settings(tmp_path)["boxes"] == boxes.format("{split}", "{name}")
    assert found.notes == ()


def test_classes_without_names_are_numbered(tmp_path: Path, fill: Callable) -> None:
    fill("images/{}.jpg", "labels/{}.txt", LINES, "", "abcdefghij")
    (tmp_path / "labels" / "classes.txt").write_text("nut\n")
    found = described(tmp_path)
    assert found.classes == ("class0", "class1")
    assert found.notes == (
        "boxes have classes up to 1 and classes.txt has 1 names: they are numbered",
    )


def test_lists_of_voc_for_detection(tmp_path: Path, fill: Callable) -> None:
    kit = "VOCdevkit/VOC2007"
    image, boxes = f"{kit}/JPEGImages/{{}}.jpg", f"{kit}/Annotations/{{}}.xml"
    fill(image, boxes, annotation(*OBJECTS), annotation(), "abcde")
    lists = tmp_path / kit / "ImageSets" / "Main"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("a\nb\nc\n")
    (lists / "val.txt").write_text("d\n")
    (lists / "nut_train.txt").write_text("a 1\nb -1\n")
    described(tmp_path, train=3, val=1)


@pytest.mark.parametrize("words", [("train", "valid"), ("all",)])
def test_a_coco_json_with_boxes_alone(
    tmp_path: Path, picture: Callable, noise: Callable, words: tuple[str, ...]
) -> None:
    for word in words:
        names = [f"{number}.jpg" for number in range(10 if word == "all" else 3)]
        for name in names:
            picture(tmp_path / word / name, noise(12, 16))
        box = {"image_id": 1, "category_id": 4, "segmentation": [], "bbox": [1, 2, 5, 4]}
        content = {
            "images": [{"id": number, "file_name": name} for number, name in enumerate(names)],
            "annotations": [box],
            "categories": [{"id": 4, "name": "plum"}, {"id": 2, "name": "background"}],
        }
        (tmp_path / word / "_annotations.coco.json").write_text(json.dumps(content))
    found = described(tmp_path, **({} if words == ("all",) else {"train": 3, "val": 3}))
    assert found.classes == ("background", "plum")
    assert "boxes" in settings(tmp_path)
    assert "labels" not in settings(tmp_path)


@pytest.mark.parametrize(
    ("ending", "text"),
    [("txt", "a dog on a sofa\n"), ("xml", "<meta><camera/></meta>"), ("xml", "")],
)
def test_other_texts_are_no_boxes(tmp_path: Path, fill: Callable, ending: str, text: str) -> None:
    fill("images/{}.jpg", f"labels/{{}}.{ending}", text, text, "abc")
    with pytest.raises(DataError, match="has no labels that belong to its pictures"):
        inspect(tmp_path)
