"""``nas-tf data``, partly in real processes."""

import dataclasses
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nas_tf.cli import data
from nas_tf.data.check import Report, SplitReport
from nas_tf.data.registry import dataset_info
from tests.cli import command as commands


def nas_tf(
    *arguments: str, cwd: Path, prefix: str = "", **environment: str
) -> subprocess.CompletedProcess:
    """Runs a command; ``prefix`` is code that runs before it, in a separate process."""
    inherited = {key: value for key, value in os.environ.items() if key != "NAS_TF_DATA"}
    env = {**inherited, "COLUMNS": "140", "NAS_TF_CACHE": str(cwd / "cache"), **environment}
    if not prefix:
        return commands.nas_tf("data", *arguments, cwd=cwd, env=env)
    code = f"{prefix}from nas_tf.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, "data", *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=120,
        env=env,
    )


@pytest.fixture
def camvid(tmp_path: Path) -> Path:
    rng = np.random.default_rng(2)
    root = tmp_path / "camvid"
    for split, count in (("train", 3), ("val", 2)):
        (root / split).mkdir(parents=True)
        (root / f"{split}annot").mkdir()
        lines = []
        for number in range(count):
            image, label = f"{split}/{number}.jpg", f"{split}annot/{number}.png"
            Image.fromarray(rng.integers(0, 256, (36, 48, 3)).astype(np.uint8)).save(root / image)
            Image.fromarray(rng.integers(0, 12, (36, 48)).astype(np.uint8)).save(root / label)
            lines.append(f"{image} {label}")
        (root / f"{split}.txt").write_text("\n".join(lines))
    return root


def test_help_needs_no_tensorflow(tmp_path: Path) -> None:
    check = (
        "import sys, atexit; "
        "atexit.register(lambda: print('tensorflow' in sys.modules, file=sys.stderr)); "
    )
    done = nas_tf("--help", cwd=tmp_path, prefix=check)
    assert done.stderr == "False\n"
    assert done.returncode == 0
    for command in ("init", "list", "prepare", "check", "show", "cache"):
        assert f"\n  {command} " in done.stdout


@pytest.mark.slow
def test_from_files_to_a_picture(camvid: Path, tmp_path: Path) -> None:
    listed = nas_tf("list", cwd=tmp_path)
    assert listed.returncode == 0
    assert listed.stderr == ""
    assert (
        "camvid          label                  11       train 367 val 101 test 233"
        in listed.stdout
    )
    assert "\ncamvid: copy train.txt," in listed.stdout
    assert "coco_voc_seg    label                  21       train val  " in listed.stdout

    checked = nas_tf("check", "camvid", "--source", str(camvid), cwd=tmp_path)
    assert (checked.returncode, checked.stderr) == (0, "")
    assert "train: 3 examples (published: 367), 0 broken\n" in checked.stdout
    assert "10 Bicyclist" in checked.stdout
    assert "missing splits: test\n" in checked.stdout

    done = nas_tf("prepare", "camvid", cwd=tmp_path, NAS_TF_DATA=str(camvid.parent))
    folder = tmp_path / "cache" / "data" / "camvid" / "1.0.0"
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"camvid: train 3, val 2, in {folder}\nmissing splits: test\n"
    assert json.loads((folder / "dataset_info.json").read_text())["version"] == "1.0.0"

    wrong = nas_tf("prepare", "camvid", "--again", "--source", str(folder), cwd=tmp_path)
    assert wrong.returncode == 3
    assert wrong.stderr.startswith(f"nas-tf: no split of camvid is in {folder}; copy train.txt")

    shown = nas_tf("show", "camvid", "--count", "2", "--out", "new/sheet.png", cwd=tmp_path)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert shown.stdout == "wrote new/sheet.png\n"
    with Image.open(tmp_path / "new" / "sheet.png") as picture:
        assert picture.size[0] > 800

    absent = nas_tf("show", "camvid", "--split", "test", cwd=tmp_path)
    assert absent.returncode == 3
    assert absent.stderr == (
        "nas-tf: split 'test' of camvid is not prepared: train, val are accepted; "
        "add its files and run nas-tf data prepare camvid --again\n"
    )


def test_broken_files_end_with_three_and_can_be_left_out(camvid: Path, tmp_path: Path) -> None:
    broken = camvid / "train" / "1.jpg"
    broken.write_bytes(b"\xff\xd8 not a picture")
    line = (
        f"image {broken} is not a picture, expected a JPEG, PNG, BMP, TIFF or WebP file; "
        "replace it, or leave it out with --skip-broken"
    )
    checked = nas_tf("check", "camvid", "--source", str(camvid), cwd=tmp_path)
    assert checked.returncode == 3
    assert f"\n{line}\n" in checked.stdout
    assert checked.stderr == (
        "nas-tf: camvid has 1 broken examples: repair them, or leave them out with "
        "nas-tf data prepare camvid --skip-broken\n"
    )
    refused = nas_tf("prepare", "camvid", "--source", str(camvid), cwd=tmp_path)
    assert (refused.returncode, refused.stderr) == (3, f"nas-tf: {line}\n")
    done = nas_tf("prepare", "camvid", "--source", str(camvid), "--skip-broken", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "camvid: train 2, val 2, in " in done.stdout
    assert f"left out: {line}\n" in done.stdout


def test_init_says_what_it_found_and_what_comes_next(camvid: Path, tmp_path: Path) -> None:
    for name, source in (("images", "train"), ("masks", "trainannot")):
        shutil.copytree(camvid / source, tmp_path / "own" / name)
    done = nas_tf("init", "own", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "12 classes: class0, class1, " in done.stdout
    assert "no split was found: the examples are divided at random, see the lists" in done.stdout
    assert "own/dataset.yaml\n" in done.stdout
    assert "\n  nas-tf data check folder:" in done.stdout
    assert nas_tf("init", "own", "--overwrite", cwd=tmp_path).returncode == 0


def test_a_check_shows_pixels_and_boxes_of_each_class() -> None:
    info = dataclasses.replace(dataset_info("shapes"), classes=("cat", "cow"))
    counts = {"label": np.array([3, 1, 9]), "boxes": np.array([2, 0, 0])}
    table = data._histogram(Report(info, {"train": SplitReport("train", 3, None, counts)}))
    cells = {str(column.header): list(column.cells) for column in table.columns}
    assert cells == {
        "class": ["0 cat", "1 cow", f"{info.ignore_label} ignored"],
        "train %": ["75.00", "25.00", "9 px"],
        "train boxes": ["2", "0", ""],
    }


def test_a_data_set_that_is_not_there_says_which_files_to_put_where(tmp_path: Path) -> None:
    done = nas_tf("prepare", "cityscapes_seg", cwd=tmp_path)
    assert done.returncode == 3
    assert done.stderr == (
        "nas-tf: no source of cityscapes_seg given; register at cityscapes-dataset.com, extract "
        "leftImg8bit_trainvaltest.zip and gtFine_trainvaltest.zip (folders leftImg8bit and "
        "gtFine) into DIR, then run nas-tf data prepare cityscapes_seg --source DIR\n"
    )


@pytest.mark.slow
def test_features_are_cached_once(tmp_path: Path) -> None:
    make = (
        "import sys; import tensorflow as tf; "
        "tf.keras.applications.MobileNetV2(input_shape=(96, 96, 3), alpha=0.35, "
        "include_top=False, weights=None).save_weights(sys.argv[1])"
    )
    weights = str(tmp_path / "encoder.weights.h5")
    subprocess.run([sys.executable, "-c", make, weights], check=True, capture_output=True)
    options = ("shapes", "--split", "test", "--alpha", "0.35", "--weights", weights)
    first = nas_tf("cache", *options, cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    assert "writing " in first.stderr
    assert first.stdout.startswith("shapes test: 100 images x 1 views, ")
    again = nas_tf("cache", *options, cwd=tmp_path)
    assert again.stdout == first.stdout
    assert "writing " not in again.stderr
    wrong = nas_tf("cache", *options[:-1], "absent.h5", cwd=tmp_path)
    assert wrong.returncode == 2
    assert wrong.stderr.startswith("nas-tf: weights absent.h5: no such file, expected")
