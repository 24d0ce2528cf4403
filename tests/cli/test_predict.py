"""``nas-tf predict``: the pictures and outputs that it accepts."""

from pathlib import Path

import pytest

from nas_tf.cli.predict import _jobs
from nas_tf.errors import ConfigError


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    for name in ("a.png", "b.jpg"):
        (tmp_path / "photos" / name).touch()
    (tmp_path / "link").symlink_to("photos")
    return Path("photos")


def test_each_picture_has_its_own_outputs(photos: Path) -> None:
    assert _jobs([photos], None, Path("masks")) == [
        (photos / "a.png", None, Path("masks/a.png")),
        (photos / "b.jpg", None, Path("masks/b.png")),
    ]
    single = photos / "a.png"
    assert _jobs([single], None, None) == [(single, photos / "a-overlay.png", None)]


@pytest.mark.parametrize(
    ("place", "out", "mask"),
    [
        ("photos", "photos", None),
        ("photos", None, "photos"),
        ("photos", "link", None),
        ("photos/a.png", "photos/a.png", None),
        ("photos/a.png", None, "link/a.png"),
    ],
)
def test_no_picture_is_overwritten(
    photos: Path, place: str, out: str | None, mask: str | None
) -> None:
    given = [value and Path(value) for value in (out, mask)]
    with pytest.raises(ConfigError, match=r"/a\.png would be overwritten, expected another fold"):
        _jobs([Path(place)], *given)


def test_the_option_is_named(photos: Path) -> None:
    with pytest.raises(ConfigError, match=r"^--mask is m\.txt, expected a picture such as m\.png"):
        _jobs([photos / "a.png"], None, Path("m.txt"))
