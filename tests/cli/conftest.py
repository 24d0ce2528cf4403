"""A search and its export, made once for all tests of exports."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from PIL import Image

from tests.cli.command import nas_tf
from tests.cli.exports import FORMATS, unexpected
from tests.cli.test_training import SMALL
from tests.prepared import few_scenes, made_once
from tests.serving.shipped import pictures


@pytest.fixture(scope="session")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """This process's own copy of a small search of two trials, and of its export."""
    folder = tmp_path_factory.mktemp("place")
    return shutil.copytree(made_once("shipped", _ship), folder, dirs_exist_ok=True)


def _ship(folder: Path) -> None:
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


@pytest.fixture(scope="module")
def place(shipped: Path) -> Iterator[Path]:
    """The folder, its data prepared; tests add to it and change nothing that is there."""
    with surroundings(shipped):
        yield shipped


@contextmanager
def surroundings(folder: Path) -> Iterator[None]:
    """Few prepared scenes, a wide terminal, and the least for ranges of int8 and for latencies."""
    from nas_tf.jobs import exports  # imports TensorFlow, which not every test needs
    from serving import measure

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(measure, "_SECONDS_PER_TURN", 0.0)
        patch.setattr(exports, "_SAMPLES", 8)
        patch.setenv("NAS_TF_CACHE", str(few_scenes()))
        patch.setenv("COLUMNS", "160")
        yield
