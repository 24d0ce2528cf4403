"""Boxes of VOC's XML files: read, refused, and left out of the prepared copy."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nas_tf.data import prepare
from nas_tf.data.bccd import INFO
from nas_tf.data.check import check
from nas_tf.data.examples import Examples
from nas_tf.data.voc_boxes import read_boxes
from nas_tf.errors import DataError

BOX = "<bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox>"


def annotation(*boxes: tuple[str, int, int, int, int]) -> str:
    objects = "".join(
        f"<object><name>{name}</name>{BOX.format(*corners)}</object>" for name, *corners in boxes
    )
    return f"<annotation>{objects}</annotation>"


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two pictures of 40x30: one has a box of no size, the other none at all."""
    monkeypatch.setenv("NAS_TF_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "cells"
    for name in ("ImageSets/Main", "Annotations", "JPEGImages"):
        (folder / name).mkdir(parents=True)
    texts = {"a": annotation(("RBC", 1, 1, 40, 30), ("WBC", 5, 5, 5, 5)), "b": annotation()}
    for name, text in texts.items():
        Image.new("RGB", (40, 30)).save(folder / "JPEGImages" / f"{name}.jpg")
        (folder / "Annotations" / f"{name}.xml").write_text(text)
    (folder / "ImageSets" / "Main" / "train.txt").write_text("a\nb\n")
    return folder


def test_pixels_are_counted_from_one_and_the_last_belongs_to_the_box(tmp_path: Path) -> None:
    path = tmp_path / "a.xml"
    path.write_text(annotation(("WBC", 1, 2, 10, 20)))
    np.testing.assert_array_equal(read_boxes(path, INFO.classes, (30, 40)), [[0, 1, 10, 20, 1]])


def test_a_check_reports_a_faulty_box_and_preparing_leaves_it_out(source: Path) -> None:
    (problem,) = check("bccd", source).problems
    assert problem == (
        f"box 2 of a is from (5, 5) to (5, 5), its image {source / 'JPEGImages' / 'a.jpg'} is "
        "40x30 (width x height): expected x1 < x2 and y1 < y2 inside the image; correct or "
        "remove the box"
    )
    assert prepare("bccd", source).left_out == (problem,)
    examples = Examples("bccd", "train")
    np.testing.assert_array_equal(examples.get(0)["boxes"], [[0, 0, 40, 30, 0]])
    assert examples.get(1)["boxes"].shape == (0, 5), "a picture without boxes is an example"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (annotation(("Cell", 1, 1, 2, 2)), "object 1 of {} is of class 'Cell', expected one of"),
        (
            "<annotation><object><name>RBC</name></object></annotation>",
            "object 1 of {} has no box",
        ),
        (annotation(("RBC", 1, 1, "two", 2)), "object 1 of {} has no box"),  # type: ignore[arg-type]
        ("<annotation><object>", "annotation {} is not XML"),
        ("", "annotation {} is not XML"),
        ("<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", "annotation {} has a document type"),
        ("<!DOCTYPE a SYSTEM 'file:///etc/passwd'><a/>", "annotation {} has a document type"),
    ],
)
def test_a_wrong_file_is_one_line(text: str, line: str, tmp_path: Path) -> None:
    path = tmp_path / "a.xml"
    path.write_text(text)
    with pytest.raises(DataError) as error:
        read_boxes(path, INFO.classes, (30, 40))
    assert str(error.value).startswith(line.format(path))
    assert "\n" not in str(error.value)


def test_a_missing_and_a_huge_file_are_one_line(tmp_path: Path) -> None:
    path = tmp_path / "a.xml"
    with pytest.raises(DataError, match=r"^annotation .*a.xml is missing"):
        read_boxes(path, INFO.classes, (30, 40))
    with path.open("wb") as file:
        file.truncate(1 << 25)
    with pytest.raises(DataError, match=r"a.xml has more than 16,777,216 bytes"):
        read_boxes(path, INFO.classes, (30, 40))
