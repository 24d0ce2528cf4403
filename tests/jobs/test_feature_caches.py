"""Cached features are listed and removed, never while a process builds or reads them."""

import os
import time
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock

from nas_tf.errors import ConfigError, DataError
from nas_tf.jobs import feature_caches
from tests.training.cached import build

DAY = 86400


def test_features_that_are_read_are_not_removed_and_others_are_built_again(
    tmp_path: Path,
) -> None:
    cache = build(tmp_path)
    before = cache.rows([0, 41])
    (found,) = feature_caches.find(root=tmp_path)
    assert (found.data, found.crop, found.views) == ("noise", "64x96", 2)
    assert found.size == sum(path.stat().st_size for path in cache.folder.iterdir())
    assert found.used == pytest.approx(time.time(), abs=600)
    second = build(tmp_path)
    del cache
    with pytest.raises(DataError, match="is in use by another process"):
        feature_caches.remove(found)
    assert second.folder.exists()
    del second
    feature_caches.remove(found)
    assert feature_caches.find(root=tmp_path) == []
    assert [path.suffix for path in tmp_path.iterdir()] == [".lock"]
    again = build(tmp_path).rows([0, 41])
    for field, values in before.items():
        np.testing.assert_array_equal(again[field], values)


def test_a_removal_that_was_killed_is_completed_by_the_next(tmp_path: Path) -> None:
    for name in ("abc-16-64", ".removed-abc-16-64"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "shard").touch()
    (found,) = feature_caches.find(root=tmp_path)
    feature_caches.remove(found)
    assert [path.suffix for path in tmp_path.iterdir()] == [".lock"]


def test_features_that_are_built_are_not_removed(tmp_path: Path) -> None:
    (tmp_path / "abc-16-64").mkdir()
    (found,) = feature_caches.find(root=tmp_path)
    assert (found.data, found.crop, found.views, found.size) == ("", "", 0, 0)
    with (
        FileLock(f"{found.folder}.lock", is_singleton=False),
        pytest.raises(DataError, match="is in use by another process"),
    ):
        feature_caches.remove(found)
    assert found.folder.exists()
    feature_caches.remove(found)
    assert not found.folder.exists()


def test_features_are_selected_by_name_and_by_last_use(tmp_path: Path) -> None:
    for name, days in (("old", 40), ("new", 1), ("older", 90)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "manifest.json").write_text(
            '{"key": {"data": "fields/train, 9 bytes", "views": 4, "crop": [64, 64]}}'
        )
        used = time.time() - days * DAY
        os.utime(tmp_path / name / "manifest.json", (used, used))

    def names(*wanted: str, **limits: int) -> list[str]:
        return [item.name for item in feature_caches.find(wanted, root=tmp_path, **limits)]

    assert names() == ["new", "old", "older"]
    assert names(unused_days=30) == ["old", "older"]
    assert names("older", "new", unused_days=2) == ["older"]
    with pytest.raises(ConfigError, match=r"has no features absent; nas-tf data features lists"):
        names("old", "absent")
    assert feature_caches.find(root=tmp_path / "nothing") == []
