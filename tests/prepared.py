"""Prepares the embedded data set, and whatever else is costly, once for all tests."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock

SHARED = "NAS_TF_TESTS_SHARED"
"""The environment variable with the folder that all processes of a test run share."""
FEW = {"train": 200, "val": 40, "test": 40}
"""The scenes of an embedded data set that ``few_scenes`` draws."""


def shared_cache() -> Path:
    """Returns a folder with ``shapes`` for ``NAS_TF_CACHE`` of tests that only add to it."""
    from nas_tf.data import store  # imports TensorFlow, which not every test needs

    shared = Path(os.environ[SHARED])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NAS_TF_CACHE", str(shared))
        store.prepare("shapes")
    return shared


def few_scenes(*names: str) -> Path:
    """Returns a folder for ``NAS_TF_CACHE`` with a third of the scenes of embedded data sets.

    It is for tests of which no figure depends on how much a network learns.
    """
    folder = Path(os.environ[SHARED]) / "few"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NAS_TF_CACHE", str(folder))
        prepare_few(*names or ["shapes"])
    return folder


def prepare_few(*names: str) -> None:
    """Prepares the first scenes of embedded data sets where ``NAS_TF_CACHE`` says."""
    from nas_tf.data import shapes, store

    with pytest.MonkeyPatch.context() as patch:
        for split, count in FEW.items():
            patch.setitem(shapes.INFO.splits, split, count)
        for name in names:
            store.prepare(name)


def made_once(name: str, make: Callable[[Path], None]) -> Path:
    """Returns a folder that the first process fills and all processes of a test run read."""
    folder = Path(os.environ[SHARED]) / name
    made = folder.with_name(f"{name}.made")
    with FileLock(f"{folder}.lock"):
        if not made.exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            make(folder)
            made.touch()
    return folder


def with_shapes(cache: Path, *, few: bool = False) -> Path:
    """Returns a folder for ``NAS_TF_CACHE`` of a single test, in which ``shapes`` is prepared."""
    prepared = few_scenes() if few else shared_cache()
    shutil.copytree(prepared / "data", cache / "data", dirs_exist_ok=True)
    return cache
