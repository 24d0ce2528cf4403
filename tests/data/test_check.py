"""Every broken file is reported in one line, before anything is trained."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from nas_tf.data.check import check
from nas_tf.data.examples import Examples
from nas_tf.data.registry import builder_class
from nas_tf.data.store import open_builder, prepare, prepared
from nas_tf.errors import DataError


def line_of(error: pytest.ExceptionInfo) -> str:
    text = str(error.value)
    assert "\n" not in text
    return text


def corrupt(path: Path) -> str:
    path.write_bytes(path.read_bytes()[:200])
    return f"image {path} is damaged; replace it, or leave it out with --skip-broken"


def test_a_sound_folder(own: Callable[..., Path]) -> None:
    root = own(train=4)
    report = check(f"folder:{root}")
    assert report.problems == []
    train = report.splits["train"]
    assert (train.count, train.expected, train.ignored) == (4, None, 0)
    assert train.pixels.sum() == 4 * 24 * 32
    np.testing.assert_allclose(train.shares, 1 / 3, atol=0.05)


@pytest.mark.parametrize(
    ("kind", "what"), [("GIF", "a GIF file"), ("PDF", "a PDF file"), ("PPM", "not a picture")]
)
def test_a_file_of_a_format_that_is_not_accepted_is_broken(
    own: Callable[..., Path], kind: str, what: str
) -> None:
    root = own(train=2)
    image = root / "images" / "train" / "0.png"
    with Image.open(image) as picture:
        picture.save(image, format=kind)
    (problem,) = check(f"folder:{root}").problems
    assert problem == (
        f"image {image} is {what}, expected a JPEG, PNG, BMP, TIFF or WebP file; replace it, or "
        "leave it out with --skip-broken"
    )


def test_every_broken_file_is_named_with_its_reason(
    own: Callable[..., Path], picture: Callable, noise: Callable
) -> None:
    root = own(train=6)
    images, labels = root / "images" / "train", root / "labels" / "train"
    expected = [corrupt(images / "0.png")]
    picture(labels / "1.png", noise(20, 32, 3))
    expected.append(
        f"label of train/1 is 32x20, its image {images / '1.png'} is 32x24 (width x height): "
        "both must be of one size; export the pair again"
    )
    wrong = noise(24, 32, 3)
    wrong[7, 30] = 9
    picture(labels / "2.png", wrong)
    expected.append(
        f"label 9 in {labels / '2.png'} at (30, 7): 3 classes and ignore 255 declared; "
        "map it or set ignore_label"
    )
    (labels / "3.png").unlink()
    expected.append(f"label {labels / '3.png'} is missing: restore it or drop it from its list")
    picture(labels / "4.png", noise(24, 32))
    expected.append(
        f"label {labels / '4.png'} is a colour picture (mode RGB): "
        "a label file has one channel of class indices or a palette; convert it, or in a folder "
        "of your own declare its colours under label_map"
    )
    report = check(f"folder:{root}")
    assert report.problems == expected
    assert report.splits["train"].pixels.sum() == 24 * 32


def test_preparing_stops_at_a_broken_file_or_leaves_it_out(own: Callable[..., Path]) -> None:
    root = own(train=3)
    line = corrupt(root / "images" / "train" / "1.png")
    name = f"folder:{root}"
    with pytest.raises(DataError) as error:
        prepare(name)
    assert line_of(error) == line
    assert prepared(name) is None
    done = prepare(name, skip_broken=True)
    assert done.splits == {"train": 2, "val": 1}
    assert done.broken == (line,)
    assert prepared(name) == done
    assert list(done.folder.parent.iterdir()) == [done.folder]


@pytest.mark.slow
def test_two_processes_prepare_the_same_folder_once(own: Callable[..., Path]) -> None:
    name = f"folder:{own(train=30)}"
    code = f"from nas_tf.data import prepare; print(prepare({name!r}).splits)"
    running = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    answers = [process.communicate(timeout=120)[0] for process in running]
    assert answers == ["{'train': 30, 'val': 1}\n"] * 2
    assert len(Examples(name, "train")) == 30


def test_an_empty_split(own: Callable[..., Path]) -> None:
    root = own(val=0)
    (root / "images" / "val").mkdir()
    (root / "labels" / "val").mkdir()
    line = (
        f"split val of folder:{root} in {root} is empty: "
        "at least one example is needed; fill it or remove its list"
    )
    assert check(f"folder:{root}").problems == [line]
    with pytest.raises(DataError) as error:
        prepare(f"folder:{root}")
    assert line_of(error) == line


def test_a_split_that_is_doubled_or_has_labels_without_images(own: Callable[..., Path]) -> None:
    root = own(train=2)
    (root / "list.txt").write_text("train/0\ntrain/1\ntrain/0\n")
    settings = root / "dataset.yaml"
    before = settings.read_text()
    settings.write_text('{"classes": ["a", "b", "c"], "splits": {"train": "list.txt"}}')
    assert check(f"folder:{root}").problems == [
        f"example train/0 of folder:{root} is listed 2 times in split train: keep one of the lines"
    ]
    settings.write_text(before)
    image = root / "images" / "train" / "1.png"
    image.unlink()
    problems = check(f"folder:{root}").problems
    assert problems == [
        f"label {root / 'labels' / 'train' / '1'}.png has no image in {image.parent}: "
        "add the image or remove the label"
    ]
    with pytest.raises(DataError) as error:
        prepare(f"folder:{root}")
    assert line_of(error).startswith(problems[0])
    done = prepare(f"folder:{root}", skip_broken=True)
    assert (done.splits["train"], list(done.broken)) == (1, problems)


def test_a_folder_that_cannot_be_read(own: Callable[..., Path]) -> None:
    root = own()
    labels = root / "labels" / "val"
    for path in labels.iterdir():
        path.unlink()
    labels.rmdir()
    labels.write_text("not a folder")
    assert check(f"folder:{root}").problems == [
        f"folder {labels} cannot be read: Not a directory; check the path and its permissions"
    ]


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is unreadable to root")
def test_a_folder_without_permission(own: Callable[..., Path]) -> None:
    images = own() / "images" / "val"
    images.chmod(0)
    assert check(f"folder:{images.parents[1]}").problems == [
        f"folder {images} cannot be read: Permission denied; check the path and its permissions"
    ]


@pytest.mark.parametrize("name", ["/", "/other/1.png", "../../secret", "train/../../../x.png"])
def test_lists_lead_nowhere_else(own: Callable[..., Path], name: str) -> None:
    root = own(splits={"train": "list.txt"})
    (root / "list.txt").write_text(f"train/0.png\n{name}\n")
    message = f"{root / 'list.txt'} names '{name}', expected a path in {root}"
    assert check(f"folder:{root}").problems == [message]
    for path in (name, "\0"):
        settings = {"classes": ["a", "b", "c"], "splits": {"train": path}}
        (root / "dataset.yaml").write_text(yaml.safe_dump(settings))
        with pytest.raises(
            DataError, match=r"dataset\.yaml line \d: splits\.train is .* list file"
        ):
            check(f"folder:{root}")


def test_a_name_longer_than_files_can_have_is_a_problem_of_its_own(
    own: Callable[..., Path],
) -> None:
    root = own(splits={"train": "list.txt"})
    (root / "list.txt").write_text(f"train/0.png\ntrain/{'x' * 300}\n")
    (problem,) = check(f"folder:{root}").problems
    assert str(root / "images" / "train" / ("x" * 300)) in problem


def test_what_is_not_there_says_what_to_do(tmp_path: Path) -> None:
    how = (
        "copy train.txt, val.txt, test.txt and the folders train, trainannot, val, valannot, "
        "test, testannot of SegNet's CamVid folder into DIR, then run "
        "nas-tf data prepare camvid --source DIR"
    )
    with pytest.raises(DataError) as error:
        prepare("camvid", tmp_path / "none")
    assert line_of(error) == f"source {tmp_path / 'none'} of camvid is not a folder; {how}"
    with pytest.raises(DataError) as error:
        check("camvid", tmp_path)
    assert line_of(error) == f"no split of camvid is in {tmp_path}; {how}"
    with pytest.raises(DataError, match=r"^camvid is not prepared in .*: run nas-tf data prepare"):
        open_builder("camvid")
    with pytest.raises(DataError) as error:
        builder_class("camvit")
    assert line_of(error) == (
        "dataset 'camvit' is unknown, expected shapes, camvid, voc2012_seg, coco_voc_seg, "
        "cityscapes_seg, person_part, nyuv2_depth, coco_keypoints, mpii_pose, shapes_boxes, "
        "bccd, voc2007_det, voc2012_det, coco_det, shapes_clean, bsd500, set12, bsd68 "
        "or folder:DIR, did you mean camvid?"
    )


def test_camvid_lists_with_one_word_are_refused(tmp_path: Path) -> None:
    (tmp_path / "train.txt").write_text("train/a.png trainannot/a.png\ntrain/b.png\n")
    assert check("camvid", tmp_path).problems == [
        f"{tmp_path / 'train.txt'} line 2 has 1 words: an image and a label are accepted; "
        "correct the line"
    ]


def test_all_kinds_of_faults_are_reported_at_once(
    own: Callable[..., Path], picture: Callable, noise: Callable
) -> None:
    root = own(train=4, val=0)
    images, labels = root / "images" / "train", root / "labels" / "train"
    picture(images / "0.bmp", noise(24, 32))
    (images / "1.png").rename(images / "1.heic")
    (labels / "2.png").unlink()
    picture(labels / "2.jpg", noise(24, 32, 3))
    (labels / "3.png").rename(labels / "33.png")
    (root / "images" / "val").mkdir()
    problems = check(f"folder:{root}").problems
    starts = (
        f"label {labels / '2.jpg'} is a JPEG, whose compression changes classes: PNG is accepted",
        f"label {labels / '3.png'} is missing",
        f"image {images / '1.heic'} is not of a format that is read: .jpg, ",
        f"label {labels / '33.png'} has no image in {images}",
        f"folder {root / 'labels' / 'val'} cannot be read",
    )
    doubled = (
        f"example train/0 has 2 pictures: {images / '0.bmp'} and {images / '0.png'}; keep one"
    )
    assert problems[0] == doubled
    assert len(problems) == 1 + len(starts)
    for problem, start in zip(problems[1:], starts, strict=True):
        assert problem.startswith(start)


def test_what_is_no_fault_is_noted(
    own: Callable[..., Path], picture: Callable, noise: Callable
) -> None:
    root = own(train=2)
    for number in range(2):
        picture(root / "labels" / "train" / f"{number}.png", noise(24, 32, 2))
    picture(root / "labels" / "val" / "0.png", noise(24, 32, 2))
    assert check(f"folder:{root}").notes == ["no pixel is of class weed: nothing is learnt of it"]
    shutil.rmtree(root / "images" / "val")
    assert check(f"folder:{root}").notes[1] == (
        "no split val, there is train: a search needs none, and final scores need one; "
        "make one, or name another by data.val_split"
    )
