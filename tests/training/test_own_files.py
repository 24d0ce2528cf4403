"""A run's record of one's own pictures and labels: changes are refused, copies are not."""

import os
import shutil
from pathlib import Path

import pytest

from nas_tf.config import load, resumed
from nas_tf.config.schema import Config
from nas_tf.errors import ConfigError, DataError
from nas_tf.training import own_files
from tests.runs.made import made

STAGE = "{epochs: 1, data: 'folder:more', joined: [{data: 'folder:garden', split: train}]}"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two data sets of one's own beside the folder of a run."""
    monkeypatch.chdir(tmp_path)
    for name in ("garden", "more"):
        for kind in ("images", "labels"):
            for split in ("train", "val"):
                place = tmp_path / name / kind / split
                place.mkdir(parents=True)
                for number in range(3):
                    (place / f"{number}.png").write_bytes(f"{kind}{number}".encode() * 9)
        (tmp_path / name / "dataset.yaml").write_text("classes: [background, plant]\n")
    (tmp_path / "run").mkdir()
    return tmp_path / "run"


def config(name: str = "garden", *overrides: str) -> Config:
    return load("shapes_auxcell", [f"data.name=folder:{name}", *overrides])


def test_what_has_not_changed_is_accepted_and_read_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own_files.claim(folder, config())
    monkeypatch.setattr(own_files, "_checksum", None)  # a file that is read again would call it
    own_files.claim(folder, config())


def test_copies_that_are_moved_are_accepted(folder: Path) -> None:
    own_files.claim(folder, config())
    for path in Path("garden").rglob("*.png"):
        os.utime(path, (1, 1))
    shutil.move("garden", "elsewhere")
    own_files.claim(folder, config("elsewhere"))
    Path("elsewhere/images/val/0.png").write_bytes(b"other")
    with pytest.raises(DataError, match=r"elsewhere/images/val/0\.png changed since \S+/run was"):
        own_files.check(folder, config("elsewhere"))


def change(path: Path) -> None:
    """Changes a byte and keeps the size."""
    path.write_bytes(b"x" + path.read_bytes()[1:])


@pytest.mark.parametrize(
    ("harm", "line"),
    [
        (lambda: change(Path("garden/labels/train/1.png")), r"labels/train/1\.png changed since"),
        (lambda: Path("garden/images/val/2.png").unlink(), r"images/val/2\.png was removed since"),
        (
            lambda: shutil.copy("garden/images/val/2.png", "garden/images/val/3.png"),
            r"images/val/3\.png was added since",
        ),
        (
            lambda: [change(path) for path in Path("garden/images").rglob("*.png")],
            r"images/train/0\.png changed since \S+ was started, like 5 other files of folder:",
        ),
        (
            lambda: Path("garden/dataset.yaml").write_text("classes: [nothing, plant]\n"),
            r"dataset\.yaml changed since",
        ),
    ],
)
def test_a_change_is_named(folder: Path, harm, line: str) -> None:
    own_files.claim(folder, config())
    harm()
    for refuse in (own_files.check, own_files.claim):
        with pytest.raises(DataError, match=rf"{line}.*put the files back as they were, or give"):
            refuse(folder, config())


def test_the_data_of_all_stages_of_a_training_count(folder: Path) -> None:
    chosen = config("garden", f"full_training.stages=[{STAGE}]")
    own_files.claim(folder, chosen)
    change(Path("more/images/train/0.png"))
    own_files.check(folder, chosen)  # that of a search
    own_files.claim(folder, chosen, in_full=True)
    Path("more/images/train/0.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"more/images/train/0\.png changed"):
        own_files.check(folder, chosen, in_full=True)


def test_a_published_data_set_has_no_record(folder: Path) -> None:
    own_files.claim(folder, load("shapes_auxcell", []))
    assert not list(folder.iterdir())


@pytest.mark.parametrize("content", ["", "[1]", '{"data.name": {"dataset.yaml": [1]}}', "\x00"])
def test_a_damaged_record_is_named(folder: Path, content: str) -> None:
    own_files.claim(folder, config())
    (folder / "data.json").write_text(content)
    with pytest.raises(DataError, match=r"run/data\.json can't be read: .*or delete it"):
        own_files.check(folder, config())


def test_only_a_run_with_a_record_may_find_its_pictures_elsewhere(folder: Path) -> None:
    run = made(folder, trials=4, overrides=["data.name=folder:garden"]).folder
    elsewhere = config("elsewhere")
    with pytest.raises(ConfigError, match=r"started with data\.name=folder:/"):
        resumed.check(run, elsewhere)
    own_files.claim(run, config())
    assert resumed.check(run, elsewhere).data.name == elsewhere.data.name
    with pytest.raises(ConfigError, match=r"started with data\.name=folder:/.*, now it is camvid"):
        resumed.check(run, load("shapes_auxcell", ["data.name=camvid"]))
