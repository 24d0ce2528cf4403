"""Prepares the embedded data set once for all tests."""

import os
import shutil
from pathlib import Path

import pytest

SHARED = "NAS_TF_TESTS_SHARED"
"""The environment variable with the folder that all processes of a test run share."""


def shared_cache() -> Path:
    """Returns a folder with ``shapes`` for ``NAS_TF_CACHE`` of tests that only add to it."""
    from nas_tf.data import store  # imports TensorFlow, which not every test needs

    shared = Path(os.environ[SHARED])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NAS_TF_CACHE", str(shared))
        store.prepare("shapes")
    return shared


def with_shapes(cache: Path) -> Path:
    """Returns a folder for ``NAS_TF_CACHE`` of a single test, in which ``shapes`` is prepared."""
    shutil.copytree(shared_cache() / "data", cache / "data", dirs_exist_ok=True)
    return cache
