"""A damaged data folder of a user: each problem is one line, whatever the files contain."""

import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import strategies as st
from PIL import Image

from nas_tf.data.check import check
from nas_tf.data.init import inspect, write
from nas_tf.data.registry import dataset_info
from tests.data.test_voc_boxes import annotation
from tests.fuzz.fuzzed import another, hold, mangled, often, other_json, refused_at_most

SETTINGS = {
    "classes": ["soil", "crop", "weed"],
    "ignore_label": 255,
    "label_map": {0: 0, 1: 1, 2: 2},
    "splits": {"train": "train.txt"},
    "palette": "voc",
    "images": "images",
    "labels": "labels/{name}.png",
}
OUTLINES = [
    [[0, 0, 9, 0, 9, 9]],
    {"size": [12, 16], "counts": [100, 92]},
    {"size": [12, 16], "counts": "T3l2"},
]
ANNOTATED = {
    "images": [{"id": 1, "file_name": "0.png", "height": 12, "width": 16}],
    "annotations": [
        {"image_id": 1, "category_id": 1, "segmentation": item, "keypoints": [1, 2, 2, 4, 5, 1]}
        for item in OUTLINES
    ],
    "categories": [{"id": 1, "name": "crop", "keypoints": ["left_end", "right_end"]}],
}
BOXED = {
    "xml": annotation(("crop", 2, 2, 9, 9), ("crop", 1, 1, 16, 12)),
    "txt": "0 0.5 0.5 0.25 0.5\n0 0.5 0.5 1 1\n",
    "json": json.dumps(
        ANNOTATED | {"annotations": [{"image_id": 1, "category_id": 1, "bbox": [1, 2, 4.5, 5]}]}
    ),
}
ANNOTATED_SETTINGS = {
    "labels": "{split}.json",
    "keypoints": "{split}.json",
    "joints": ["left end", "right end"],
    "swaps": [["left end", "right end"]],
    "depth": "depth/{split}/{name}",
    "depth_unit": 0.01,
    "palette": ["#000000", "#ff8800"],
}


def file_of(pixels: np.ndarray, kind: str) -> bytes:
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, kind)
    return content.getvalue()


NOISE = np.random.default_rng(3).integers(0, 3, (12, 16, 3), dtype=np.uint8)
LARGE = np.array([[0, 2**30]], np.int32)
FILES = (
    *(file_of(NOISE, kind) for kind in ("png", "jpeg", "bmp", "gif", "tiff")),
    *(file_of(NOISE[..., 0], kind) for kind in ("png", "jpeg", "tiff")),
    file_of(LARGE, "tiff"),
    file_of(NOISE[..., 0].astype(np.uint16), "png"),
    file_of(NOISE[..., 0].astype(np.float32), "tiff"),
)


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Creates two pictures with labels, and a list of them."""
    folder = tmp_path_factory.mktemp("data") / "own"
    for number in range(2):
        for kind, pixels in (("images", NOISE), ("labels", NOISE[..., 0])):
            path = folder / kind / "train" / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(file_of(pixels, "png"))
    (folder / "train.txt").write_text("train/0\ntrain/1.png\n")
    (folder / "dataset.yaml").write_text(yaml.safe_dump(SETTINGS))
    return folder


@pytest.fixture(scope="module")
def annotated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Creates a picture with outlines, joints and a depth map."""
    folder = tmp_path_factory.mktemp("data") / "own"
    for kind, pixels in (("images", NOISE), ("depth", NOISE[..., 0].astype(np.uint16))):
        path = folder / kind / "train" / "0.png"
        path.parent.mkdir(parents=True)
        path.write_bytes(file_of(pixels, "png"))
    (folder / "train.json").write_text(json.dumps(ANNOTATED))
    (folder / "dataset.yaml").write_text(yaml.safe_dump(ANNOTATED_SETTINGS))
    return folder


@pytest.fixture(scope="module", params=["labelled", "annotated", *BOXED])
def original(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folders above, and pictures with boxes in each format."""
    if request.param in BOXED:
        return boxed(tmp_path_factory.mktemp("data") / "own", request.param)
    return request.getfixturevalue(request.param)


def boxed(folder: Path, kind: str) -> Path:
    """Creates a picture with boxes in a format."""
    path = folder / "images" / "train" / "0.png"
    path.parent.mkdir(parents=True)
    path.write_bytes(file_of(NOISE, "png"))
    boxes = folder / ("train.json" if kind == "json" else f"boxes/train/0.{kind}")
    boxes.parent.mkdir(parents=True, exist_ok=True)
    boxes.write_text(BOXED[kind])
    pattern = "{split}.json" if kind == "json" else f"boxes/{{split}}/{{name}}.{kind}"
    (folder / "dataset.yaml").write_text(yaml.safe_dump({"classes": ["crop"], "boxes": pattern}))
    return folder


def contents(path: Path) -> st.SearchStrategy[bytes]:
    """Returns contents that a file may have after damage."""
    content = path.read_bytes()
    if path.suffix == ".png":
        return st.sampled_from(FILES) | st.sampled_from(FILES).flatmap(mangled)
    if path.suffix == ".yaml":
        settings = yaml.safe_load(content) | ({"label_map": {}} if b"label_map" in content else {})
        return another(settings).map(yaml.safe_dump).map(str.encode) | mangled(content)
    if path.suffix == ".json":
        return other_json(path.read_text())
    return mangled(content) | st.text().map(str.encode)


def damaged(times: int, examples: int, original: Path, place: Path, check: Callable) -> None:
    """Runs a check on copies of a folder with a file changed, or one removed."""

    def holds(damage: tuple[Path, bytes], gone: Path | None) -> None:
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(original, place)
        (place / damage[0].relative_to(original)).write_bytes(damage[1])
        if gone is not None:
            (place / gone.relative_to(original)).unlink()
        with refused_at_most(naming=str(place)):
            check()

    paths = sorted(path for path in original.rglob("*") if path.is_file())
    damages = st.sampled_from(paths).flatmap(lambda item: st.tuples(st.just(item), contents(item)))
    hold(times, examples, holds, damage=damages, gone=st.none() | st.sampled_from(paths))


@often
def test_a_folder_is_checked_or_refused(times: int, original: Path, tmp_path: Path) -> None:
    place = tmp_path / "own"

    def checked() -> None:
        for problem in check(f"folder:{place}").problems:
            assert "\n" not in problem
            assert str(place) in problem

    damaged(times, 50, original, place, checked)


@often
def test_a_folder_is_described_or_refused(times: int, original: Path, tmp_path: Path) -> None:
    place = tmp_path / "own"

    def described() -> None:
        write(inspect(place), overwrite=True)
        dataset_info(f"folder:{place}")

    damaged(times, 25, original, place, described)
