"""Public data sets of a dozen noisy images each, in their true formats."""

import json
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
from PIL import Image
from scipy.io import savemat

from nas_tf.data.coco_det import INFO as COCO
from nas_tf.data.store import prepare

TRAIN, VAL, SBD, COCO_TRAIN = 10, 2, 2, 8
_NOISE = np.random.default_rng(5)


def _picture(path: Path, height: int, width: int, below: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = (height, width) if below else (height, width, 3)
    Image.fromarray(_NOISE.integers(0, below or 256, shape).astype(np.uint8)).save(path)


def _cityscapes(source: Path) -> None:
    for split, count in (("train", TRAIN), ("val", VAL)):
        for number in range(count):
            frame = f"ulm_{number:06d}_000019"
            image = source / "leftImg8bit" / split / "ulm" / f"{frame}_leftImg8bit.png"
            _picture(image, 64, 128)
            label = source / "gtFine" / split / "ulm" / f"{frame}_gtFine_labelIds.png"
            _picture(label, 64, 128, below=34)


def _nyu(source: Path) -> None:
    count = TRAIN + VAL
    source.mkdir()
    with h5py.File(source / "nyu_depth_v2_labeled.mat", "w") as file:
        file["images"] = _NOISE.integers(0, 256, (count, 3, 96, 72)).astype(np.uint8)
        file["rawDepths"] = _NOISE.uniform(0, 9, (count, 96, 72)).astype(np.float32)
    numbers = np.arange(1, count + 1)[:, None]
    savemat(source / "splits.mat", {"trainNdxs": numbers[:TRAIN], "testNdxs": numbers[TRAIN:]})


def _voc(source: Path) -> None:
    kit, extra = source / "VOCdevkit" / "VOC2012", source / "benchmark_RELEASE" / "dataset"
    lists = kit / "ImageSets" / "Segmentation"
    for folder in (lists, extra / "cls"):
        folder.mkdir(parents=True)
    for split, count in (("train", TRAIN), ("val", VAL)):
        names = [f"{split}{number}" for number in range(count)]
        (lists / f"{split}.txt").write_text("\n".join(names))
        for name in names:
            _picture(kit / "JPEGImages" / f"{name}.jpg", 72, 96)
            _picture(kit / "SegmentationClass" / f"{name}.png", 72, 96, below=21)
    for split in ("train", "val"):
        _picture(extra / "img" / f"sbd_{split}.jpg", 72, 96)
        struct = {"Segmentation": _NOISE.integers(0, 21, (72, 96)).astype(np.uint8)}
        savemat(extra / "cls" / f"sbd_{split}.mat", {"GTcls": struct})
        (extra / f"{split}.txt").write_text(f"sbd_{split}\n")


def _coco(source: Path) -> None:
    categories = [{"id": number, "name": name} for number, name in enumerate(COCO.classes)]
    images = [
        {"id": number, "file_name": f"{number:012}.jpg", "height": 72, "width": 96}
        for number in range(COCO_TRAIN)
    ]
    objects = [
        {
            **{"image_id": image["id"], "category_id": 0, "area": 800.0, "iscrowd": 0},
            **{"bbox": [8, 9, 40, 20], "segmentation": [[8, 9, 48, 9, 48, 29, 8, 29]]},
        }
        for image in images
    ]
    for image in images:
        _picture(source / "train2017" / image["file_name"], 72, 96)
    content = {"images": images, "annotations": objects, "categories": categories}
    (source / "annotations").mkdir()
    (source / "annotations" / "instances_train2017.json").write_text(json.dumps(content))


def _mpii(source: Path) -> None:
    _picture(source / "images" / "x.png", 150, 150)
    person = {
        "image": "x.png",
        "center": [75.0, 75.0],
        "scale": 0.3,
        "joints": _NOISE.uniform(50, 100, (16, 2)).tolist(),
        "joints_vis": [1] * 16,
    }
    annotations = source / "annot"
    annotations.mkdir()
    (annotations / "train.json").write_text(json.dumps([person] * TRAIN))
    (annotations / "valid.json").write_text(json.dumps([person] * VAL))
    boxes = np.zeros((2, 2, VAL))
    boxes[1] = 10
    savemat(annotations / "gt_valid.mat", {"headboxes_src": boxes})


_WRITERS: dict[str, Callable[[Path], None]] = {
    "cityscapes_seg": _cityscapes,
    "nyuv2_depth": _nyu,
    "mpii_pose": _mpii,
    "voc2012_seg": _voc,
    "coco_voc_seg": _coco,
}


def write(folder: Path, *names: str) -> None:
    """Writes and prepares them, all by default, into the prepared data of the session."""
    for name in names or _WRITERS:
        _WRITERS[name](folder / name)
        prepare(name, folder / name)
