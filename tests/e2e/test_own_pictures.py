"""Six commands from a folder of phone pictures to predictions, and no file edited by hand."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nas_tf.__main__ import main
from tests.training.evaluated import SIMPLE

SMALL = (
    *("network.alpha=0.35", "network.width=8", "network.weights=null"),
    "space={name: auxcell, blocks: 1, branches: 1}",
)


def draw_photos(folder: Path) -> Path:
    """Draws twelve pictures of three formats, two stored on their side, with masks upright."""
    (folder / "images").mkdir(parents=True)
    (folder / "masks").mkdir()
    rng = np.random.default_rng(1)
    for number in range(12):
        size = (96, 72) if number % 3 else (72, 96)
        mask = np.zeros(size, np.uint8)
        mask[20:60, 10 + number : 50 + number] = 1
        pixels = rng.integers(0, 60, (*size, 3)).astype(np.uint8)
        pixels[mask == 1] += 150
        picture, exif = Image.fromarray(pixels), Image.Exif()
        suffix = ("jpg", "png", "webp")[number % 3]
        if number in (3, 6):
            picture, exif = picture.transpose(Image.Transpose.ROTATE_90), picture.getexif()
            exif[0x0112] = 6
        picture.save(folder / "images" / f"{number:02}.{suffix}", exif=exif, quality=95)
        Image.fromarray(mask).save(folder / "masks" / f"{number:02}.png")
    return folder


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return draw_photos(tmp_path / "garden")


def run(*arguments: str) -> None:
    """Runs the command in this process; it exits with status 0."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["nas-tf", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
    assert ended.value.code == 0, arguments


@pytest.mark.slow
def test_six_commands(
    photos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NAS_TF_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "200")
    data = "folder:garden"
    run("data", "init", "garden")
    run("data", "check", data)
    search = ("search", data, *SMALL, "stage_one.epochs=1", "--trials", "2", "--oracle", "random")
    run(*search, "--dry-run")
    assert "2 trials" in capsys.readouterr().out
    run(*search)
    options = ("--config", data, *SMALL, "full_training.stages.0.epochs=1")
    run("train", str(SIMPLE), *options, "--out", "runs/garden")
    run("export", "runs/garden", "--out", "export", "--to", "savedmodel,fp32", "--check", "2")
    capsys.readouterr()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    os.chdir(elsewhere)  # paths stored in runs are absolute
    pictures = ("../garden/images", "--mask", "masks", "--out", "seen")
    run("predict", "../export/garden-fp32.tflite", *pictures)
    assert capsys.readouterr().out.count("wrote ") == 24
    for path in (photos / "masks").iterdir():
        truth, mask, seen = (
            Image.open(file)
            for file in (path, Path("masks") / path.name, Path("seen") / path.name)
        )
        assert truth.size == mask.size == seen.size
    run("evaluate", "../runs/garden")
    assert "whole, in windows of 96x96" in capsys.readouterr().out
