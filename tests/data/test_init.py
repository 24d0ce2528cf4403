"""The dataset.yaml of a folder reads it without a fault; the folder's files are unchanged."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from nas_tf.data.builder import available, read_item
from nas_tf.data.check import check
from nas_tf.data.init import Inspection, inspect, write
from nas_tf.data.registry import builder_class
from nas_tf.errors import DataError

Writer = Callable[..., np.ndarray]


@pytest.fixture
def fill(tmp_path: Path, picture: Writer, noise: Callable) -> Callable[..., None]:
    """Writes pictures and masks of some names; masks hold the values given."""

    def write_pairs(
        image: str, label: str, names: str = "abcdefghij", values: tuple = (0, 1, 2)
    ) -> None:
        table = np.array(values, np.uint8)
        for name in names:
            picture(tmp_path / image.format(name), noise(12, 16))
            raw = noise(12, 16, len(values))
            raw.flat[: len(values)] = range(len(values))
            picture(tmp_path / label.format(name), table[raw])

    return write_pairs


def described(root: Path, **shares: int) -> Inspection:
    """Writes the findings, and makes sure that they are read without a fault."""
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*") if path.is_file()}
    found = inspect(root)
    write(found)
    for path, changed in before.items():
        assert path.stat().st_mtime_ns == changed
    report = check(f"folder:{root}")
    assert report.problems == []
    counts = {split: part.count for split, part in report.splits.items()}
    assert counts == found.counts
    assert counts == (shares or {"train": 8, "val": 2})
    assert report.info.classes == found.classes
    return found


def settings(root: Path) -> dict:
    return yaml.safe_load((root / "dataset.yaml").read_text())


def test_the_layout_of_this_project(tmp_path: Path, fill: Callable) -> None:
    fill("images/train/{}.jpg", "labels/train/{}.png", "abc", (0, 1, 2, 255))
    fill("images/val/{}.jpg", "labels/val/{}.png", "de")
    described(tmp_path, train=3, val=2)
    text = (tmp_path / "dataset.yaml").read_text()
    assert list(settings(tmp_path)) == ["classes", "ignore_label"]
    assert settings(tmp_path)["classes"] == ["class0", "class1", "class2"]
    assert "  - class1  # value 1, " in text
    assert "Pictures: 16x12 (width x height)." in text


@pytest.mark.parametrize(
    ("image", "label", "images", "labels"),
    [
        ("images/{}.jpg", "masks/{}.png", "images", "masks"),
        ("JPEGImages/{}.jpg", "SegmentationClass/{}.png", "JPEGImages", "SegmentationClass"),
        ("imgs/x/{}.png", "gt/x/{}.bmp", "imgs", "gt"),
        ("Photos/{}.JPG", "Annotations/{}_L.png", "Photos", "Annotations/{name}_L"),
        ("{}.jpg", "{}_mask.png", "{name}", "{name}_mask"),
        ("data/{}.jpg", "data/{}.png", "data/{name}.jpg", "data/{name}.png"),
        ("sat/{}_sat.jpg", "mask/{}_mask.png", "sat/{name}_sat", "mask/{name}_mask"),
        ("train_images/{}.jpg", "train_masks/{}.png", "train_images", "train_masks"),
        ("images/train/{}.jpg", "labels/train/{}.png", "images/train", "labels/train"),
    ],
)
def test_what_has_no_split_is_divided(
    tmp_path: Path, fill: Callable, image: str, label: str, images: str, labels: str
) -> None:
    fill(image, label)
    found = described(tmp_path)
    written = settings(tmp_path)
    places = [written.get(key, key).removesuffix("/{name}") for key in ("images", "labels")]
    assert places == [images, labels]
    assert written["splits"] == {"train": "splits/train.txt", "val": "splits/val.txt"}
    lists = [(tmp_path / written["splits"][split]).read_text() for split in ("train", "val")]
    assert sorted("".join(lists).split()) == sorted(
        name for names in found.arrangement.lists.values() for name in names
    )
    write(inspect(tmp_path), overwrite=True)
    assert (tmp_path / "splits" / "val.txt").read_text() == lists[1]


@pytest.mark.parametrize(
    ("image", "label"),
    [
        ("images/{0}/{1}.jpg", "annotations/{0}/{1}.png"),
        ("{0}/images/{1}.jpg", "{0}/masks/{1}.png"),
        ("{0}/{1}.png", "{0}annot/{1}.png"),
        ("img_dir/{0}/x/{1}.jpg", "ann_dir/{0}/x/{1}.png"),
    ],
)
@pytest.mark.parametrize("words", [("train", "val"), ("training", "validation")])
def test_splits_of_folders(
    tmp_path: Path, fill: Callable, image: str, label: str, words: tuple[str, str]
) -> None:
    for word, names in zip(words, ("abc", "de"), strict=True):
        fill(image.format(word, "{}"), label.format(word, "{}"), names)
    described(tmp_path, train=3, val=2)


def test_voc_with_its_lists(tmp_path: Path, fill: Callable) -> None:
    kit = "VOCdevkit/VOC2012"
    fill(f"{kit}/JPEGImages/{{}}.jpg", f"{kit}/SegmentationClass/{{}}.png", "abcde", (0, 5, 255))
    fill(f"{kit}/JPEGImages/{{}}.jpg", "elsewhere/{}.png", "xyz")
    lists = tmp_path / kit / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("a\nb\nc\n")
    (lists / "val.txt").write_text("d\ne\n")
    (lists / "test.txt").write_text("x\n")
    found = described(tmp_path, train=3, val=2)
    assert found.arrangement.title == "PASCAL VOC"
    assert found.classes[5] == "bottle"


def test_cityscapes(tmp_path: Path, fill: Callable) -> None:
    ids = tuple(range(34))
    for split, name in (("train", "a"), ("val", "b"), ("test", "c")):
        frame = f"{split}/ulm/{{}}"
        label = f"gtFine/{frame}_gtFine_labelIds.png"
        fill(f"leftImg8bit/{frame}_leftImg8bit.png", label, name, ids)
    found = described(tmp_path, train=1, val=1)
    assert found.classes[:2] == ("road", "sidewalk")
    assert settings(tmp_path)["label_map"][7] == 0


@pytest.mark.parametrize("splits", [("train", "val"), ("Train", "Val")])
@pytest.mark.parametrize("kind", ["labels", "keypoints"])
def test_coco(
    tmp_path: Path, picture: Writer, noise: Callable, kind: str, splits: tuple[str, str]
) -> None:
    box = {"image_id": 1, "category_id": 4, "segmentation": [[0, 0, 5, 0, 5, 5]], "area": 12}
    category = {"id": 4, "name": "plum"}
    if kind == "keypoints":
        box |= {"keypoints": [1, 1, 2, 4, 4, 1]}
        category |= {"keypoints": ["left_end", "right_end"]}
    for split in splits:
        picture(tmp_path / "images" / f"{split}2017" / "x.jpg", noise(12, 16))
        image = {"id": 1, "file_name": "x.jpg", "width": 16, "height": 12}
        content = {"images": [image], "annotations": [box], "categories": [category]}
        path = tmp_path / "annotations" / f"things_{split}2017.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(content))
    (tmp_path / "annotations" / "captions_train2017.json").write_text('{"info": 1}')
    found = described(tmp_path, train=1, val=1)
    assert found.arrangement.images == "images/{split}2017/{name}"
    assert settings(tmp_path)[kind] == "annotations/things_{split}2017.json"
    assert found.classes == (("background", "plum") if kind == "labels" else ())


def test_coco_in_one_file_is_divided(tmp_path: Path, picture: Writer, noise: Callable) -> None:
    names = [f"{number}.jpg" for number in range(10)]
    for name in names:
        picture(tmp_path / "photos" / name, noise(12, 16))
    images = [{"id": number, "file_name": name} for number, name in enumerate(names)]
    boxes = [{"image_id": 3, "category_id": 1, "segmentation": [[0, 0, 5, 0, 5, 5]]}]
    content = {"images": images, "annotations": boxes, "categories": [{"id": 1, "name": "nut"}]}
    (tmp_path / "all.json").write_text(json.dumps(content))
    described(tmp_path)


@pytest.mark.parametrize(
    ("values", "classes", "mapping"),
    [
        ((0, 255), ["background", "foreground"], {0: 0, 255: 1}),
        ((0, 1), ["background", "foreground"], None),
        ((0, 1, 255), ["background", "foreground"], None),
        ((1, 2, 3), ["class0", "class1", "class2"], {1: 0, 2: 1, 3: 2}),
        ((7, 80, 200), ["class0", "class1", "class2"], {7: 0, 80: 1, 200: 2}),
    ],
)
def test_values_of_masks(
    tmp_path: Path, fill: Callable, values: tuple, classes: list, mapping: dict | None
) -> None:
    fill("images/{}.jpg", "masks/{}.png", values=values)
    described(tmp_path)
    assert settings(tmp_path)["classes"] == classes
    assert settings(tmp_path).get("label_map") == mapping


@pytest.mark.parametrize(
    ("file", "content", "classes"),
    [
        ("labels.txt", "soil\n# mine\n no crop \n", ["soil", "no crop"]),
        ("classes.txt", "0: soil\n1: crop\n", ["soil", "crop"]),
        ("classes.json", '{"crop": 1, "soil": 0}', ["soil", "crop"]),
        ("classes.json", '["soil", "crop"]', ["soil", "crop"]),
        ("class_dict.csv", "name,r,g,b\nsoil,0,0,0\ncrop,9,9,9\n", ["soil", "crop"]),
        ("labels.txt", "soil\nsoil\n", ["background", "foreground"]),
        ("labels.txt", "only\n", ["background", "only"]),
    ],
)
def test_names_of_classes(
    tmp_path: Path, fill: Callable, file: str, content: str, classes: list
) -> None:
    fill("images/{}.jpg", "masks/{}.png", values=(0, 1))
    (tmp_path / file).write_text(content)
    described(tmp_path)
    assert settings(tmp_path)["classes"] == classes


@pytest.mark.parametrize(
    ("content", "classes"),
    [
        (None, ["background", "class1", "class2"]),
        ("64 0 128 Car\n0 0 0 Void\n255 255 255 Sky\n", ["Car", "Void", "Sky"]),
        ("Void:0,0,0::\nSky:255,255,255::\nCar:64,0,128::\n", ["Void", "Sky", "Car"]),
    ],
)
def test_colours_of_masks(
    tmp_path: Path, picture: Writer, noise: Callable, content: str | None, classes: list
) -> None:
    colours = np.array([[0, 0, 0], [255, 255, 255], [64, 0, 128]], np.uint8)
    for name in "abcdefghij":
        picture(tmp_path / "images" / f"{name}.jpg", noise(12, 16))
        raw = noise(12, 16, 3)
        raw[0] = 1
        picture(tmp_path / "masks" / f"{name}.png", colours[raw])
    if content is not None:
        (tmp_path / "label_colors.txt").write_text(content)
    described(tmp_path)
    assert settings(tmp_path)["classes"] == classes
    builder = builder_class(f"folder:{tmp_path}")
    item = available(builder, tmp_path)["val"][0]
    label, truth = (
        read_item(item, builder.INFO)["label"],
        np.asarray(Image.open(tmp_path / "masks" / item.image.with_suffix(".png").name)),
    )
    codes = settings(tmp_path)["label_map"]
    for code, index in codes.items():
        rgb = [int(code[place : place + 2], 16) for place in (1, 3, 5)]
        assert np.array_equal(label == index, (truth == rgb).all(-1))


@pytest.mark.parametrize("kind", ["soft", "jpeg", "colours"])
def test_masks_that_are_no_masks_are_refused(
    tmp_path: Path, picture: Writer, noise: Callable, kind: str
) -> None:
    suffix = "jpg" if kind == "jpeg" else "png"
    for name in "abc":
        picture(tmp_path / "images" / f"{name}.jpg", noise(40, 40))
        soft = np.zeros((40, 40), np.uint8)
        soft[:, :30] = 255
        soft[0] = np.arange(40) * 6
        raw = noise(40, 40) if kind == "colours" else soft
        picture(tmp_path / "masks" / f"{name}.{suffix}", raw)
    with pytest.raises(DataError) as error:
        inspect(tmp_path)
    reason = (
        "is a JPEG, whose compression"
        if kind == "jpeg"
        else "masks in .*/masks hold .* different .* add --task restoration$"
    )
    assert error.match(reason)
    assert not (tmp_path / "dataset.yaml").exists()


def test_depth_maps(tmp_path: Path, picture: Writer, noise: Callable) -> None:
    for name in "abcdefghij":
        picture(tmp_path / "rgb" / f"{name}.jpg", noise(12, 16))
        picture(tmp_path / "depth" / f"{name}.png", noise(12, 16, 9).astype(np.uint16) * 500)
    described(tmp_path)
    assert settings(tmp_path)["depth"].startswith("depth")


def test_unusual_pictures_are_reported(
    tmp_path: Path, fill: Callable, picture: Writer, noise: Callable
) -> None:
    fill("images/{}.jpg", "masks/{}.png")
    exif = Image.Exif()
    exif[274] = 3
    Image.fromarray(noise(12, 16)).save(tmp_path / "images" / "a.jpg", exif=exif)
    (tmp_path / "images" / "b.jpg").unlink()
    picture(tmp_path / "images" / "b.png", noise(24, 32, 255).astype(np.uint16) * 200)
    (tmp_path / "images" / "lonely.jpg").write_bytes(b"no label")
    lines = inspect(tmp_path).lines
    assert "pictures: 16x12 to 32x24 (width x height)" in lines
    assert "1 of 10 pictures have 16 bits" in lines
    assert "1 of 10 pictures are turned by their EXIF" in lines
    assert "layout: pictures and masks; examples: train 8, val 2" in lines
    assert "note: pictures without a target are left out: lonely" in lines


def test_pictures_that_a_published_list_leaves_out_are_no_note(
    tmp_path: Path, fill: Callable
) -> None:
    fill("JPEGImages/{}.jpg", "SegmentationClass/{}.png", "abcd")
    lists = tmp_path / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("a\nb\n")
    (lists / "val.txt").write_text("c\n")
    assert not [note for note in inspect(tmp_path).notes if "left out" in note]


def test_values_that_no_mask_has_or_hardly_any_are_reported(
    tmp_path: Path, fill: Callable, picture: Writer
) -> None:
    fill("images/{}.jpg", "masks/{}.png", values=(0, 1, 2))
    mask = np.zeros((400, 600), np.uint8)
    mask[:, 300:] = 2
    mask[0, 0] = 5
    picture(tmp_path / "masks" / "a.png", mask)
    notes = inspect(tmp_path).notes
    assert "classes without a pixel in 10 masks: 3, 4" in notes
    assert "rare values of masks, each a class of its own: 5 (pixels: 1)" in notes
    (tmp_path / "classes.txt").write_text("\n".join("abcdef"))
    assert inspect(tmp_path).notes == ()


def test_splits_without_labels_are_left_out(tmp_path: Path, fill: Callable) -> None:
    fill("images/train/{}.jpg", "labels/train/{}.png")
    fill("images/test/{}.jpg", "elsewhere/{}.png", "kl")
    assert inspect(tmp_path).notes == ("split test has no labels and is left out",)


@pytest.mark.parametrize("content", ["nothing", "strangers", "depth", "json"])
def test_a_folder_without_labels_is_refused(
    tmp_path: Path, picture: Writer, noise: Callable, content: str
) -> None:
    if content != "nothing":
        picture(tmp_path / "images" / "a.jpg", noise(12, 16))
    if content == "strangers":
        picture(tmp_path / "masks" / "b.png", noise(12, 16, 2))
    if content == "depth":
        (tmp_path / "depth").mkdir()
        (tmp_path / "depth" / "a.npy").write_bytes(b"x")
    if content == "json":
        (tmp_path / "all.json").write_text("{}")
    with pytest.raises(DataError, match=r"has no labels that belong .* add --task restoration$"):
        inspect(tmp_path)


def test_a_description_that_is_there_is_not_overwritten(tmp_path: Path, fill: Callable) -> None:
    fill("images/{}.jpg", "masks/{}.png")
    (tmp_path / "dataset.yaml").write_text("mine")
    with pytest.raises(DataError) as caught:
        write(inspect(tmp_path))
    assert str(caught.value) == (
        f"{tmp_path / 'dataset.yaml'} is there already: edit it, or add --overwrite to write it "
        "again"
    )
    assert (tmp_path / "dataset.yaml").read_text() == "mine"
    write(inspect(tmp_path), overwrite=True)
    assert "classes:" in (tmp_path / "dataset.yaml").read_text()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written(tmp_path: Path, fill: Callable) -> None:
    fill("images/{}.jpg", "masks/{}.png")
    found = inspect(tmp_path)
    tmp_path.chmod(0o500)
    with pytest.raises(DataError, match="cannot be written: Permission denied"):
        write(found)
