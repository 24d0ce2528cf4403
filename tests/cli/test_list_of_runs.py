"""``nas-tf runs`` lists folders of results, and removes nothing else."""

import fcntl
from pathlib import Path

from tests.cli.command import nas_tf
from tests.runs.made import made
from tuner_oracles.ledger import NAME, Ledger


def test_runs_are_listed_and_removed_on_request(tmp_path: Path) -> None:
    made(tmp_path / "runs/first", trials=4)
    made(tmp_path / "runs/second", trials=3)
    done = nas_tf("runs", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    head, *rows = done.stdout.splitlines()
    assert head.split() == ["folder", "kind", "data", "done", "result", "size", "changed"]
    assert {row.split()[0] for row in rows} == {"runs/first", "runs/second"}
    done = nas_tf("runs", "runs/first", "--remove", cwd=tmp_path, stdin="n\n")
    assert (tmp_path / "runs/first").exists()
    done = nas_tf("runs", "runs/first", "--remove", "--yes", cwd=tmp_path)
    assert done.stdout.endswith("removed runs/first\n")
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["second"]


def test_names_in_brackets_are_names(tmp_path: Path) -> None:
    for name in ("a [old]", "b[/x]"):
        made(tmp_path / "runs" / name, trials=3)
    done = nas_tf("runs", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "runs/a [old]" in done.stdout
    assert "runs/b[/x]" in done.stdout


def test_a_search_that_runs_is_not_removed(tmp_path: Path) -> None:
    made(tmp_path / "runs/first", trials=3)
    with (tmp_path / "runs/first/ledger.jsonl").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        done = nas_tf("runs", "runs/first", "--remove", "--yes", cwd=tmp_path)
    assert done.returncode == 3
    assert done.stderr.endswith("runs/first is in use by another process: stop that first\n")
    assert (tmp_path / "runs/first/run.json").exists()


def test_mistakes_are_one_line_and_remove_nothing(tmp_path: Path) -> None:
    made(tmp_path / "runs/first", trials=3)
    (tmp_path / "photos").mkdir()
    for code, arguments, line in (
        (3, ("absent",), "absent is no folder, expected one with results"),
        (3, ("photos",), "there is no search, training or study in photos"),
        (3, ("runs/first", "photos", "--remove", "--yes"), "photos is not a folder of results"),
        (2, ("--remove", "--yes"), "--remove has no folder, expected those to remove"),
        (3, ("runs", "--remove", "--yes"), "runs is not a folder of results"),
    ):
        done = nas_tf("runs", *arguments, cwd=tmp_path)
        assert done.returncode == code, arguments
        (error,) = done.stderr.splitlines()
        assert line in error
    assert (tmp_path / "runs/first/run.json").exists()
    assert (tmp_path / "photos").exists()


def test_a_damaged_ledger_is_salvaged(tmp_path: Path) -> None:
    made(tmp_path / "first", trials=3)
    ledger = Ledger(tmp_path / "first" / NAME)
    ledger.append("begin")
    ledger.append("result", trial="0000", status="COMPLETED")
    ledger.close()
    with ledger.path.open("a") as file:
        file.write("damaged\n")
    done = nas_tf("runs", "first", "--salvage", cwd=tmp_path)
    assert done.stdout.splitlines() == [
        "first: kept 2 records of the ledger and 1 of 3 trials",
        "--resume runs the others again; their files are in first/lost-1",
    ], done.stderr
    for arguments, line in (
        (("first", "--salvage", "--remove"), "--salvage is given with --remove"),
        (("--salvage",), "--salvage has no folder, expected the folders of damaged searches"),
    ):
        done = nas_tf("runs", *arguments, cwd=tmp_path)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1)
        assert line in done.stderr
