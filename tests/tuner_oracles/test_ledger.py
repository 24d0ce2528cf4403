"""The ledger: intact after any kill, refused if damaged, one process at a time."""

import errno
import gc
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.e2e.disk import small_files
from tests.tuner_oracles.searches import GOAL, drive, outcome, place, space
from tuner_oracles import RandomOracle
from tuner_oracles.ledger import NAME, Ledger, LedgerError, Unwritable, write_atomically

FIELDS = st.dictionaries(
    st.text(min_size=1).filter(lambda key: key not in ("n", "kind", "crc")),
    st.none() | st.floats(allow_nan=False, allow_infinity=False) | st.text() | st.integers(),
)


def written(path: Path, records: list[dict]) -> Path:
    path.unlink(missing_ok=True)
    ledger = Ledger(path)
    for record in records:
        ledger.append("thing", content=record)
    ledger.close()
    return path


def read(path: Path) -> list[dict]:
    ledger = Ledger(path)
    ledger.close()
    return [record["content"] for record in ledger.records]


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("ledger") / "ledger.jsonl"


@given(st.lists(FIELDS, max_size=5))
def test_what_is_written_is_read(path: Path, records: list[dict]) -> None:
    assert read(written(path, records)) == records


@given(st.lists(FIELDS, min_size=1, max_size=4), st.data())
def test_cut_at_any_byte_the_complete_records_stay(
    path: Path, records: list[dict], data: st.DataObject
) -> None:
    content = written(path, records).read_bytes()
    cut = data.draw(st.integers(0, len(content)))
    path.write_bytes(content[:cut])
    intact = read(path)
    ends = [i for i, byte in enumerate(content) if byte == ord("\n")]
    assert intact == records[: sum(end <= cut for end in ends)]
    assert read(path) == intact, "repaired once and for all"
    ledger = Ledger(path)
    ledger.append("thing", content={"after": 1})
    ledger.close()
    assert read(path) == [*intact, {"after": 1}]


@given(st.lists(FIELDS, min_size=2, max_size=4), st.data())
def test_a_changed_byte_is_refused(path: Path, records: list[dict], data: st.DataObject) -> None:
    content = bytearray(written(path, records).read_bytes())
    place = data.draw(st.integers(0, len(content) - 2))
    content[place] ^= data.draw(st.integers(1, 127))
    path.write_bytes(bytes(content))
    line = content[:place].count(b"\n") + 1
    message = f"line {line} is damaged; put back a copy of the file"
    with suppress_only(LedgerError, message):  # else it is another spelling of the same value
        assert read(path) == records


@contextmanager
def suppress_only(kind: type[Exception], message: str) -> Iterator[None]:
    """Suppresses an error of this kind with this message, and no other."""
    try:
        yield
    except kind as error:
        if message not in str(error):
            raise


def test_a_removed_line_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "ledger.jsonl", [{"a": 1}, {"b": 2}, {"c": 3}])
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + lines[2])
    with pytest.raises(LedgerError, match="line 2 is damaged"):
        Ledger(path)


def test_two_processes_are_refused_and_one_process_takes_over(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    first = Ledger(path)
    code = (
        f"from tuner_oracles.ledger import *; from pathlib import *; Ledger(Path({str(path)!r}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stderr.splitlines()[-1] == (
        f"tuner_oracles.ledger.Busy: {path} is in use: another process is running this "
        "search; end it first, or use another project_name"
    )
    second = Ledger(path)
    second.append("thing")
    with pytest.raises(LedgerError, match="another oracle has taken over the search"):
        first.append("thing")


def test_a_file_system_without_locks_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flock(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("fcntl.flock", flock)
    with pytest.raises(LedgerError, match=r"jsonl can't be locked: No locks available; use a"):
        Ledger(tmp_path / NAME)


def test_a_ledger_that_cannot_be_opened_is_one_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / NAME).mkdir()
    with pytest.raises(IsADirectoryError):
        Ledger(tmp_path / NAME)
    gc.collect()
    assert capsys.readouterr().err == ""


def test_a_full_disk_is_reported_and_leaves_the_ledger_intact(tmp_path: Path) -> None:
    path = written(tmp_path / "ledger.jsonl", [{"a": 1}])
    before = path.read_bytes()
    ledger = Ledger(path)
    message = (
        r"ledger\.jsonl can't be written: .*; free some space, then run the same command again "
        "to resume"
    )
    with small_files(len(before) + 10), pytest.raises(Unwritable, match=message):
        ledger.append("thing", content={"long": "x" * 100})
    assert path.read_bytes() == before
    ledger.append("thing", content={"b": 2})
    ledger.close()
    assert read(path) == [{"a": 1}, {"b": 2}]


def test_a_file_that_does_not_fit_is_left_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    write_atomically(path, b"{}")
    with small_files(10), pytest.raises(Unwritable, match=r"state\.json can't be written"):
        write_atomically(path, b"x" * 100)
    assert path.read_bytes() == b"{}"
    assert list(tmp_path.iterdir()) == [path]


def test_ctrl_c_while_a_record_is_written_leaves_a_ledger_that_resumes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Interrupts at every record of a search; resumes in the same process or in a new one."""
    complete = searched(tmp_path / "complete")
    sync = os.fsync
    for wanted in range(
        1, len((tmp_path / "complete/search" / NAME).read_bytes().splitlines()) + 1
    ):
        left = [wanted]

        def interrupted(file: int, left: list[int] = left) -> None:
            sync(file)
            left[0] -= 1
            if left[0] == 0:
                signal.raise_signal(signal.SIGINT)

        folder = tmp_path / str(wanted)
        oracle = place(RandomOracle(GOAL, 3, hyperparameters=space(), seed=1), folder)
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", interrupted)
            with pytest.raises(KeyboardInterrupt):
                drive(oracle)
        oracle.release("tuner0")
        if wanted % 2:
            drive(oracle)
        assert outcome(searched(folder)) == outcome(complete), wanted


def searched(folder: Path) -> RandomOracle:
    oracle = place(RandomOracle(GOAL, 3, hyperparameters=space(), seed=1), folder)
    drive(oracle)
    return oracle


def test_a_file_is_replaced_atomically(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    write_atomically(path, b"{}")
    write_atomically(path, json.dumps({"a": 1}).encode(), sync=True)
    assert path.read_text() == '{"a": 1}'
    assert list(tmp_path.iterdir()) == [path]
