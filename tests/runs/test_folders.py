"""Folders of results: what is found, how far it is, and what is left alone."""

import fcntl
import json
import os
from pathlib import Path

import pytest

from nas_tf.config import load
from nas_tf.config.load import dump
from nas_tf.errors import DataError
from nas_tf.runs import filenames, folders
from tests.runs.made import made


def training(folder: Path, *, epochs: int, finished: bool) -> Path:
    folder.mkdir(parents=True)
    (folder / filenames.GENOTYPE).write_text('{"space": "fcos", "genotype": []}')
    (folder / filenames.CONFIG).write_text(dump(load("bccd_fcos_fpn")))
    rows = "".join(f"1,{epoch},{25 * epoch}\n" for epoch in range(1, epochs + 1))
    (folder / "history.csv").write_text(f"stage,epoch,step\n{rows}")
    if finished:
        (folder / "result.json").write_text(json.dumps({"result": {"ap": 0.25, "loss": 1.0}}))
    return folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    made(tmp_path / "runs/search", trials=7)
    made(tmp_path / "runs/search/rerank", trials=3)
    training(tmp_path / "runs/group/done", epochs=30, finished=True)
    training(tmp_path / "runs/group/unfinished", epochs=2, finished=False)
    (tmp_path / "runs/notes").mkdir()
    return tmp_path / "runs"


def test_searches_and_trainings_are_found_with_their_progress(root: Path) -> None:
    found = {folder.path.name: folder for folder in folders.find(root)}
    assert set(found) == {"search", "done", "unfinished"}
    assert (found["search"].kind, found["search"].progress) == ("search", "7 of 7 trials")
    assert found["search"].figure.startswith("reward 0.")
    assert [found["done"].data, found["done"].progress] == ["bccd", "30 of 30 epochs"]
    assert found["done"].figure == "ap 0.2500"
    assert (found["unfinished"].progress, found["unfinished"].figure) == ("2 of 30 epochs", "")


def test_sizes_are_those_of_all_files_and_the_last_change_comes_first(root: Path) -> None:
    (root / "search/weights").mkdir()
    (root / "search/weights/0001.npz").write_bytes(bytes(10_000_000))
    old = root / "group/done"
    for path in (*old.iterdir(), old):
        os.utime(path, (1e9, 1e9))
    found = folders.find(root)
    assert [folder.path.name for folder in found][-1] == "done"
    search = next(folder for folder in found if folder.path.name == "search")
    files = sum(path.stat().st_size for path in search.path.rglob("*") if path.is_file())
    assert search.size == files > 10_000_000


def test_a_damaged_folder_is_listed_as_damaged(root: Path) -> None:
    (root / "search" / filenames.RUN).write_text("{")
    (root / "group/done/config.yaml").write_text("full_training: 3\n")
    found = {folder.path.name: folder.progress for folder in folders.find(root)}
    assert found == {"search": "damaged", "done": "damaged", "unfinished": "2 of 30 epochs"}


def test_another_folder_is_refused(root: Path) -> None:
    with pytest.raises(DataError, match=r"notes is not a folder of results: it has no run\.json"):
        folders.read(root / "notes")


@pytest.mark.parametrize("name", ["ledger.jsonl", ".lock", ".study.lock", "rerank/.rerank.lock"])
def test_a_folder_that_another_process_has_locked_is_in_use(root: Path, name: str) -> None:
    path = root / "search" / name
    path.touch()
    assert not folders.is_in_use(root / "search")
    with path.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert folders.is_in_use(root / "search")
    assert not folders.is_in_use(root / "search")
