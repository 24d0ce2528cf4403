"""Faulty boxes are left out or refused, and splits without boxes refused, before any training."""

from collections.abc import Callable
from pathlib import Path

import pytest

from nas_tf import config
from nas_tf.data import prepare
from nas_tf.data.check import check
from nas_tf.errors import DataError
from nas_tf.training import preflight
from tests.data.test_voc_boxes import annotation

SOUND, FAULTY = (2, 2, 8, 8), (5, 5, 5, 9)
Writer = Callable[..., Path]


@pytest.fixture
def write(
    tmp_path: Path, picture: Callable, noise: Callable, monkeypatch: pytest.MonkeyPatch
) -> Writer:
    """Writes a folder of VOC's layout with ten pictures in each split, and a dataset.yaml."""
    monkeypatch.setenv("NAS_TF_CACHE", str(tmp_path / "cache"))

    def fill(kit: str, label: str, **boxes: list[tuple]) -> Path:
        folder = tmp_path / "source" / kit
        for name in ("ImageSets/Main", "Annotations"):
            (folder / name).mkdir(parents=True)
        for split, corners in boxes.items():
            names = [f"{split}{number}" for number in range(10)]
            (folder / "ImageSets" / "Main" / f"{split}.txt").write_text("\n".join(names))
            for name in names:
                picture(folder / "JPEGImages" / f"{name}.jpg", noise(12, 16))
                path = folder / "Annotations" / f"{name}.xml"
                path.write_text(annotation(*((label, *item) for item in corners)))
        lists = ", ".join(f"{split}: ImageSets/Main/{split}.txt" for split in boxes)
        (folder / "dataset.yaml").write_text(
            f"classes: [{label}]\nimages: JPEGImages\nboxes: Annotations/{{name}}.xml\n"
            f"splits: {{{lists}}}\n"
        )
        return tmp_path / "source"

    return fill


def settings(name: str, *more: str) -> config.Config:
    small = ("stage_one.batch=2", "full_training.stages.0.batch=2", "data.view.crop=[64, 64]")
    return config.load("shapes_fcos", [f"data.name={name}", *small, *more])


@pytest.mark.parametrize(
    ("name", "kit", "label"),
    [
        ("bccd", "", "RBC"),
        ("voc2007_det", "VOCdevkit/VOC2007", "dog"),
        ("voc2012_det", "VOCdevkit/VOC2012", "dog"),
        ("folder", "", "nut"),
    ],
)
def test_faulty_boxes_are_dropped_or_refused(
    name: str, kit: str, label: str, write: Writer
) -> None:
    source = write(kit, label, train=[SOUND, FAULTY], val=[SOUND])
    name = f"folder:{source}" if name == "folder" else name
    prepare(name, source)
    for before in (preflight.before_search, preflight.before_training):
        before(settings(name))
        with pytest.raises(DataError) as error:
            before(settings(name, "data.faulty_boxes=refuse"))
        assert str(error.value).startswith(
            f"{name} has 10 faulty boxes and data.faulty_boxes is refuse; the first: box 2 of "
            "train0 is from (5, 5) to (5, 9), its image "
            f"{source / kit / 'JPEGImages' / 'train0.jpg'} is 16x12"
        )
        assert "\n" not in str(error.value)


def test_sound_boxes_are_accepted_by_a_configuration_that_refuses_faulty_ones(
    write: Writer,
) -> None:
    source = write("", "RBC", train=[SOUND], val=[SOUND])
    prepare("bccd", source)
    preflight.before_search(settings("bccd", "data.faulty_boxes=refuse"))
    preflight.before_training(settings("bccd", "data.faulty_boxes=refuse"))


@pytest.mark.parametrize("empty", ["train", "val"])
def test_a_split_without_boxes_is_refused_where_it_is_used(empty: str, write: Writer) -> None:
    other = "val" if empty == "train" else "train"
    source = write("", "RBC", **{empty: [FAULTY], other: [SOUND]})
    prepare("bccd", source)
    line = f"split {empty} of bccd has no box in any of its 10 pictures, expected some"
    with pytest.raises(DataError, match=line):
        preflight.before_training(settings("bccd"))
    if empty == "train":
        with pytest.raises(DataError, match=line):
            preflight.before_search(settings("bccd"))
    else:
        preflight.before_search(settings("bccd"))


def test_a_check_notes_a_split_without_boxes(write: Writer) -> None:
    notes = check("bccd", write("", "RBC", train=[SOUND], val=[])).notes
    assert "split val has no box: it can neither train nor score" in notes


def test_pictures_and_annotations_without_each_other_are_named(
    write: Writer, tmp_path: Path
) -> None:
    folder = write("", "RBC", train=[SOUND], val=[SOUND])
    for kind, ending in (("JPEGImages", "jpg"), ("Annotations", "xml")):
        for split in ("train", "val"):
            (folder / kind / split).mkdir()
            for path in (folder / kind).glob(f"{split}*.{ending}"):
                path.rename(folder / kind / split / path.name)
    (folder / "dataset.yaml").write_text(
        "classes: [RBC]\nimages: JPEGImages\nboxes: Annotations/{split}/{name}.xml\n"
    )
    (folder / "Annotations" / "train" / "train3.xml").unlink()
    (folder / "JPEGImages" / "val" / "val5.jpg").unlink()
    missing, single = check(f"folder:{folder}").problems
    assert missing.startswith(f"annotation {folder}/Annotations/train/train3.xml is missing")
    assert single.startswith(f"annotation {folder}/Annotations/val/val5.xml has no image in")
    found = prepare(f"folder:{folder}", skip_broken=True)
    assert (found.splits, len(found.broken)) == ({"train": 9, "val": 9}, 2)
