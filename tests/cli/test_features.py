"""``nas-tf data features`` lists cached features, and removes them on request."""

from pathlib import Path

import pytest

from tests.cli.command import nas_tf


@pytest.fixture
def cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache/features"
    for name in ("one-16-64", "two-16-64"):
        (folder / name).mkdir(parents=True)
        (folder / name / "manifest.json").write_text(
            '{"key": {"data": "fields/train, 9 bytes", "views": 4, "crop": [64, 96]}}'
        )
    (folder / "two-16-64/shard").write_bytes(b"0" * 2_000_000)
    (folder / "three-16-64").mkdir()
    monkeypatch.setenv("NAS_TF_CACHE", str(tmp_path / "cache"))
    return folder


def test_features_are_listed_and_removed_on_request(cached: Path) -> None:
    done = nas_tf("data", "features", cwd=cached)
    head, *rows = done.stdout.splitlines()
    assert head.split() == ["name", "data", "crop", "views", "size", "used"]
    found = {row.split()[0]: row.split()[1:] for row in rows}
    assert found["two-16-64"][:5] == ["fields/train", "64x96", "4", "2.0", "MB"]
    assert found["three-16-64"][0] == "incomplete"
    nas_tf("data", "features", "one-16-64", "--remove", cwd=cached, stdin="n\n")
    assert (cached / "one-16-64").exists()
    done = nas_tf("data", "features", "two-16-64", "--remove", "--yes", cwd=cached)
    assert done.stdout == "removed two-16-64, 2.0 MB\n"
    done = nas_tf("data", "features", "--unused-for", "1", "--remove", "--yes", cwd=cached)
    assert (done.stdout, done.returncode) == ("", 0)
    assert {path.name for path in cached.iterdir() if path.is_dir()} == {
        *("one-16-64", "three-16-64")
    }


def test_a_mistake_is_a_line_and_removes_nothing(cached: Path) -> None:
    for arguments, line in (
        (("--remove", "--yes"), "--remove has no features, expected NAME or --unused-for DAYS"),
        (("one-16-64", "x", "--remove", "--yes"), "has no features x; nas-tf data features lists"),
    ):
        done = nas_tf("data", "features", *arguments, cwd=cached)
        assert done.returncode == 2
        (error,) = done.stderr.splitlines()
        assert line in error
    assert (cached / "one-16-64").exists()
