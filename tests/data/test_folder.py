"""A user's own folder in many layouts: the annotations are read as they are."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from nas_tf.data.builder import Item, available, read_item
from nas_tf.data.check import check
from nas_tf.data.examples import Examples
from nas_tf.data.info import DatasetInfo
from nas_tf.data.registry import builder_class
from nas_tf.errors import DataError
from nas_tf.training.task_settings import task_of


def settled(root: Path, **settings: Any) -> str:
    (root / "dataset.yaml").write_text(yaml.safe_dump(settings))
    return f"folder:{root}"


def items(name: str) -> dict[str, list[Item]]:
    builder = builder_class(name)
    return available(builder, builder.source)


def info(name: str) -> DatasetInfo:
    return builder_class(name).INFO


def test_cityscapes_is_read_in_place(tmp_path: Path, picture: Callable, noise: Callable) -> None:
    for split in ("val", "train"):
        image = tmp_path / "leftImg8bit" / split / "ulm" / "ulm_1_leftImg8bit.png"
        picture(image, noise(6, 10))
        labels = tmp_path / "gtFine" / split / "ulm"
        truth = picture(labels / "ulm_1_gtFine_labelIds.png", noise(6, 10, 3))
        picture(labels / "ulm_1_gtFine_color.png", noise(6, 10))
    name = settled(
        tmp_path,
        classes=["a", "b", "c"],
        images="leftImg8bit/{split}/{name}_leftImg8bit.png",
        labels="gtFine/{split}/{name}_gtFine_labelIds.png",
    )
    found = items(name)
    assert list(found) == ["train", "val"]
    assert [item.id for item in found["train"]] == ["train/ulm/ulm_1"]
    assert np.array_equal(read_item(found["train"][0], info(name))["label"], truth)


def test_voc_lists_and_folders_of_other_names(
    tmp_path: Path, picture: Callable, noise: Callable
) -> None:
    for name in ("a", "b.c"):
        picture(tmp_path / "JPEGImages" / f"{name}.JPG", noise(6, 10))
        picture(tmp_path / "SegmentationClass" / f"{name}.png", noise(6, 10, 2), palette=True)
    lists = tmp_path / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("a\nb.c\n")
    name = settled(
        tmp_path,
        classes=["a", "b"],
        images="JPEGImages",
        labels="SegmentationClass",
        splits={"train": "ImageSets/Segmentation/train.txt"},
    )
    assert check(name).problems == []
    assert [item.id for item in items(name)["train"]] == ["a", "b.c"]

    for path in ("images/training/x.jpg", "images/valid/deep/y.jpg"):
        picture(tmp_path / path, noise(6, 10))
        picture(tmp_path / path.replace("images", "masks").replace("jpg", "bmp"), noise(6, 10, 2))
    name = settled(
        tmp_path, classes=["a", "b"], labels="masks", splits={"train": "training", "val": "valid"}
    )
    assert check(name).problems == []
    assert [item.id for item in items(name)["val"]] == ["valid/deep/y"]


def test_pictures_and_masks_in_one_folder(
    tmp_path: Path, picture: Callable, noise: Callable
) -> None:
    for split in ("train", "val"):
        picture(tmp_path / split / "x.png", noise(6, 10))
        picture(tmp_path / split / "x_mask.png", noise(6, 10, 2))
    name = settled(
        tmp_path, classes=["a", "b"], images="{split}/{name}", labels="{split}/{name}_mask"
    )
    assert [item.id for item in items(name)["val"]] == ["val/x"]
    assert check(name).problems == []


def test_colours_are_classes(own: Callable[..., Path], picture: Callable) -> None:
    codes = {"#ff0000": 0, "#00ff00": 1, "#0102fd": 2, "#000000": 255}
    root = own(train=1, label_map=codes)
    colours = np.array([[255, 0, 0], [0, 255, 0], [1, 2, 253], [0, 0, 0]], np.uint8)
    truth = np.random.default_rng(0).integers(0, 4, (24, 32))
    for split in ("train", "val"):
        picture(root / "labels" / split / "0.png", colours[truth])
    name = f"folder:{root}"
    label = read_item(items(name)["train"][0], info(name))["label"]
    assert np.array_equal(label, np.array([0, 1, 2, 255])[truth])
    assert info(name).colours == ((255, 0, 0), (0, 255, 0), (1, 2, 253))

    spoilt = colours[truth]
    spoilt[3, 5] = 255, 0, 1
    path = root / "labels" / "train" / "0.png"
    picture(path, spoilt)
    assert check(name).problems == [
        f"label #ff0001 in {path} at (5, 3): colours #000000, #00ff00, #0102fd, #ff0000 "
        "declared; add it to label_map"
    ]


@pytest.mark.parametrize(
    ("settings", "first"),
    [
        ({}, "not black"),
        ({"classes": ["background", "crop", "weed"]}, (0, 0, 0)),
        ({"palette": "voc"}, (0, 0, 0)),
        ({"palette": ["#010203", "#ff0000", "#00ff00"]}, (1, 2, 3)),
    ],
)
def test_only_a_background_is_drawn_black(
    own: Callable[..., Path], settings: dict, first: Any
) -> None:
    colours = info(f"folder:{own(**settings)}").colours
    assert len(set(colours)) == 3
    if first == "not black":
        assert all(max(colour) > 120 for colour in colours)
    else:
        assert colours[0] == first


def test_depth_in_metres(tmp_path: Path, picture: Callable, noise: Callable) -> None:
    steps = np.array([[0, 1500], [65535, 20]], np.uint16)
    for split in ("train", "val"):
        picture(tmp_path / "images" / split / "x.jpg", noise(2, 2))
        picture(tmp_path / "depth" / split / "x.png", steps)
    name = settled(tmp_path, depth="depth", depth_unit=0.002)
    assert info(name).targets == ("depth",)
    assert check(name).notes == []
    depth = read_item(items(name)["val"][0], info(name))["depth"]
    np.testing.assert_allclose(depth, [[0, 3], [131.07, 0.04]], rtol=1e-6)
    assert task_of(info(name)).name == "depth"

    wrong = tmp_path / "depth" / "train" / "x.png"
    picture(wrong, noise(2, 2))
    assert check(name).problems == [
        f"depth map {wrong} has mode RGB: one channel of 16 bits is accepted, as in a 16-bit PNG; "
        "convert it"
    ]


def coco(images: list[str], annotations: list[dict], categories: list[dict]) -> str:
    named = [
        {"id": number, "file_name": name, "height": 20, "width": 30}
        for number, name in enumerate(images)
    ]
    return json.dumps({"images": named, "annotations": annotations, "categories": categories})


def test_masks_are_drawn_from_a_coco_json(
    tmp_path: Path, picture: Callable, noise: Callable
) -> None:
    boxes = [
        {"category_id": 7, "segmentation": [[0, 0, 10, 0, 10, 10, 0, 10]], "area": 100},
        {"category_id": 3, "segmentation": [[2, 2, 6, 2, 6, 6, 2, 6]], "area": 16},
        {"category_id": 3, "iscrowd": 1, "segmentation": {"size": [20, 30], "counts": [500, 100]}},
        {"category_id": 3, "segmentation": {"size": [20, 30], "counts": "X9SV1"}, "area": 3},
    ]
    content = coco(
        ["train/x.jpg", "y.jpg"],
        [{"image_id": 0, **box} for box in boxes[:3]],
        [{"id": 7, "name": "crop"}, {"id": 3, "name": "weed"}],
    )
    for split in ("train", "val"):
        for image in ("x", "y"):
            picture(tmp_path / f"{split}2017" / f"{image}.jpg", noise(20, 30))
        (tmp_path / f"instances_{split}2017.json").write_text(content.replace("train/x", "x"))
    name = settled(tmp_path, images="{split}2017/{name}.jpg", labels="instances_{split}2017.json")
    assert info(name).classes == ("background", "weed", "crop")
    found = items(name)
    assert [item.id for item in found["val"]] == ["val/x", "val/y"]
    expected = np.zeros((20, 30), np.uint8)
    expected[:, 25:] = 255
    expected[:10, :10] = 2
    expected[2:6, 2:6] = 1
    assert np.array_equal(read_item(found["train"][0], info(name))["label"], expected)
    assert not read_item(found["train"][1], info(name))["label"].any()
    assert check(name).problems == []

    name = settled(
        tmp_path,
        classes=["rest", "weed"],
        images="{split}2017/{name}.jpg",
        labels="instances_{split}2017.json",
    )
    expected[expected == 2] = 0
    assert np.array_equal(read_item(items(name)["train"][0], info(name))["label"], expected)


@pytest.mark.parametrize(
    ("segmentation", "reason"),
    [
        ([[0, 0, 1e9, 0, 1e9, 1e9]], "an outline of x in .* is no polygon"),
        ([[0, 0, 1, 1]], "an outline of x in .* is no polygon"),
        (
            {"size": [20, 30], "counts": [1, 2]},
            "a mask of x in .* does not cover its 30x20 pixels",
        ),
        ({"size": [20, 30], "counts": [700, -100]}, "a mask of x in .* does not cover"),
        ({"size": [9, 9], "counts": "0"}, "a mask of x in .* does not cover"),
        ({"size": [20, 30], "counts": "o" * 10**6}, "a mask of x in .* does not cover"),
        ("no", "an outline of x in .* is neither polygons nor run lengths"),
    ],
)
def test_a_hostile_outline_is_refused_by_name(
    tmp_path: Path, picture: Callable, noise: Callable, segmentation: object, reason: str
) -> None:
    picture(tmp_path / "images" / "x.jpg", noise(20, 30))
    hostile = {"image_id": 0, "category_id": 1, "segmentation": segmentation}
    (tmp_path / "a.json").write_text(coco(["x.jpg"], [hostile], [{"id": 1, "name": "crop"}]))
    (tmp_path / "train.txt").write_text("x\n")
    name = settled(
        tmp_path, classes=["rest", "crop"], labels="a.json", splits={"train": "train.txt"}
    )
    (problem,) = check(name).problems
    with pytest.raises(DataError, match=reason):
        raise DataError(problem)


@pytest.mark.parametrize("compressed", [False, True])
def test_run_lengths_are_pycocotools_own(compressed: bool) -> None:
    from pycocotools import mask

    from nas_tf.data.coco_file import _run_lengths

    rng = np.random.default_rng(4)
    for _ in range(20):
        pixels = np.asfortranarray(rng.random((37, 41)) < rng.random(), np.uint8)
        counts = mask.encode(pixels)["counts"].decode()
        runs = np.diff(np.flatnonzero(np.diff(pixels.T.ravel(), prepend=0, append=2)), prepend=0)
        assert _run_lengths(counts) == runs.tolist()


def posed(image: int, area: float, points: list[list[float]]) -> dict:
    flat = [value for point in points for value in point]
    return {"image_id": image, "category_id": 1, "area": area, "keypoints": flat}


def test_the_largest_person_of_a_picture(
    tmp_path: Path, picture: Callable, noise: Callable
) -> None:
    joints = ["nose", "left_eye", "right_eye"]
    small = posed(0, 9, [[1, 1, 2], [2, 1, 2], [3, 1, 1]])
    large = posed(0, 90, [[4, 4, 2], [0, 0, 0], [9, 4, 1]])
    content = coco(
        ["x.jpg", "empty.jpg"],
        [small, large, posed(1, 5, [[0, 0, 0]] * 3)],
        [{"id": 1, "name": "person", "keypoints": joints}],
    )
    for split in ("train", "val"):
        for image in ("x", "empty"):
            picture(tmp_path / "images" / split / f"{image}.jpg", noise(20, 30))
        (tmp_path / f"{split}.json").write_text(content)
    name = settled(tmp_path, keypoints="{split}.json")
    about = info(name)
    assert (about.targets, about.extras) == (("keypoints",), ("area",))
    assert about.joints == ("nose", "left eye", "right eye")
    assert about.swaps == ((1, 2),)
    task = task_of(about)
    assert (task.name, task.scoring, task.sigmas) == ("pose", "oks", (0.067,) * 3)
    assert [item.id for item in items(name)["val"]] == ["val/x"]
    examples = Examples(name, "val")
    example = examples.get(0)
    assert example["keypoints"].numpy().tolist() == [[[4, 4, 2], [0, 0, 0], [9, 4, 1]]]
    assert example["area"].numpy().tolist() == [90]

    name = settled(tmp_path, keypoints="{split}.json", joints=["a", "b", "c"], swaps=[["a", "b"]])
    assert (info(name).joints, info(name).swaps) == (("a", "b", "c"), ((0, 1),))
    name = settled(tmp_path, keypoints="{split}.json", joints=["a", "b"])
    assert "has 9 keypoint values, expected x, y and visibility of 2 joints" in str(
        check(name).problems
    )


def test_the_prepared_copy_follows_the_files_that_are_read(
    own: Callable[..., Path], tmp_path: Path, picture: Callable, noise: Callable
) -> None:
    root = own()
    elsewhere = tmp_path / "elsewhere"
    (root / "images" / "val").rename(elsewhere)
    (root / "images" / "val").symlink_to(elsewhere)
    (elsewhere / "again").symlink_to(elsewhere)
    before = builder_class(f"folder:{root}").name
    (root / "runs").mkdir()
    (root / "runs" / "ledger.jsonl").write_text("{}")
    assert builder_class(f"folder:{root}").name == before
    picture(elsewhere / "0.png", noise(30, 20))
    assert builder_class(f"folder:{root}").name != before
