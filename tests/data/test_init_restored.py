"""The dataset.yaml of clean pictures, alone or paired with degraded ones."""

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from nas_tf.data.check import check
from nas_tf.data.init import Inspection, inspect, write
from nas_tf.data.registry import dataset_info
from nas_tf.data.store import prepare
from nas_tf.errors import DataError

LISTS = {"train": "splits/train.txt", "val": "splits/val.txt"}


@pytest.fixture
def fill(tmp_path: Path, picture: Callable, noise: Callable) -> Callable[..., None]:
    """Writes ten pictures, or some names, by a pattern."""

    def write_pictures(pattern: str, names: str = "abcdefghij") -> None:
        for name in names:
            picture(tmp_path / pattern.format(name), noise(12, 16))

    return write_pictures


def described(root: Path, *, task: str | None = None, **counts: int) -> Inspection:
    """Writes the findings, and makes sure that they are read without a fault."""
    found = inspect(root, task=task)
    write(found)
    report = check(f"folder:{root}")
    assert report.problems == []
    assert report.info.targets == ("clean",)
    assert {split: part.count for split, part in report.splits.items()} == found.counts == counts
    return found


def settings(root: Path) -> dict:
    return yaml.safe_load((root / "dataset.yaml").read_text())


@pytest.mark.parametrize(
    ("pattern", "written"),
    [
        ("{}.jpg", "{name}"),
        ("photos/{}.JPG", "photos"),
        ("my photos/2019 oslo/IMG ({}).png", "my photos/2019 oslo"),
        ("train trip/{}.png", "train trip"),
    ],
)
def test_pictures_alone_are_divided(
    tmp_path: Path, fill: Callable, pattern: str, written: str
) -> None:
    fill(pattern)
    (tmp_path / "README.txt").write_text("holidays")
    found = described(tmp_path, train=8, val=2)
    assert settings(tmp_path) == {"clean": written, "splits": LISTS}
    assert found.lines[0] == ("layout: clean pictures, to be restored; examples: train 8, val 2")
    write(inspect(tmp_path), overwrite=True)
    assert settings(tmp_path)["clean"] == written


def test_pictures_in_several_folders_are_prepared_again_when_they_change(
    tmp_path: Path, fill: Callable, picture: Callable, noise: Callable
) -> None:
    fill("rome/{}.png", "abcd")
    fill("oslo/south/{}.png", "abcd")
    fill("{}.png", "xy")
    (tmp_path / "rome" / "z.HEIC").write_bytes(b"x")
    found = described(tmp_path, train=8, val=2)
    assert found.notes == ("files of format .heic are not read, 1 of them: convert them",)
    first = prepare(f"folder:{tmp_path}").folder
    assert prepare(f"folder:{tmp_path}").folder == first
    picture(tmp_path / "oslo" / "south" / "a.png", noise(13, 16))
    assert prepare(f"folder:{tmp_path}").folder != first


@pytest.mark.parametrize(
    ("pattern", "written"),
    [
        ("{}/{{}}.png", "{split}/{name}"),
        ("images/{}/{{}}.png", "images"),
        ("x/{}_hr/{{}}.png", "x/{split}_hr/{name}"),
    ],
)
def test_folders_show_the_splits(
    tmp_path: Path, fill: Callable, pattern: str, written: str
) -> None:
    for split, names in (("train", "abc"), ("val", "de"), ("test", "f")):
        fill(pattern.format(split), names)
    fill("covers/{}.jpg", "pq")
    found = described(tmp_path, train=3, val=2, test=1)
    assert settings(tmp_path)["clean"] == written
    assert found.notes == ("2 pictures elsewhere are left out",)


def test_without_val_train_is_divided(tmp_path: Path, fill: Callable) -> None:
    fill("train/{}.png")
    fill("test/{}.png", "kl")
    found = described(tmp_path, train=8, val=2)
    assert settings(tmp_path) == {"clean": "train", "splits": LISTS}
    assert found.notes == ("there is no split val: train is divided, and test is left out",)


@pytest.mark.parametrize(
    ("noisy", "clean", "asked"),
    [
        ("noisy/{}.png", "clean/{}.png", False),
        ("Degraded/{}.jpg", "GT/{}.png", False),
        ("rain/a/{}.png", "ground_truth/a/{}.png", True),
        ("input/{}.png", "target/{}.png", True),
    ],
)
def test_pairs_are_divided_together(
    tmp_path: Path, fill: Callable, noisy: str, clean: str, asked: bool
) -> None:
    fill(noisy, "abcdefghijk")
    fill(clean)
    found = described(tmp_path, task="restoration" if asked else None, train=8, val=2)
    folders = {"degraded": noisy.split("/")[0], "clean": clean.split("/")[0]}
    assert settings(tmp_path) == {"pairs": folders, "splits": LISTS}
    assert found.arrangement.title == "pairs of degraded and clean pictures"
    assert dataset_info(f"folder:{tmp_path}").pairs


@pytest.mark.parametrize("pattern", ["{0}/{1}/{{}}.png", "{1}/{0}/{{}}.png", "{1}_{0}/{{}}.png"])
def test_pairs_have_folders_of_splits(tmp_path: Path, fill: Callable, pattern: str) -> None:
    for split, names in (("train", "abc"), ("val", "de")):
        for side in ("noisy", "sharp"):
            fill(pattern.format(side, split), names)
    fill(pattern.format("noisy", "test"), "xy")
    found = described(tmp_path, train=3, val=2)
    assert found.notes == ()


def test_labels_are_overlooked_if_asked(
    tmp_path: Path, fill: Callable, picture: Callable, noise: Callable
) -> None:
    fill("images/{}.jpg")
    for name in "abcdefghij":
        picture(tmp_path / "tags" / f"{name}.png", noise(12, 16, 3))
        (tmp_path / "images" / f"{name}.xml").write_text("<camera/>")
    with pytest.raises(DataError, match=r"or clean pictures alone; .* add --task restoration$"):
        inspect(tmp_path)
    described(tmp_path, task="restoration", train=16, val=4)
    assert settings(tmp_path)["clean"] == "{name}"


def test_a_folder_without_pictures_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "a.gif").write_bytes(b"x")
    with pytest.raises(DataError, match=r"has no picture that is read, expected files of \.jpg, "):
        inspect(tmp_path, task="restoration")
    with pytest.raises(DataError, match=r"^the task is pose, expected restoration, or none for"):
        inspect(tmp_path, task="pose")
    with pytest.raises(DataError, match=r"nowhere is not a folder, expected one with pictures$"):
        inspect(tmp_path / "nowhere")


def test_a_folder_without_description_names_the_command(tmp_path: Path, fill: Callable) -> None:
    fill("my photos/{}.jpg")
    folder = tmp_path / "my photos"
    with pytest.raises(DataError) as caught:
        prepare(f"folder:{folder}")
    assert str(caught.value) == (
        f"{folder / 'dataset.yaml'} is not there: run nas-tf data init '{folder}', which writes "
        "it for pictures with masks or boxes, or for clean pictures to be restored"
    )
    with pytest.raises(DataError, match=r"nowhere is not there, expected a folder of pictures$"):
        dataset_info(f"folder:{tmp_path / 'nowhere'}")


def test_a_single_picture_is_for_training(tmp_path: Path, fill: Callable) -> None:
    fill("{}.png", "a")
    described(tmp_path, train=1)
