"""The embedded data set, drawn once for all tests: that takes half a minute."""

import os
import shutil
from pathlib import Path

import pytest

from nas_tf.data import store

SHARED = "NAS_TF_TESTS_SHARED"
"""The variable that names a folder which all processes of a test run share."""


def with_shapes(cache: Path) -> Path:
    """A folder for ``NAS_TF_CACHE``, in which ``shapes`` is prepared."""
    shared = Path(os.environ[SHARED])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NAS_TF_CACHE", str(shared))
        store.prepare("shapes")
    shutil.copytree(shared / "data", cache / "data", dirs_exist_ok=True)
    return cache
