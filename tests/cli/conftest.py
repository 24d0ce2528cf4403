"""A search and its export, made once for a file of tests of what is shipped."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from tests.cli.command import nas_tf
from tests.cli.exports import FORMATS, unexpected
from tests.cli.test_training import SMALL
from tests.serving.shipped import pictures


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a small search of two trials, and its export."""
    folder = tmp_path_factory.mktemp("place")
    (folder / "small.yaml").write_text(SMALL)
    Image.fromarray(pictures(1, size=(80, 120))[0]).save(folder / "photo.jpg")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NAS_TF_CACHE", str(folder / "cache"))
        patch.setenv("COLUMNS", "160")
        options = ("stage_two=null", "--oracle", "random", "--trials", "2", "--out", "run")
        done = nas_tf("search", "small.yaml", *options, cwd=folder)
        assert done.returncode == 0, done.stderr
        done = nas_tf("export", "run", "--out", "out", "--to", FORMATS, "--check", "8", cwd=folder)
        assert done.returncode == 0, done.stderr
        assert unexpected(done.stderr) == []
        (folder / "told.txt").write_text(done.stdout)
        yield folder
