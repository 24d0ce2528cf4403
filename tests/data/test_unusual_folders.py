"""Folders as other tools and people leave them: names, lists, formats and turned pictures."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nas_tf.data import prepare
from nas_tf.data.builder import available
from nas_tf.data.check import check
from nas_tf.data.headers import picture_sizes
from nas_tf.data.init import inspect
from nas_tf.data.init.inspection import write
from nas_tf.data.registry import builder_class, dataset_info
from nas_tf.data.store import resolve_source
from nas_tf.errors import ConfigError, DataError
from tests.data.test_voc_boxes import annotation

Writer = Callable[..., np.ndarray]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAS_TF_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def folder(tmp_path: Path, picture: Writer, noise: Callable) -> Callable[..., Path]:
    """Writes pictures of 24 x 32 pixels with masks of three classes."""

    def fill(*names: str, mask: str = "masks/{}.png", image: str = "images/{}.jpg") -> Path:
        for name in names:
            picture(tmp_path / "own" / image.format(name), noise(24, 32))
            picture(tmp_path / "own" / mask.format(name), noise(24, 32, 3))
        return tmp_path / "own"

    return fill


def boxes(root: Path, picture: Writer, noise: Callable, text: str, **settings: object) -> str:
    """Writes four pictures with a text of YOLO each, and returns the name of the data set."""
    for split in ("train", "val"):
        for number in range(2):
            picture(root / "images" / split / f"{number}.jpg", noise(24, 32))
            path = root / "labels" / split / f"{number}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    lines = [f"{key}: {value}" for key, value in settings.items()]
    (root / "dataset.yaml").write_text(
        "\n".join(["classes: [a]", 'boxes: "labels/{split}/{name}.txt"', *lines])
    )
    return f"folder:{root}"


@pytest.mark.parametrize(
    ("names", "classes"),
    [
        ("[car, no, off, dog]", ("car", "no", "off", "dog")),
        ("{0: 20, 1: 30}", ("20", "30")),
        ("[20, 30, 50]", ("20", "30", "50")),
        ("{1: yes, 0: true}", ("true", "yes")),
        ("{car: 1, no: 0}", ("no", "car")),
        ("[[car], dog]", ("class0", "class1")),
    ],
)
def test_classes_of_yolo_are_the_texts_of_its_file(
    tmp_path: Path, picture: Writer, noise: Callable, names: str, classes: tuple[str, ...]
) -> None:
    boxes(tmp_path, picture, noise, "0 0.5 0.5 0.2 0.2\n1 0.5 0.5 0.2 0.2\n")
    (tmp_path / "dataset.yaml").unlink()
    (tmp_path / "data.yaml").write_text(f"names: {names}\n")
    assert inspect(tmp_path).classes == classes


def test_lists_name_files_as_they_are(folder: Callable[..., Path]) -> None:
    root = folder("a  b", "x0.png", "c d.e", *"fghijkl")
    found = inspect(root)
    write(found)
    assert sum(found.counts.values()) == 10
    assert not check(f"folder:{root}").problems


def test_a_list_may_begin_with_a_mark_of_its_encoding(folder: Callable[..., Path]) -> None:
    root = folder("a", "b", "c")
    (root / "dataset.yaml").write_text(
        "classes: [x, y, z]\nlabels: masks\nsplits: {train: train.txt, val: val.txt}\n"
    )
    (root / "train.txt").write_bytes("a.jpg\r\nb\r\n".encode("utf-8-sig"))
    (root / "val.txt").write_bytes("c\n".encode("utf-8-sig"))
    assert not check(f"folder:{root}").problems


def test_pictures_of_other_formats_are_a_note(folder: Callable[..., Path]) -> None:
    root = folder(*"abcdefghij")
    for name in ("p", "q"):
        (root / "images" / f"{name}.heic").write_bytes(b"heic")
    assert "files of format .heic are not read, 2 of them: convert them" in inspect(root).notes


@pytest.mark.parametrize("suffix", ["tif", "jpg"])
def test_a_turned_picture_has_the_size_in_which_it_is_read(
    folder: Callable[..., Path], noise: Callable, suffix: str
) -> None:
    root, exif = folder(*"ab", image=f"images/{{}}.{suffix}"), Image.Exif()
    exif[0x0112] = 6
    for name in "ab":
        Image.fromarray(noise(24, 40)).save(root / "images" / f"{name}.{suffix}", exif=exif)
    (root / "dataset.yaml").write_text(
        "classes: [x, y, z]\nlabels: masks\nsplits: {train: train.txt}\n"
    )
    (root / "train.txt").write_text("a\nb\n")
    name = f"folder:{root}"
    items = available(builder_class(name), root)["train"]
    sizes = {item.load()["image"].shape[:2] for item in items}
    assert sizes == set(picture_sizes(name, ["train"])) == {(40, 24)}


def test_more_boxes_than_usual_need_a_key(
    tmp_path: Path, picture: Writer, noise: Callable
) -> None:
    line = "0 0.5 0.5 0.2 0.2\n"
    name = boxes(tmp_path / "own", picture, noise, line * 120)
    (problem, *_) = check(name).problems
    assert problem.endswith(
        f"has 120 boxes, expected at most 100: leave some out, or raise most_boxes of {name}"
    )
    name = boxes(tmp_path / "own", picture, noise, line * 120, most_boxes=120)
    assert not check(name).problems
    assert dataset_info(name).most_boxes == 120
    name = boxes(tmp_path / "own", picture, noise, line, most_boxes=0)
    with pytest.raises(DataError, match="most_boxes is 0, expected an integer of 1 to 10000"):
        check(name)


def test_every_faulty_box_is_reported_and_the_others_count(
    tmp_path: Path, picture: Writer, noise: Callable
) -> None:
    text = "0 0.5 0.5 0 0.2\n0 0.5 0.5 0.2 0.2\n0 1.5 0.5 0.2 0.2\n"
    name = boxes(tmp_path / "own", picture, noise, text)
    report = check(name)
    assert (len(report.problems), report.faulty_boxes) == (8, 8)
    assert [int(split.counts["boxes"][0]) for split in report.splits.values()] == [2, 2]
    assert [*report.problems] == [*prepare(name).left_out]


def test_boxes_of_voc_are_cut_at_the_edge(
    tmp_path: Path, picture: Writer, noise: Callable
) -> None:
    root = tmp_path / "own"
    for split in ("train", "val"):
        picture(root / "images" / split / "a.jpg", noise(24, 32))
        path = root / "xml" / split / "a.xml"
        path.parent.mkdir(parents=True)
        path.write_text(annotation(("a", 0.7, 1, 32.3, 24.5), ("a", 0, 1, 9, 9)))
    (root / "dataset.yaml").write_text('classes: [a]\nboxes: "xml/{split}/{name}.xml"\n')
    builder = builder_class(f"folder:{root}")
    found = available(builder, root)["train"][0].load()["boxes"]
    np.testing.assert_array_equal(found, [[0, 0, 32, 24, 0], [-1, 0, 9, 9, 0]])


@pytest.mark.parametrize("number", [0, 2])
def test_an_ignored_label_is_no_class(folder: Callable[..., Path], number: int) -> None:
    root = folder("train/a", "val/b")
    (root / "dataset.yaml").write_text(
        f"classes: [soil, crop, weed]\nlabels: masks\nignore_label: {number}\n"
    )
    name = ("soil", "crop", "weed")[number]
    line = rf"yaml line 3: ignore_label is {number}, the index of class {name}, expected 3–255"
    with pytest.raises(DataError, match=line):
        check(f"folder:{root}")


def test_a_folder_has_no_other_source(folder: Callable[..., Path], tmp_path: Path) -> None:
    root = folder("train/a", "val/b")
    (root / "dataset.yaml").write_text("classes: [soil, crop, weed]\nlabels: masks\n")
    assert resolve_source(f"folder:{root}", root) == root
    with pytest.raises(ConfigError, match=r"--source is \S+, expected none: folder:"):
        resolve_source(f"folder:{root}", tmp_path)
