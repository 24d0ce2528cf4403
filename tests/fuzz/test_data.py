"""A person's own data folder with damage: every problem a line, whatever the files hold."""

import io
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import strategies as st
from PIL import Image

from nas_tf.data.check import check
from tests.fuzz.fuzzed import another, hold, mangled, often, refused_at_most

SETTINGS = {
    "classes": ["soil", "crop", "weed"],
    "ignore_label": 255,
    "label_map": {0: 0, 1: 1, 2: 2},
    "splits": {"train": "train.txt"},
    "palette": "voc",
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
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two pictures with labels, and a list of them."""
    folder = tmp_path_factory.mktemp("data") / "own"
    for number in range(2):
        for kind, pixels in (("images", NOISE), ("labels", NOISE[..., 0])):
            path = folder / kind / "train" / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(file_of(pixels, "png"))
    (folder / "train.txt").write_text("train/0\ntrain/1.png\n")
    (folder / "dataset.yaml").write_text(yaml.safe_dump(SETTINGS))
    return folder


def contents(path: Path) -> st.SearchStrategy[bytes]:
    """What may become of a file."""
    content = path.read_bytes()
    if path.suffix == ".png":
        return st.sampled_from(FILES) | st.sampled_from(FILES).flatmap(mangled)
    if path.suffix == ".yaml":
        spoilt = another(SETTINGS | {"label_map": {}}).map(yaml.safe_dump).map(str.encode)
        return spoilt | mangled(content)
    return mangled(content) | st.text().map(str.encode)


@often
def test_a_folder_is_checked_or_refused(times: int, whole: Path, tmp_path: Path) -> None:
    place = tmp_path / "own"

    def holds(damage: tuple[Path, bytes], gone: Path | None) -> None:
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(whole, place)
        (place / damage[0].relative_to(whole)).write_bytes(damage[1])
        if gone is not None:
            (place / gone.relative_to(whole)).unlink()
        with refused_at_most(naming=str(place)):
            report = check(f"folder:{place}")
            for problem in report.problems:
                assert "\n" not in problem
                assert str(place) in problem

    paths = sorted(path for path in whole.rglob("*") if path.is_file())
    damages = st.sampled_from(paths).flatmap(lambda one: st.tuples(st.just(one), contents(one)))
    hold(times, 100, holds, damage=damages, gone=st.none() | st.sampled_from(paths))
