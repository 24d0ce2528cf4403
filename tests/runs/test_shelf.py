"""The finished trials of a run: kept once, read again, told apart from what is broken."""

import csv
import json
from pathlib import Path

import pytest

from nas_tf.errors import DataError
from nas_tf.runs import Run, layout, record
from tests.runs.made import made
from tests.runs.recorded import trial


def table(folder: Path) -> list[dict[str, str]]:
    with (folder / layout.TABLE).open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_trial_comes_back_as_it_was_kept(tmp_path: Path) -> None:
    one = trial(3, (0.25, 0.5))
    record.Shelf(tmp_path).add(one)
    assert record.Shelf(tmp_path).all() == [one]
    assert str(one.parsed) == one.genotype


def test_another_process_sees_trials_in_the_order_in_which_they_ended(tmp_path: Path) -> None:
    mine, theirs = record.Shelf(tmp_path), record.Shelf(tmp_path)
    for number in (2, 1):
        mine.add(trial(number, (0.5,)))
        theirs.all()
    assert [one.trial for one in theirs.all()] == ["01", "02"]


def test_a_trial_that_is_kept_again_replaces_itself(tmp_path: Path) -> None:
    shelf = record.Shelf(tmp_path)
    for reward in (0.1, 0.2):
        shelf.add(trial(1, (reward,)))
    assert [one.reward for one in shelf.all()] == [0.2]
    assert [row["reward"] for row in table(tmp_path)] == ["0.2"]


def test_the_table_has_a_row_a_trial(tmp_path: Path) -> None:
    run = made(tmp_path / "run", trials=20)
    rows = table(run.folder)
    assert [row["trial"] for row in rows] == [one.trial for one in run.trials]
    assert tuple(rows[0]) == record.COLUMNS
    assert len(run.to_frame()) == 20
    for row, one in zip(rows, run.trials, strict=True):
        assert json.loads(row["genotype"]) == json.loads(one.genotype)
        assert float(row["reward"]) == pytest.approx(one.reward, abs=1e-6)
        assert (row["stage_two"] == "") == (len(one.stages) < 2)


@pytest.mark.parametrize("damage", ["cut", "missing", "a row short"])
def test_a_table_that_a_kill_left_behind_is_made_anew(tmp_path: Path, damage: str) -> None:
    shelf = record.Shelf(tmp_path)
    for number in (1, 2):
        shelf.add(trial(number, (0.5,)))
    path = tmp_path / layout.TABLE
    rows = path.read_bytes()
    if damage == "missing":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(rows[:-5])
    else:
        path.write_bytes(b"".join(rows.splitlines(keepends=True)[:-1]))
    shelf.add(trial(3, (0.5,)))
    assert [row["trial"] for row in table(tmp_path)] == ["01", "02", "03"]


def test_a_broken_record_is_named(tmp_path: Path) -> None:
    run = made(tmp_path / "run", trials=3)
    path = run.folder / layout.TRIALS / "0001.json"
    path.write_text(path.read_text()[:40])
    with pytest.raises(DataError, match=r"0001\.json is no record of a trial"):
        Run(run.folder).trials  # noqa: B018


@pytest.mark.parametrize(
    "change",
    [
        {"ended": "yesterday"},
        {"started": "2026-01-02T03:04:05"},
        {"status": "odd"},
        {"genotype": "[1,"},
        {"genotype": "{}"},
        {"trial": "0002"},
        {"trial": "[bold]"},
    ],
)
def test_a_record_that_says_what_cannot_be_is_named(tmp_path: Path, change: dict) -> None:
    run = made(tmp_path / "run", trials=3)
    path = run.folder / layout.TRIALS / "0001.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(DataError, match=r"0001\.json is no record of a trial, .*; delete it"):
        Run(run.folder).trials  # noqa: B018


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"schema": 1, "space": 3}', "\xff"])
def test_a_damaged_run_file_is_told_with_the_remedy(tmp_path: Path, content: str) -> None:
    run = made(tmp_path / "run", trials=1)
    (run.folder / layout.RUN).write_text(content, encoding="latin-1")
    with pytest.raises(DataError, match=r"run\.json can't be read: .*; put back a copy, or del"):
        Run(run.folder)


def test_a_folder_without_a_run_and_a_run_of_another_schema_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is no run"):
        Run(tmp_path)
    run = made(tmp_path / "run", trials=1)
    path = run.folder / layout.RUN
    path.write_text(json.dumps(json.loads(path.read_text()) | {"schema": 99}))
    with pytest.raises(DataError, match=r"was written in schema 99, expected 1"):
        Run(run.folder)


def test_the_best_are_sorted_and_the_earlier_of_equals_comes_first(tmp_path: Path) -> None:
    run = made(tmp_path / "run", trials=40)
    best = run.best(40)
    assert [one.reward for one in best] == sorted((o.reward for o in run.completed), reverse=True)
    assert len(best) == len(run.completed) < 40
