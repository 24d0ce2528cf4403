"""The class shares and colours of ``nas-tf data show``."""

from pathlib import Path

import numpy as np
from PIL import Image

from nas_tf.data.example_sheet import class_shares, colourise, save_sheet, sheet
from nas_tf.data.palettes import colours
from nas_tf.data.registry import DATASETS, dataset_info


def test_palettes_are_the_published_ones() -> None:
    assert colours("voc", 21)[:4] == ((0, 0, 0), (128, 0, 0), (0, 128, 0), (128, 128, 0))
    assert colours("voc", 21)[15] == (192, 128, 128)
    assert colours("camvid", 11)[3] == (128, 64, 128)
    assert dataset_info("cityscapes_seg").colours[13] == (0, 0, 142)
    for builder in DATASETS.values():
        assert len(set(builder.INFO.colours)) == len(builder.INFO.classes)


def test_colours_follow_labels_and_ignored_pixels_are_white() -> None:
    info = dataset_info("camvid")
    shown = colourise(np.array([[0, 8], [10, 11]]), info)
    assert shown.tolist() == [
        [[128, 128, 128], [64, 0, 128]],
        [[0, 128, 192], [255, 255, 255]],
    ]


def test_a_sheet_spreads_over_the_split_and_counts_what_it_shows(
    shapes: object, tmp_path: Path
) -> None:
    content = sheet("shapes", "val", 3)
    assert [example["id"] for example in content.examples] == [
        *(b"val-0000", b"val-0050", b"val-0099")
    ]
    labels = np.concatenate([example["label"].ravel() for example in content.examples])
    expected = [(labels == label).sum() / (labels != 255).sum() for label in range(9)]
    np.testing.assert_allclose(class_shares(content), expected)
    save_sheet(content, tmp_path / "sheet.png")
    with Image.open(tmp_path / "sheet.png") as picture:
        used = {tuple(colour) for colour in np.asarray(picture.convert("RGB")).reshape(-1, 3)}
    assert set(content.info.colours) <= used


def test_datasets_without_labels_are_drawn_too(tmp_path: Path) -> None:
    info = dataset_info("coco_keypoints")
    example = {
        "id": b"7",
        "image": np.zeros((40, 40, 3), np.uint8),
        "keypoints": np.full((1, 17, 3), 2, np.float32),
    }
    content = sheet("shapes", "val", 1)
    alone = type(content)(info, "val", 1, (example,))
    save_sheet(alone, tmp_path / "people.png")
    with Image.open(tmp_path / "people.png") as picture:
        assert picture.size[0] > picture.size[1]
