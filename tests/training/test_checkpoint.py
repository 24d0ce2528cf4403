"""Checkpoints of which a file is damaged: the newest intact one is resumed."""

from pathlib import Path

import pytest
import tensorflow as tf

from nas_tf.errors import DataError
from nas_tf.training.checkpoint import Checkpoints


@pytest.fixture
def value() -> tf.Variable:
    return tf.Variable(tf.zeros(50))


@pytest.fixture
def folder(tmp_path: Path, value: tf.Variable) -> Path:
    """Two checkpoints: the value is 9 in the first and 10 in the second."""
    checkpoints = Checkpoints(tmp_path, {"value": value})
    for step in (9, 10):
        value.assign(tf.fill(50, float(step)))
        checkpoints.save(step)
    value.assign(tf.zeros(50))
    return tmp_path


def restored(folder: Path, value: tf.Variable, *, writes: bool = True) -> float:
    value.assign(tf.zeros(50))
    assert Checkpoints(folder, {"value": value}, writes=writes).restore()
    return float(value[0])


@pytest.mark.parametrize("content", [b"", b"model_checkpoint_path: \xff", b"model_check", None])
@pytest.mark.parametrize("writes", [True, False])
def test_tensorflows_list_may_be_damaged_or_absent(
    folder: Path, value: tf.Variable, content: bytes | None, writes: bool
) -> None:
    listing = folder / "checkpoint"
    listing.unlink() if content is None else listing.write_bytes(content)
    assert restored(folder, value, writes=writes) == 10.0


@pytest.mark.parametrize("name", ["a [b]", "ä*", "c?d"])
def test_a_folder_may_have_any_name(tmp_path: Path, value: tf.Variable, name: str) -> None:
    checkpoints = Checkpoints(tmp_path / name, {"value": value})
    for step in (8, 9, 10):
        value.assign(tf.fill(50, float(step)))
        checkpoints.save(step)
    assert restored(tmp_path / name, value) == 10.0
    assert len(list((tmp_path / name).glob("*.index"))) == 2


@pytest.mark.parametrize("suffix", ["index", "data-00000-of-00001"])
@pytest.mark.parametrize("kept", [0, 20, -1])
def test_an_older_checkpoint_takes_the_place_of_a_damaged_one(
    folder: Path, value: tf.Variable, suffix: str, kept: int, caplog: pytest.LogCaptureFixture
) -> None:
    path = folder / f"ckpt-10.{suffix}"
    path.write_bytes(path.read_bytes()[:kept])
    assert restored(folder, value) == 9.0
    assert "ckpt-10 cannot be read" in caplog.text


@pytest.mark.parametrize("place", [3, 60, -8, -1])
def test_so_it_does_if_a_byte_of_the_index_is_another(
    folder: Path, value: tf.Variable, place: int
) -> None:
    path = folder / "ckpt-10.index"
    content = bytearray(path.read_bytes())
    content[place] ^= 0x55
    path.write_bytes(content)
    assert restored(folder, value) == 9.0


def test_only_two_stay_even_if_the_list_is_lost(folder: Path, value: tf.Variable) -> None:
    (folder / "checkpoint").write_bytes(b"\xff")
    checkpoints = Checkpoints(folder, {"value": value})
    for step in (11, 100):
        checkpoints.save(step)
    assert {path.stem for path in folder.glob("*.index")} == {"ckpt-11", "ckpt-100"}
    assert not list(folder.glob("ckpt-9*"))
    assert not list(folder.glob("ckpt-10.*"))


def test_without_an_intact_one_a_line_names_the_folder(folder: Path, value: tf.Variable) -> None:
    for path in folder.glob("*.index"):
        path.write_bytes(b"")
    with pytest.raises(DataError, match=r"^no checkpoint in \S+ can be read or fits"):
        restored(folder, value)
