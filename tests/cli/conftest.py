"""A search and its export, made once for all tests of exports."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from PIL import Image

from tests.cli.command import nas_tf
from tests.cli.exports import FORMATS, unexpected
from tests.cli.test_training import SMALL
from tests.prepared import shared_cache
from tests.serving.shipped import pictures


@pytest.fixture(scope="session")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small search of two trials, and its export."""
    folder = tmp_path_factory.mktemp("place")
    (folder / "small.yaml").write_text(SMALL)
    Image.fromarray(pictures(1, size=(80, 120))[0]).save(folder / "photo.jpg")
    with surroundings(folder):
        options = ("stage_two=null", "--oracle", "random", "--trials", "2", "--out", "run")
        done = nas_tf("search", "small.yaml", *options, cwd=folder)
        assert done.returncode == 0, done.stderr
        done = nas_tf("export", "run", "--out", "out", "--to", FORMATS, "--check", "8", cwd=folder)
        assert done.returncode == 0, done.stderr
        assert unexpected(done.stderr) == []
        (folder / "export.txt").write_text(done.stdout)
    return folder


@pytest.fixture(scope="module")
def place(shipped: Path) -> Iterator[Path]:
    """The folder, its data prepared; tests add to it and change nothing that is there."""
    with surroundings(shipped):
        yield shipped


@contextmanager
def surroundings(folder: Path) -> Iterator[None]:
    """Prepared data in the folder, and a wide terminal."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NAS_TF_CACHE", str(shared_cache()))
        patch.setenv("COLUMNS", "160")
        yield
