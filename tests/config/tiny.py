"""Public data sets of a dozen noisy images each, in their true formats."""

import json
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
from PIL import Image
from scipy.io import savemat

from nas_tf.data.store import prepare

TRAIN, VAL = 10, 2
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
}


def write(folder: Path) -> None:
    """Writes and prepares them all, into the prepared data of the session."""
    for name, writer in _WRITERS.items():
        writer(folder / name)
        prepare(name, folder / name)
