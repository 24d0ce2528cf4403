"""dataset.yaml: the accepted keys, and the message on every mistake."""

from pathlib import Path

import pytest

from nas_tf.data.dataset_file import Settings, read_settings
from nas_tf.data.folder import folder_builder
from nas_tf.errors import DataError


def read(folder: Path, content: str) -> Settings:
    path = folder / "dataset.yaml"
    path.write_text(content)
    return read_settings(path)


def test_every_key_is_read(tmp_path: Path) -> None:
    settings = read(
        tmp_path,
        """
classes: {1: no, 0: "on"}
ignore_label: 254
label_map: {"#ff0080": 1, [0, 0, 0]: 254, "#FFFFFF": 0}
splits: {train: splits/train.txt, val: valid}
palette: ["#010203", [4, 5, 6]]
images: "{split}/{name}_rgb.png"
labels: masks
depth: depth/{split}/{name}
depth_unit: 1e-3
keypoints: annotations/{split}.json
joints: [nose, left eye, right eye]
swaps: [[left eye, right eye]]
""",
    )
    assert settings.classes == ("on", "no")
    assert settings.ignore_label == 254
    assert settings.label_map == {0xFF0080: 1, 0: 254, 0xFFFFFF: 0}
    assert settings.coloured
    assert settings.splits == {"train": "splits/train.txt", "val": "valid"}
    assert settings.palette == ((1, 2, 3), (4, 5, 6))
    assert (settings.images, settings.labels) == ("{split}/{name}_rgb.png", "masks")
    assert (settings.depth, settings.depth_unit) == ("depth/{split}/{name}", 0.001)
    assert settings.keypoints == "annotations/{split}.json"
    assert settings.joints == ("nose", "left eye", "right eye")
    assert settings.swaps == (("left eye", "right eye"),)


def test_what_is_absent_or_null_has_its_default(tmp_path: Path) -> None:
    settings = read(tmp_path, "classes: [a]\nlabel_map:\npalette: null\n")
    assert (settings.label_map, settings.palette, settings.images) == (None, None, "images")
    assert read(tmp_path, "depth: depth").classes is None


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (
            "# mine\nclasses: 3",
            " line 2: classes is 3, expected a list of names such as [soil, crop], "
            "or a mapping such as 0: soil",
        ),
        (
            "classes:\n  0: soil\n  2: weed",
            " line 3: classes index is 2, expected indices 0–1, each once",
        ),
        ("classes: [a, b, a]", " line 1: classes.2 is a, expected every name once"),
        ("classes: [a]\nclases: 1", " line 2: key clases is unknown, did you mean classes?"),
        ("names: [a]", " line 1: key names is unknown, did you mean classes?"),
        ("classes: [a]\nclasses: [b]", " line 2: key classes is given twice, expected once"),
        (
            "ignore_label: 1",
            ": key classes is missing, expected a list of names such as [soil, crop]",
        ),
        (
            "classes: [a]\nignore_label: 300",
            " line 2: ignore_label is 300, expected an integer of 0 to 255",
        ),
        (
            "classes: [a]\nlabel_map:\n  red: 0",
            " line 3: label_map key is red, expected an integer of 0 to 65535, or a colour: "
            '"#ff0000" in quotes or [255, 0, 0]',
        ),
        (
            'classes: [a]\nlabel_map: {"#ff0000": 0, 3: 0}',
            " line 2: label_map mixes values and colours, expected one kind",
        ),
        (
            'classes: [a]\nlabel_map: {"#ff0000": 1}',
            " line 2: label_map sends #ff0000 to 1: 0–0 and 255 (ignore) are accepted",
        ),
        (
            "classes: [a, b]\npalette:\n- '#112233'",
            " line 2: palette has 1 colours for 2 classes: "
            "voc and distinct have as many as there are classes",
        ),
        (
            "classes: [a]\npalette: x",
            " line 2: palette 'x' is unknown: "
            "camvid, cityscapes, distinct, shapes, voc are accepted",
        ),
        (
            "classes: [a]\nimages: ../other",
            " line 2: images is ../other, expected a folder such as images, or a pattern such as "
            "{split}/images/{name}.jpg, inside the data set's folder",
        ),
        (
            "classes: [a]\nlabels: 'masks/{split}.png'",
            " line 2: labels is 'masks/{split}.png', expected a pattern with {name}",
        ),
        (
            "classes: [a]\nsplits:\n  train: train\nimages: 'p/{name}'",
            " line 2: splits.train is train, expected a list file such as splits/train.txt: "
            "a folder's name needs {split} in images",
        ),
        (
            "classes: [a]\njoints: [b]",
            " line 2: joints is given without keypoints, expected both or none",
        ),
        (
            "classes: [a\nx: ]]",
            " line 2 is not YAML: expected ',' or ']', but got ':'",
        ),
        ("", " is empty, expected keys such as classes: [soil, crop, weed]"),
        (
            "classes: !!python/object/apply:os.system ['true']",
            " line 1: classes is !!python/object/apply:os.system ['true'], expected a list "
            "of names such as [soil, crop], or a mapping such as 0: soil",
        ),
    ],
)
def test_a_mistake_is_reported_with_its_line(tmp_path: Path, content: str, line: str) -> None:
    for split in ("train", "val"):
        (tmp_path / "images" / split).mkdir(parents=True)
    path = tmp_path / "dataset.yaml"
    path.write_text(content)
    with pytest.raises(DataError) as error:
        folder_builder(f"folder:{tmp_path}")
    assert str(error.value) == f"{path}{line}"
