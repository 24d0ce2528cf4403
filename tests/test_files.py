"""Files and folders that appear complete or not at all."""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from nas_tf import files
from nas_tf.errors import EnvironmentFault, TrainingError
from tests.e2e.disk import small_files

LARGE = b"x" * 200_000
WRITERS = {
    "write": "files.write(path, b'new' * 1000)",
    "atomic": "with files.atomic(path) as partial: partial.write_bytes(b'new' * 1000)",
}


def program(body: str) -> list[str]:
    lines = ("import os, signal, sys", "from pathlib import Path", "from nas_tf import files")
    return [sys.executable, "-c", "\n".join((*lines, "path = Path(sys.argv[1])", body))]


def test_a_file_is_complete_or_nothing_is_left_of_it(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.bin"
    files.write(path, "old")
    message = r"a\.bin can't be written: File too large; free some space"
    with small_files(100_000), pytest.raises(EnvironmentFault, match=message):
        files.write(path, LARGE)
    with (
        small_files(100_000),
        pytest.raises(EnvironmentFault, match=message),
        files.atomic(path) as partial,
    ):
        partial.write_bytes(LARGE)
    with suppress(KeyboardInterrupt), files.atomic(path) as partial:
        partial.write_bytes(LARGE)
        raise KeyboardInterrupt
    assert path.read_bytes() == b"old"
    assert [item.name for item in path.parent.iterdir()] == ["a.bin"]


@pytest.mark.parametrize("line", WRITERS.values(), ids=WRITERS)
def test_a_kill_before_the_renaming_leaves_the_old_file(line: str, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text("old")
    kill = "lambda event, _: event == 'os.rename' and os.kill(os.getpid(), signal.SIGKILL)"
    done = subprocess.run([*program(f"sys.addaudithook({kill})\n{line}"), str(path)])
    assert done.returncode == -signal.SIGKILL
    assert path.read_text() == "old"
    assert any(item.name.startswith(files.PARTIAL) for item in tmp_path.iterdir())


def test_what_a_killed_process_left_of_a_librarys_file_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "best.keras"
    (tmp_path / f"{files.PARTIAL}best.keras").write_bytes(LARGE)
    with files.atomic(path) as partial:
        assert partial.suffix == ".keras"
        partial.write_text("new")
    assert [item.name for item in tmp_path.iterdir()] == ["best.keras"]
    assert path.read_text() == "new"


def test_the_content_is_on_the_disk_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, synced = tmp_path / "a.json", []

    def fsync(descriptor: int) -> None:
        synced.append((os.readlink(f"/proc/self/fd/{descriptor}"), path.exists()))

    monkeypatch.setattr(os, "fsync", fsync)
    files.write(path, "{}")
    partial = tmp_path / f"{files.PARTIAL}{os.getpid()}-a.json"
    assert synced == [(str(partial), False), (str(tmp_path), True)]


def test_processes_write_one_path_at_the_same_time(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    body = "for _ in range(200): files.write(path, sys.argv[2] * 10_000)"
    writers = [subprocess.Popen([*program(body), str(path), mark]) for mark in "abc"]
    seen = set()
    while any(writer.poll() is None for writer in writers):
        with suppress(FileNotFoundError):
            seen.add(path.read_text())
    assert [writer.returncode for writer in writers] == [0, 0, 0]
    assert seen <= {mark * 10_000 for mark in "abc"}
    assert [item.name for item in tmp_path.iterdir()] == ["a.json"]


def test_other_errors_are_left_as_they_are(tmp_path: Path) -> None:
    for error in (TrainingError("no usable end"), RuntimeError("end"), PermissionError(13, "no")):
        with pytest.raises(type(error)) as raised, files.reporting_full_disk(tmp_path):
            raise error
        assert raised.value is error


def test_errors_of_the_system_are_faults_of_the_environment(tmp_path: Path) -> None:
    for error, message in (
        (PermissionError(13, "no"), r"can't be written: .*no; fix that"),
        (OSError(28, "No space left on device"), r"No space left on device; free some space"),
    ):
        with pytest.raises(EnvironmentFault, match=message), files.reporting_faults(tmp_path):
            raise error
    with pytest.raises(RuntimeError, match=r"^end$"), files.reporting_faults(tmp_path):
        raise RuntimeError("end")


def test_an_export_that_is_stopped_leaves_no_empty_folder(tmp_path: Path) -> None:
    def stopped(folder: Path) -> None:
        with files.stage(folder) as staging:
            (staging / "a part").touch()
            raise KeyboardInterrupt

    existing = tmp_path / "existing"
    existing.mkdir()
    for folder in (tmp_path / "exports" / "x", existing):
        with pytest.raises(KeyboardInterrupt):
            stopped(folder)
    assert not (tmp_path / "exports" / "x").exists()
    assert list(existing.iterdir()) == []


def test_what_another_process_stages_is_left_alone(tmp_path: Path) -> None:
    with files.stage(tmp_path) as first, files.stage(tmp_path) as second:
        assert first != second
        assert set(tmp_path.iterdir()) == {first, second}
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_staged_is_removed_by_the_next(tmp_path: Path) -> None:
    body = "with files.stage(path) as staging: os.kill(os.getpid(), signal.SIGKILL)"
    subprocess.run([*program(body), str(tmp_path)])
    (left,) = tmp_path.iterdir()
    with files.stage(tmp_path) as staging:
        assert [*tmp_path.iterdir()] == [staging] != [left]


def test_a_published_folder_replaces_none(tmp_path: Path) -> None:
    with files.stage(tmp_path) as staging:
        for name in ("first", "second"):
            (staging / name).mkdir()
            (staging / name / "content").write_text(name)
        files.publish(staging / "first", tmp_path / "models" / "1")
        with pytest.raises(OSError, match="not empty"):
            files.publish(staging / "second", tmp_path / "models" / "1")
    assert (tmp_path / "models" / "1" / "content").read_text() == "first"
    assert [item.name for item in tmp_path.iterdir()] == ["models"]
