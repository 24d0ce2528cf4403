"""Pictures to be restored: the published sets, folders, pairs, and how they are scored."""

import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from nas_tf.data import pipeline, prepare
from nas_tf.data.check import check
from nas_tf.data.degradations import Degradation, Noise
from nas_tf.data.degraded_pictures import DegradedPictures
from nas_tf.data.examples import Examples
from nas_tf.data.registry import DATASETS, dataset_info
from nas_tf.data.store import resolve_source
from nas_tf.data.views import View
from nas_tf.errors import DataError
from nas_tf.input_geometry import InputGeometry
from nas_tf.tasks import Restoration

PATTERNS = "{degraded: 'noisy', clean: sharp}"


@pytest.fixture
def sharp(tmp_path: Path, picture: Callable, noise: Callable) -> Callable[..., str]:
    """Writes a folder ``sharp`` of clean pictures, and one of degraded ones."""

    def write(text: str, sizes: tuple[tuple[int, int], ...] = ((40, 90), (24, 30))) -> str:
        for split in ("train", "val"):
            for number, size in enumerate(sizes):
                for folder in ("sharp", "noisy"):
                    picture(tmp_path / folder / split / f"{number}.png", noise(*size))
        (tmp_path / "dataset.yaml").write_text(text)
        return f"folder:{tmp_path}"

    return write


@pytest.mark.parametrize("images", ["", "BSDS500/data/images", "BSR/BSDS500/data/images"])
def test_bsd500_is_found_at_any_depth_of_its_archive(
    images: str, tmp_path: Path, picture: Callable, noise: Callable
) -> None:
    for split, count in (("train", 2), ("test", 1)):
        for number in range(count):
            picture(tmp_path / images / split / f"10{number}.jpg", noise(20, 30))
        (tmp_path / images / split / "Thumbs.db").write_bytes(b"x")
    builder = DATASETS["bsd500"]
    listed = {split: builder.items(tmp_path, split) for split in builder.INFO.splits}
    assert [item.id for item in listed["train"]] == ["100", "101"]
    assert (len(listed["test"]), listed["val"]) == (1, None)
    assert check("bsd500", tmp_path).problems == []


def test_bsd500_is_found_under_the_name_of_its_archive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NAS_TF_DATA", str(tmp_path))
    assert resolve_source("bsd500", None) == tmp_path / "bsd500"
    (tmp_path / "bsds500").mkdir()
    assert resolve_source("bsd500", None) == tmp_path / "bsds500"


@pytest.mark.parametrize("name", ["set12", "bsd68"])
def test_the_test_sets_are_plain_folders(
    name: str, tmp_path: Path, picture: Callable, noise: Callable
) -> None:
    picture(tmp_path / "01.png", noise(20, 30, 256))
    assert [item.id for item in DATASETS[name].items(tmp_path, "test")] == ["01"]
    (tmp_path / "01.png").unlink()
    with pytest.raises(DataError, match=rf"^split test of {name} in .* is empty"):
        prepare(name, tmp_path)


def test_drawn_scenes_have_no_noise_of_their_own() -> None:
    clean, noisy = (
        DATASETS[name].items(Path(), "val")[0].load()["image"].astype(float)
        for name in ("shapes_clean", "shapes")
    )
    rough = [np.abs(np.diff(image, axis=1)).mean() for image in (clean, noisy)]
    assert clean.shape == noisy.shape
    assert np.abs(clean - noisy).mean() > 1
    assert rough[0] < rough[1]
    assert dataset_info("shapes_clean").channels == 1


def test_a_folder_has_clean_pictures_of_every_kind(
    sharp: Callable, tmp_path: Path, picture: Callable, noise: Callable
) -> None:
    """16 bits become their high byte, a palette colours, and alpha is dropped."""
    name = sharp("clean: sharp\n")
    deep = np.arange(600).reshape(20, 30).astype(np.uint16) * 100
    picture(tmp_path / "sharp" / "train" / "deep.png", deep)
    alpha = np.dstack([noise(20, 30), noise(20, 30, 256)])
    picture(tmp_path / "sharp" / "train" / "alpha.png", alpha)
    picture(tmp_path / "sharp" / "train" / "palette.png", noise(20, 30, 5), palette=True)
    paletted = Image.open(tmp_path / "sharp" / "train" / "palette.png")
    paletted.save(tmp_path / "sharp" / "train" / "clear.png", transparency=bytes([0, 9, 255]))
    Image.fromarray(alpha[..., 2:]).save(tmp_path / "sharp" / "train" / "grey.png")
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        assert prepare(name).splits == {"train": 7, "val": 2}
    examples = Examples(name, "train")
    assert (examples.info.targets, examples.info.channels) == (("clean",), 3)
    by_name = {
        Path(example["id"].numpy().decode()).name: example["image"].numpy()
        for example in (examples.get(tf.constant(n)) for n in range(7))
    }
    np.testing.assert_array_equal(by_name["deep"], (deep >> 8)[..., None].repeat(3, 2))
    np.testing.assert_array_equal(by_name["alpha"], alpha[..., :3])
    assert by_name["palette"].max() == 21 * 4 + 14
    np.testing.assert_array_equal(by_name["clear"], by_name["palette"])
    np.testing.assert_array_equal(by_name["grey"], alpha[..., 2:3].repeat(3, 2))


def test_an_empty_split_is_one_line(sharp: Callable, tmp_path: Path) -> None:
    name = sharp("clean: sharp\n")
    for path in (tmp_path / "sharp" / "val").iterdir():
        path.unlink()
    line = f"split val of {name} in {tmp_path} is empty: at least one example is needed; "
    with pytest.raises(DataError) as caught:
        prepare(name)
    assert str(caught.value) == f"{line}fill it or remove its list"
    assert check(name).problems == [str(caught.value)]


def test_pairs_move_together(sharp: Callable, tmp_path: Path, picture: Callable) -> None:
    """A clean picture that is the degraded one inverted stays so, whatever the view does."""
    name = sharp(f"pairs: {PATTERNS}\n")
    rng = np.random.default_rng(4)
    for path in sorted((tmp_path / "sharp").rglob("*.png")):
        size = (40, 90) if path.stem == "0" else (24, 30)
        pixels = rng.integers(0, 256, (*size, 3)).astype(np.uint8)
        picture(path, pixels)
        picture(Path(str(path).replace("sharp", "noisy")), 255 - pixels)
    prepare(name)
    target = Restoration(3).target
    view = View((16, 20), scale=(0.9, 1.3), shorter_at_least=20, mirror=True, turns=True)
    stream = pipeline.training(Examples(name, "train"), target, view, batch=1, seed=1, epochs=6)
    for image, clean in stream:
        known = np.all(clean != target.fill, axis=-1)
        assert known.mean() > 0.9
        np.testing.assert_allclose((image + clean).numpy()[known], 0, atol=1e-4)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("pairs: {degraded: noisy}", r"expected a mapping with degraded and clean, such as"),
        ("pairs: noisy", r"pairs is noisy, expected a mapping with degraded and clean"),
        ("clean: sharp\nclasses: [a]", r"clean is given with classes, expected splits at most$"),
        (f"pairs: {PATTERNS}\nimages: x", r"pairs is given with images, expected splits at most$"),
        ("clean: ../x", r"clean is \.\./x, expected a folder such as images"),
        ("cleen: sharp", r"key cleen is unknown, did you mean clean\?$"),
        ("clean: nowhere", r"^folder .*nowhere cannot be read: No such file"),
    ],
)
def test_faults_of_dataset_yaml_are_one_line(text: str, message: str, sharp: Callable) -> None:
    with pytest.raises(DataError, match=message) as caught:
        prepare(sharp(text))
    assert "\n" not in str(caught.value)


def test_faults_of_pairs_are_one_line_each(
    sharp: Callable, tmp_path: Path, picture: Callable, noise: Callable
) -> None:
    name = sharp(f"pairs: {PATTERNS}\n")
    picture(tmp_path / "sharp/train/0.png", noise(41, 90))
    (tmp_path / "sharp/train/1.png").rename(tmp_path / "sharp/train/9.png")
    size, missing, extra = check(name).problems
    assert size.startswith("clean of train/0 is 90x41, its image")
    assert missing.endswith("sharp/train/1.png is missing: restore it or drop it from its list")
    assert extra.startswith("clean picture")
    assert "has no image in" in extra


class Scored:
    """The pictures of a folder, degraded for scores."""

    def __init__(self, name: str, task: Restoration, noise: Noise, **options: Any) -> None:
        prepare(name)
        view = View((32, 32), centred=True, grey=True, degradation=Degradation(noise=noise))
        examples = Examples(name, "val")
        geometry = InputGeometry((32, 32))
        self.pictures = DegradedPictures(
            examples, geometry, task.target, task=task, view=view, **options
        )

    def found(self, subset: tuple[int, ...] | None = None, batch: int = 4) -> list[np.ndarray]:
        """What a network that changes nothing restores."""
        pictures = replace(self.pictures, subset=subset)
        same = pictures.restored(lambda images: (images[..., :1] + 1) / 2, batch)
        return [scored.prediction for scored in same]


def test_noise_is_fixed_for_a_picture_whatever_is_scored_with_it(
    sharp: Callable, tmp_path: Path
) -> None:
    scored = Scored(sharp("clean: sharp\n"), Restoration(), Noise((25.0,)))
    first, second = scored.found()
    for number, alone in enumerate((first, second)):
        np.testing.assert_array_equal(scored.found((number,), batch=1)[0], alone)
    assert (first.shape, second.shape) == ((40, 90, 1), (24, 30, 1))
    (tmp_path / "sharp" / "val" / "0.png").unlink()
    fewer = Scored(sharp("clean: sharp\n", ((1, 1),)), Restoration(), Noise((25.0,)))
    np.testing.assert_array_equal(fewer.found()[1], second)


def test_every_level_is_scored_on_every_picture_with_one_field(sharp: Callable) -> None:
    task = Restoration(levels=(10.0, 40.0))
    scored = Scored(sharp("clean: sharp\n"), task, Noise((40.0, 10.0)))
    assert len(scored.pictures) == 4
    errors = []
    for part in scored.pictures.restored(lambda images: (images[..., :1] + 1) / 2, 4):
        clean = (part.target["clean"][..., :1] + 1) / 2
        errors.append((part.target["level"], 255 * (part.prediction - clean)))
    assert [level for level, _ in errors] == [10, 40, 10, 40]
    np.testing.assert_allclose(4 * errors[0][1], errors[1][1], atol=1e-3)
    assert errors[1][1].std() == pytest.approx(40, rel=0.05)


def test_parts_of_a_large_picture_are_restored_as_the_whole_one(
    sharp: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel = tf.constant(np.random.default_rng(1).normal(0, 1, (5, 5, 1, 1)), tf.float32)

    def restore(images: np.ndarray) -> np.ndarray:
        return tf.nn.conv2d(images[..., :1], kernel, 1, "SAME").numpy()

    scored = Scored(sharp("clean: sharp\n"), Restoration(), Noise((25.0,)), margin=2)
    complete = [part.prediction for part in scored.pictures.restored(restore, 4)]
    monkeypatch.setattr("nas_tf.data.degraded_pictures._MOST_PIXELS", 100)
    monkeypatch.setattr("nas_tf.data.degraded_pictures._PART", 17)
    parts = [part.prediction for part in scored.pictures.restored(restore, 4)]
    for first, second in zip(complete, parts, strict=True):
        np.testing.assert_allclose(first, second, atol=1e-4)


def test_the_published_protocol_averages_patches_of_their_own_noise(sharp: Callable) -> None:
    """Two patches overlap in 38 of 90 columns, where the mean has less noise."""
    task, name = Restoration(protocol="hinas"), sharp("clean: sharp\n")
    scored = Scored(name, task, Noise((25.0,)))
    shapes = []

    def restore(images: np.ndarray) -> np.ndarray:
        shapes.append(images.shape)
        return (images[..., :1] + 1) / 2

    part = next(iter(scored.pictures.restored(restore, 4)))
    assert shapes == [(2, 40, 64, 3)]
    noise = 255 * (part.prediction - (part.target["clean"][..., :1] + 1) / 2)
    assert noise[:, :26].std() == pytest.approx(25, rel=0.1)
    assert noise[:, 26:64].std() == pytest.approx(25 / 2**0.5, rel=0.1)


def test_patches_start_where_the_published_ones_do() -> None:
    from nas_tf.data import degraded_pictures

    assert degraded_pictures._starts(481) == [*range(0, 385, 48), 417]
    assert degraded_pictures._starts(321) == [*range(0, 241, 48), 257]
    assert degraded_pictures._starts(64) == degraded_pictures._starts(20) == [0]


def test_windows_for_exported_models_are_the_degraded_bytes(sharp: Callable) -> None:
    scored = Scored(sharp("clean: sharp\n"), Restoration(), Noise((25.0,)))
    for (windows, target, size), found in zip(
        scored.pictures.windows(), scored.found(), strict=True
    ):
        joined = scored.pictures.geometry.joined(tf.constant(windows), size).numpy()
        expected = np.round(np.clip(255 * found, 0, 255)).repeat(3, 2)
        assert np.abs(joined - expected).max() <= 1
        assert target.shape == (*size, 3)
