"""A full disk during a preparation, and prepared data that were damaged since."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import tensorflow as tf

from nas_tf.data import example_sheet, pipeline, store
from nas_tf.data.examples import Examples
from nas_tf.data.views import View
from nas_tf.errors import DataError, EnvironmentFault
from nas_tf.tasks.base import TargetSpec
from tests.e2e.disk import small_files

LABEL = TargetSpec("label", fill=255)
VIEW = View((32, 32), centred=True)


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder for prepared data."""
    monkeypatch.setenv("NAS_TF_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def name(own: Callable[..., Path], own_cache: Path) -> str:
    """The name of a prepared folder."""
    name = f"folder:{own(train=1, val=30)}"
    store.prepare(name)
    return name


@pytest.fixture
def records(name: str) -> Path:
    """The records of the prepared folder's split val."""
    [path] = store.prepared(name).folder.glob("*-val.array_record*")
    return path


def damage(path: Path, start: int, length: int = 64) -> None:
    """Changes some bytes of a file."""
    content = bytearray(path.read_bytes())
    content[start : start + length] = bytes(byte ^ 255 for byte in content[start : start + length])
    path.write_bytes(content)


def test_a_full_disk_ends_a_preparation_in_one_line(own: Callable, own_cache: Path) -> None:
    name = f"folder:{own(train=40)}"
    message = (
        rf"{re.escape(str(own_cache))}/data can't be written: File too large; free some space"
    )
    with small_files(20_000), pytest.raises(EnvironmentFault, match=message):
        store.prepare(name)
    assert not [path for path in own_cache.rglob("*") if "incomplete" in path.name]
    assert store.prepare(name).splits == {"train": 40, "val": 1}


@pytest.mark.parametrize("place", [70, 40_000])
def test_a_damaged_record_is_one_line_wherever_it_is_read(
    name: str, records: Path, place: int, capfd: pytest.CaptureFixture[str]
) -> None:
    sound = Examples(name, "val", cache_bytes=0)
    damage(records, place)
    message = rf"{re.escape(name)}, split val, is damaged: .* hash mismatch.* {name} --again"
    with pytest.raises(DataError, match=message):
        Examples(name, "val")
    stream = pipeline.evaluation(sound, LABEL, VIEW, batch=4)
    with pytest.raises(DataError, match=message):
        list(sound.checked(stream))
    with pytest.raises(DataError, match=message):
        example_sheet.sheet(name, "val", len(sound))
    assert "Traceback" not in "".join(capfd.readouterr())
    rest = list(pipeline.evaluation(sound, LABEL, VIEW, batch=1, skip_broken=True))
    assert 0 < len(rest) < len(sound)


@pytest.mark.parametrize(
    "harm", [lambda path: path.write_bytes(path.read_bytes()[:70_000]), Path.unlink]
)
def test_records_that_were_cut_or_are_absent_are_one_line(
    name: str, records: Path, harm: Callable[[Path], object]
) -> None:
    harm(records)
    with pytest.raises(DataError, match=f"split val, is damaged: .* prepare {name} --again"):
        Examples(name, "val")
    store.prepare(name, again=True)
    assert len(Examples(name, "val")) == 30


@pytest.mark.parametrize("note", ["dataset_info.json", "metadata.json"])
def test_damaged_notes_of_a_preparation_are_one_line(name: str, records: Path, note: str) -> None:
    path = records.with_name(note)
    path.write_text(path.read_text()[:12])
    folder = re.escape(str(path.parents[1]))
    message = rf"prepared copy of {name} is damaged: .*; delete {folder} and run"
    with pytest.raises(DataError, match=message):
        Examples(name, "val")
    with pytest.raises(DataError, match=message):
        store.prepare(name, again=True)


def test_another_fault_of_a_stream_is_not_taken_for_damage(name: str) -> None:
    def stream() -> Iterator[int]:
        yield 1
        raise tf.errors.UnknownError(None, None, "another fault")

    with pytest.raises(tf.errors.UnknownError, match="another fault"):
        list(Examples(name, "val").checked(stream()))
