"""The finished trials of a run: stored once, read again, and named if they are broken."""

import csv
import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nas_tf.errors import DataError
from nas_tf.runs import Run, filenames, record
from nas_tf.runs.trial_store import TrialStore
from tests.runs.made import made
from tests.runs.recorded import trial


def table(folder: Path) -> list[dict[str, str]]:
    with (folder / filenames.TABLE).open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_trial_comes_back_as_it_was_kept(tmp_path: Path) -> None:
    item = trial(3, (0.25, 0.5))
    TrialStore(tmp_path).add(item)
    assert TrialStore(tmp_path).all() == [item]
    assert str(item.parsed) == item.genotype


def test_another_process_sees_trials_in_the_order_in_which_they_ended(tmp_path: Path) -> None:
    mine, theirs = TrialStore(tmp_path), TrialStore(tmp_path)
    for number in (2, 1):
        mine.add(trial(number, (0.5,)))
        theirs.all()
    assert [trial.trial for trial in theirs.all()] == ["01", "02"]


def test_a_trial_that_is_kept_again_replaces_itself(tmp_path: Path) -> None:
    store = TrialStore(tmp_path)
    for reward in (0.1, 0.2):
        store.add(trial(1, (reward,)))
    assert [trial.reward for trial in store.all()] == [0.2]
    assert [row["reward"] for row in table(tmp_path)] == ["0.2"]


def test_the_table_has_a_row_a_trial(tmp_path: Path) -> None:
    run = made(tmp_path / "run", trials=20)
    rows = table(run.folder)
    assert [row["trial"] for row in rows] == [trial.trial for trial in run.trials]
    assert tuple(rows[0]) == record.COLUMNS
    assert len(run.to_frame()) == 20
    for row, item in zip(rows, run.trials, strict=True):
        assert json.loads(row["genotype"]) == json.loads(item.genotype)
        if item.status == "failed":
            assert row["reward"] == row["score"] == ""
        else:
            assert float(row["reward"]) == pytest.approx(item.reward, abs=1e-6)
        assert (row["stage_two"] == "") == (len(item.stages) < 2)


@pytest.mark.parametrize("damage", ["cut", "missing", "a row short"])
def test_a_table_that_a_kill_left_behind_is_rewritten(tmp_path: Path, damage: str) -> None:
    store = TrialStore(tmp_path)
    for number in (1, 2):
        store.add(trial(number, (0.5,)))
    path = tmp_path / filenames.TABLE
    rows = path.read_bytes()
    if damage == "missing":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(rows[:-5])
    else:
        path.write_bytes(b"".join(rows.splitlines(keepends=True)[:-1]))
    store.add(trial(3, (0.5,)))
    assert [row["trial"] for row in table(tmp_path)] == ["01", "02", "03"]


@settings(deadline=None, max_examples=60)
@given(
    steps=st.lists(
        st.tuples(
            st.integers(0, 2),
            st.integers(0, 20),
            st.sampled_from(["added", "added", "added", "restarted", "dies", "dies in its row"]),
        ),
        max_size=14,
    )
)
def test_however_workers_add_and_die_the_table_has_what_is_kept(
    steps: list[tuple[int, int, str]],
) -> None:
    """And each worker knows every trial as it was kept last, once it has added one."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        stores, kept = [TrialStore(folder) for _ in range(3)], {}
        for count, (worker, number, what) in enumerate(steps):
            item = trial(number, (count / 20,))
            if what == "added":
                kept[item.trial] = item
                found = stores[worker].add(item)
                assert {each.trial: each for each in found} == kept
                assert len(found) == len(kept)
                assert sorted(row["trial"] for row in table(folder)) == sorted(kept)
                continue
            if what != "restarted" and (folder / filenames.TABLE).exists():
                row = f"{trial(20 + count, (0.5,)).trial},completed\n"
                with (folder / filenames.TABLE).open("a") as file:  # and its file was not to be
                    file.write(row[: None if what == "dies" else -4])
            stores[worker] = TrialStore(folder)
        if kept:
            stores[0].add(kept[min(kept)])
            assert [row["trial"] for row in table(folder)] == sorted(kept)


def test_workers_in_turn_add_to_one_table(tmp_path: Path) -> None:
    """None of them rewrites it, since all others would have to read it again."""
    stores, tables = [TrialStore(tmp_path) for _ in range(3)], []
    for number in range(30):
        stores[number % 3].add(trial(number, (0.5,)))
        tables.append((tmp_path / filenames.TABLE).stat().st_ino)
    assert set(tables) == {tables[0]}
    assert len(table(tmp_path)) == 30
    stores[0].add(trial(4, (0.6,)))
    rewritten = (tmp_path / filenames.TABLE).stat().st_ino
    for number in range(30, 36):
        found = stores[number % 3].add(trial(number, (0.5,)))
        assert [trial.reward for trial in found if trial.trial == "04"] == [0.6]
    assert (tmp_path / filenames.TABLE).stat().st_ino == rewritten


def test_a_trial_that_cannot_be_written_leaves_no_row(tmp_path: Path) -> None:
    store = TrialStore(tmp_path)
    for number in range(2):
        store.add(trial(number, (0.5,)))
    folder = tmp_path / filenames.TRIALS
    folder.rename(tmp_path / "away")
    folder.touch()  # no folder: nothing can be written below it
    with pytest.raises(OSError, match="trials"):
        store.add(trial(2, (0.5,)))
    folder.unlink()
    (tmp_path / "away").rename(folder)
    assert [row["trial"] for row in table(tmp_path)] == ["00", "01"]
    assert [item.trial for item in store.add(trial(3, (0.5,)))] == ["00", "01", "03"]


def test_a_trial_is_added_without_a_look_at_those_before(tmp_path: Path) -> None:
    """What another worker has added is read, and nothing else."""
    mine, theirs = TrialStore(tmp_path), TrialStore(tmp_path)
    for number in range(3):
        mine.add(trial(number, (0.5,)))
    before = tmp_path / filenames.TRIALS / "00.json"
    before.write_text("would be reported as broken")
    mine.add(trial(3, (0.5,)))
    with pytest.raises(DataError, match=r"00\.json is no record"):
        theirs.add(trial(4, (0.5,)))
    before.unlink()
    theirs.add(trial(5, (0.5,)))
    assert [item.trial for item in mine.add(trial(6, (0.5,)))][-2:] == ["05", "06"]


def test_a_broken_record_is_named(tmp_path: Path) -> None:
    run = made(tmp_path / "run", trials=3)
    path = run.folder / filenames.TRIALS / "0001.json"
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
    path = run.folder / filenames.TRIALS / "0001.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(DataError, match=r"0001\.json is no record of a trial, .*; delete it"):
        Run(run.folder).trials  # noqa: B018


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"schema": 1, "space": 3}', "\xff"])
def test_a_damaged_run_file_is_reported_with_the_remedy(tmp_path: Path, content: str) -> None:
    run = made(tmp_path / "run", trials=1)
    (run.folder / filenames.RUN).write_text(content, encoding="latin-1")
    with pytest.raises(DataError, match=r"run\.json can't be read: .*; put back a copy, or del"):
        Run(run.folder)


def test_a_folder_without_a_run_and_a_run_of_another_schema_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is not the folder of a search"):
        Run(tmp_path)
    run = made(tmp_path / "run", trials=1)
    path = run.folder / filenames.RUN
    path.write_text(json.dumps(json.loads(path.read_text()) | {"schema": 99}))
    with pytest.raises(DataError, match=r"was written in schema 99, expected 1"):
        Run(run.folder)


def test_the_best_are_sorted_and_the_earlier_of_equals_comes_first(tmp_path: Path) -> None:
    run = made(tmp_path / "run", trials=40)
    best = run.best(40)
    assert [trial.reward for trial in best] == sorted(
        (o.reward for o in run.completed), reverse=True
    )
    assert len(best) == len(run.completed) < 40
