"""Every reader on small files of the dataset's true format, written here."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from nas_tf.data.builder import available, read_item
from nas_tf.data.registry import builder_class, dataset_info
from nas_tf.errors import DataError


def examples(name: str, source: Path, split: str) -> list[dict]:
    builder = builder_class(name)
    return [read_item(item, builder.INFO) for item in available(builder, source)[split]]


@pytest.fixture
def camvid(tmp_path: Path, picture: Callable, noise: Callable) -> Path:
    """SegNet's layout: PNG, lists with absolute paths; no test split."""
    for split, count in (("train", 3), ("val", 2)):
        lines = []
        for number in range(count):
            picture(tmp_path / split / f"{number}.png", noise(36, 48))
            picture(tmp_path / f"{split}annot" / f"{number}.png", noise(36, 48, 12))
            root = "/SegNet/CamVid"
            lines.append(f"{root}/{split}/{number}.png {root}/{split}annot/{number}.png")
        (tmp_path / f"{split}.txt").write_text("\n".join(lines) + "\n\n")
    return tmp_path


def test_camvid_in_the_published_layout(camvid: Path) -> None:
    found = available(builder_class("camvid"), camvid)
    assert {split: len(items) for split, items in found.items()} == {"train": 3, "val": 2}
    example = examples("camvid", camvid, "train")[0]
    assert example["image"].shape == (36, 48, 3)
    assert example["label"].max() == 11


@pytest.mark.skipif(
    not (Path(os.environ.get("NAS_TF_DATA", "/nowhere")) / "camvid" / "train.txt").is_file(),
    reason="NAS_TF_DATA names no folder with camvid",
)
def test_camvid_in_full() -> None:
    source = Path(os.environ["NAS_TF_DATA"]) / "camvid"
    found = available(builder_class("camvid"), source)
    assert (len(found["train"]), len(found["val"])) == (367, 101)
    values = set()
    for items in found.values():
        for item in items[::20]:
            example = read_item(item, dataset_info("camvid"))
            assert example["image"].shape == (360, 480, 3)
            assert item.image.suffix == ".jpg"
            values |= set(np.unique(example["label"]))
    assert values == set(range(12))


def test_voc_palettes_and_sbd_matrices(tmp_path: Path, picture: Callable, noise: Callable) -> None:
    kit = tmp_path / "VOCdevkit" / "VOC2012"
    extra = tmp_path / "benchmark_RELEASE" / "dataset"
    truth = {}
    for name in ("a", "b", "c"):
        picture(kit / "JPEGImages" / f"{name}.jpg", noise(10, 12))
        truth[name] = noise(10, 12, 21)
        truth[name][0] = 255
        picture(kit / "SegmentationClass" / f"{name}.png", truth[name], palette=True)
    lists = kit / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("a\n")
    (lists / "val.txt").write_text("b\nc\n")
    for name in ("a", "b", "d"):
        picture(extra / "img" / f"{name}.jpg", noise(10, 12))
        truth[f"sbd {name}"] = noise(10, 12, 21)
        (extra / "cls").mkdir(exist_ok=True)
        struct = {"Boundaries": np.zeros((20, 1)), "Segmentation": truth[f"sbd {name}"]}
        savemat(extra / "cls" / f"{name}.mat", {"GTcls": struct})
    (extra / "train.txt").write_text("a\nd\n")
    (extra / "val.txt").write_text("b\n")

    found = available(builder_class("voc2012_seg"), tmp_path)
    assert {split: [item.id for item in items] for split, items in found.items()} == {
        "train": ["a"],
        "val": ["b", "c"],
        "trainaug": ["a", "d"],
    }
    info = dataset_info("voc2012_seg")
    assert np.array_equal(read_item(found["val"][0], info)["label"], truth["b"])
    voc, sbd = (read_item(item, info)["label"] for item in found["trainaug"])
    assert np.array_equal(voc, truth["a"])
    assert np.array_equal(sbd, truth["sbd d"])

    broken = extra / "cls" / "d.mat"
    broken.write_bytes(b"not a matrix")
    with pytest.raises(DataError) as error:
        read_item(found["trainaug"][1], info)
    assert str(error.value) == (
        f"{broken} cannot be read: a MATLAB file with GTcls is accepted; extract it again"
    )


def test_cityscapes_keeps_nineteen_of_its_ids(
    tmp_path: Path, picture: Callable, noise: Callable
) -> None:
    raw = np.zeros((6, 10), np.uint8)
    raw[0] = [7, 8, 11, 33, 0, 9, 29, 255, 26, 24]
    for city in ("ulm", "bonn"):
        frame = f"{city}_000000_000019"
        image = tmp_path / "leftImg8bit" / "val" / city / f"{frame}_leftImg8bit.png"
        picture(image, noise(6, 10))
        labels = tmp_path / "gtFine" / "val" / city
        picture(labels / f"{frame}_gtFine_labelIds.png", raw)
        picture(labels / f"{frame}_gtFine_color.png", noise(6, 10))
    found = available(builder_class("cityscapes_seg"), tmp_path)
    assert [item.id for item in found["val"]] == ["bonn_000000_000019", "ulm_000000_000019"]
    info = dataset_info("cityscapes_seg")
    label = read_item(found["val"][0], info)["label"]
    assert label[0].tolist() == [0, 1, 2, 18, 255, 255, 255, 255, 13, 11]
    names = info.classes
    assert (names[0], names[2], names[18], names[13]) == ("road", "building", "bicycle", "car")


@pytest.mark.parametrize("line", ["x", "JPEGImages/x.jpg SegmentationPart/x.png"])
def test_person_part(tmp_path: Path, picture: Callable, noise: Callable, line: str) -> None:
    lists = tmp_path / "pascal_person_part_trainval_list"
    lists.mkdir()
    (lists / "train.txt").write_text(f"{line}\n")
    picture(tmp_path / "JPEGImages" / "x.jpg", noise(8, 9))
    truth = picture(tmp_path / "pascal_person_part_gt" / "x.png", noise(8, 9, 7))
    (example,) = examples("person_part", tmp_path, "train")
    assert np.array_equal(example["label"], truth)


def test_nyu_depth_turns_matlab_axes_and_keeps_missing_depth(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    images = rng.integers(0, 256, (4, 3, 16, 12)).astype(np.uint8)
    depths = rng.uniform(0.5, 9.9, (4, 16, 12)).astype(np.float32)
    depths[:, 0] = 0
    with h5py.File(tmp_path / "nyu_depth_v2_labeled.mat", "w") as file:
        file["images"], file["rawDepths"] = images, depths
    numbers = {"trainNdxs": [[1], [4]], "testNdxs": [[2], [3]]}
    savemat(tmp_path / "splits.mat", numbers)
    found = available(builder_class("nyuv2_depth"), tmp_path)
    assert [item.id for item in found["train"]] == ["00001", "00004"]
    example = read_item(found["train"][1], dataset_info("nyuv2_depth"))
    assert example["image"].shape == (12, 16, 3)
    assert np.array_equal(example["image"][5, 7], images[3, :, 7, 5])
    assert np.array_equal(example["depth"], depths[3].T)
    assert not example["depth"][:, 0].any()


@pytest.fixture
def raw_frames(tmp_path: Path, picture: Callable, noise: Callable) -> Path:
    """Two raw frames of NYU Depth v2 and their list: images and depths in millimetres."""
    for number in (1, 2):
        picture(tmp_path / "rgb" / "attic" / f"{number}.jpg", noise(12, 16))
        depth = noise(12, 16, 20).astype(np.uint16) * 400 + number
        depth[0] = 0
        picture(tmp_path / "depth" / "attic" / f"{number}.png", depth)
    lines = [f"rgb/attic/{number}.jpg\tdepth/attic/{number}.png\n" for number in (2, 1)]
    (tmp_path / "raw.txt").write_text("".join(lines))
    return tmp_path


def test_raw_frames_of_nyu_depth_are_pairs_in_millimetres(raw_frames: Path) -> None:
    found = available(builder_class("nyuv2_depth"), raw_frames)
    assert list(found) == ["raw"]
    assert [item.id for item in found["raw"]] == ["rgb/attic/2", "rgb/attic/1"]
    example = read_item(found["raw"][0], dataset_info("nyuv2_depth"))
    stored = np.asarray(Image.open(raw_frames / "depth" / "attic" / "2.png"))
    np.testing.assert_allclose(example["depth"], stored / 1000, rtol=1e-6)
    assert example["image"].shape == (12, 16, 3)
    assert example["depth"].dtype == np.float32
    assert not example["depth"][0].any()


def test_raw_frames_of_nyu_depth_with_mistakes_are_one_line_each(
    raw_frames: Path, picture: Callable
) -> None:
    item, _ = available(builder_class("nyuv2_depth"), raw_frames)["raw"]
    info = dataset_info("nyuv2_depth")
    depth = raw_frames / "depth" / "attic" / "2.png"
    fifths = np.full((12, 16), 12_500, np.uint16)
    for pixels, line in (
        (fifths, f"depth map {depth} has a median of 12.5 m, expected millimetres and 10 m at mo"),
        (fifths.astype(np.uint8), f"depth map {depth} has mode L: one channel of 16 bits is acc"),
        (fifths[:9] // 5, "depth of rgb/attic/2"),
    ):
        picture(depth, pixels)
        with pytest.raises(DataError) as error:
            read_item(item, info)
        assert str(error.value).startswith(line)
        assert "\n" not in str(error.value)
    depth.unlink()
    with pytest.raises(DataError, match=f"^depth map {depth} is missing"):
        read_item(item, info)
    listing = raw_frames / "raw.txt"
    for text, line in (
        ("a.jpg\n", f"{listing} has the line 'a.jpg', expected image<TAB>depth"),
        ("../a.jpg\ta.png", f"{listing} names '../a.jpg', expected a path in {raw_frames}"),
        ("", f"split raw of nyuv2_depth in {raw_frames} is empty"),
    ):
        listing.write_text(text)
        with pytest.raises(DataError) as error:
            available(builder_class("nyuv2_depth"), raw_frames)
        assert str(error.value).startswith(line)


def test_coco_cuts_out_people_with_joints(
    tmp_path: Path, picture: Callable, noise: Callable
) -> None:
    image = np.zeros((60, 100, 3), np.uint8)
    image[30, 50], image[20, 44] = 255, 200
    picture(tmp_path / "train2017" / "000000000009.png", image)
    joints = np.zeros((17, 3), int)
    joints[0], joints[5] = (50, 30, 2), (44, 20, 1)
    person = {
        "id": 7,
        "image_id": 9,
        "bbox": [40, 10, 20, 40],
        "area": 500.0,
        "iscrowd": 0,
        "num_keypoints": 2,
        "keypoints": joints.ravel().tolist(),
    }
    content = {
        "images": [{"id": 9, "file_name": "000000000009.png"}],
        "annotations": [
            person,
            {**person, "id": 8, "iscrowd": 1},
            {**person, "id": 9, "num_keypoints": 0},
        ],
    }
    (tmp_path / "annotations").mkdir()
    listing = tmp_path / "annotations" / "person_keypoints_train2017.json"
    listing.write_text(json.dumps(content))
    (example,) = examples("coco_keypoints", tmp_path, "train")
    side = round(1.25 * 40 * 1.5)
    assert example["image"].shape == (side, side, 3)
    assert example["area"].tolist() == [500.0]
    (points,) = example["keypoints"]
    for joint, value in ((0, 255), (5, 200)):
        x, y, _ = points[joint].astype(int)
        assert example["image"][y, x, 0] == value
    assert points[[0, 5], 2].tolist() == [2, 1]
    assert not points[1:5].any()

    listing.write_text('{"images": []}')
    with pytest.raises(DataError) as error:
        available(builder_class("coco_keypoints"), tmp_path)
    assert str(error.value) == (
        f"{listing} is not COCO's keypoint JSON (KeyError: 'annotations'): "
        "images and annotations are expected; extract it again"
    )


def test_mpii_counts_from_one_and_measures_heads(tmp_path: Path, picture: Callable) -> None:
    image = np.zeros((900, 1200, 3), np.uint8)
    image[396:405, 596:605] = 255
    picture(tmp_path / "images" / "x.png", image)
    joints = np.full((16, 2), -1.0)
    joints[9] = 601, 401
    person = {
        "image": "x.png",
        "center": [601.0, 401.0],
        "scale": 3.2,
        "joints": joints.tolist(),
        "joints_vis": [int(j == 9) for j in range(16)],
    }
    annotations = tmp_path / "annot"
    annotations.mkdir()
    for file in ("train.json", "valid.json"):
        (annotations / file).write_text(json.dumps([person]))
    boxes = np.zeros((2, 2, 1))
    boxes[1, :, 0] = 30, 40
    savemat(annotations / "gt_valid.mat", {"headboxes_src": boxes})
    (example,) = examples("mpii_pose", tmp_path, "val")
    scale = 512 / round(3.2 * 200 * 1.25 * 1.5)
    np.testing.assert_allclose(example["head_size"], [0.6 * 50 * scale], rtol=1e-6)
    x, y, visibility = example["keypoints"][0, 9]
    assert example["image"].shape == (512, 512, 3)
    assert example["image"][round(y), round(x)].tolist() == [255, 255, 255]
    assert visibility == 2
    assert not example["keypoints"][0, :9].any()
    assert examples("mpii_pose", tmp_path, "train")[0]["head_size"].tolist() == [0]

    savemat(annotations / "gt_valid.mat", {"headboxes_src": np.zeros((2, 2, 5))})
    with pytest.raises(DataError) as error:
        available(builder_class("mpii_pose"), tmp_path)
    assert str(error.value) == f"{annotations / 'gt_valid.mat'} holds 5 head boxes for 1 people"


def test_a_folder_with_list_files_and_a_label_map(
    tmp_path: Path, picture: Callable, noise: Callable
) -> None:
    for name in ("a", "b c.1"):
        picture(tmp_path / "images" / "field" / f"{name}.jpg", noise(8, 9))
    raw = np.array([[0, 38], [75, 9]], np.uint8).repeat(4, 0).repeat([4, 5], 1)
    for name in ("a", "b c.1"):
        picture(tmp_path / "labels" / "field" / f"{name}.png", raw)
    (tmp_path / "some.txt").write_text("field/a.jpg\nfield/b c.1\n")
    (tmp_path / "dataset.yaml").write_text(
        "classes: [soil, crop]\nignore_label: 9\n"
        "label_map: {0: 0, 38: 1, 75: 9}\nsplits: {train: some.txt}\n"
    )
    name = f"folder:{tmp_path}"
    for example in examples(name, tmp_path, "train"):
        assert np.unique(example["label"]).tolist() == [0, 1, 9]
    assert [item.id for item in builder_class(name).items(tmp_path, "train")] == [
        *("field/a", "field/b c.1")
    ]
    assert dataset_info(name).classes == ("soil", "crop")
    before = builder_class(name).name
    assert builder_class(f"folder:{tmp_path}/images/..").name == before
    picture(tmp_path / "images" / "field" / "a.jpg", noise(8, 10))
    assert builder_class(name).name != before
