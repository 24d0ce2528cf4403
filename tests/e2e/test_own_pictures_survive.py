"""A search of one's own pictures that is killed while a file of the pictures is changed."""

import random
import shutil
from pathlib import Path

import pytest

from nas_tf.__main__ import main
from nas_tf.runs import Run, filenames
from tests.e2e.processes import wait_for
from tests.e2e.test_own_pictures import SMALL, draw_photos
from tests.e2e.warm import Warm
from tests.sampling import times

ROUNDS = range(times(24, 3))
HARMS = ("flip", "cut", "empty", "delete", "add")
pytestmark = pytest.mark.slow


def start(folder: Path) -> Warm:
    """Starts or resumes the search, whose pictures and cache are below the folder."""
    arguments = ("search", "folder:garden", *SMALL, "stage_one.epochs=1", "gate.policy=open")
    options = ("--trials", "3", "--oracle", "random", "--out", "run", "--resume", "threads=1")
    return Warm(
        *("command", folder, *arguments, *options),
        env={"NAS_TF_CACHE": str(folder / "cache")},
        log=folder / "log.txt",
        out=True,
    )


def results(folder: Path) -> list[tuple]:
    run = Run(folder / "run")
    return [(trial.trial, trial.genotype, trial.score, trial.failed) for trial in run.trials]


@pytest.fixture(scope="module")
def half(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A search that was killed after its first trial."""
    folder = tmp_path_factory.mktemp("own") / "place"
    draw_photos(folder / "garden")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr("sys.argv", ["nas-tf", "data", "init", "garden"])
        with pytest.raises(SystemExit, match="0"):
            main()
    process = start(folder)
    wait_for(lambda: [*(folder / "run" / filenames.TRIALS).glob("*.json")], 300)
    process.kill()
    return folder.rename(folder.with_name("half"))


def resumable(half: Path) -> Path:
    """Returns a copy of the search where it was started, since its pictures are named by path."""
    place = half.with_name("place")
    shutil.rmtree(place, ignore_errors=True)
    return shutil.copytree(half, place)


@pytest.fixture(scope="module")
def undisturbed(half: Path) -> list[tuple]:
    """The results of the same search, resumed without harm."""
    folder = resumable(half)
    process = start(folder)
    assert process.wait(300) == 0, process.errors
    return results(folder)


def harm(path: Path, rng: random.Random) -> str:
    """Changes, cuts, empties or deletes a file, or adds a copy; returns what was done."""
    kind, content = rng.choice(HARMS), bytearray(path.read_bytes())
    if kind == "flip":
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
        path.write_bytes(content)
    elif kind == "cut":
        path.write_bytes(content[: rng.randrange(len(content))])
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "delete":
        path.unlink()
    else:
        shutil.copy(path, path.with_stem(f"{path.stem}x"))
    return f"{kind} {path}"


@pytest.mark.parametrize("seed", ROUNDS)
def test_a_changed_picture_is_named_or_changes_nothing(
    half: Path, undisturbed: list[tuple], tmp_path: Path, seed: int
) -> None:
    folder, rng = resumable(half), random.Random(f"harm {seed}")
    place = folder / rng.choice(("garden", "garden", "cache"))
    kept = shutil.copytree(place, tmp_path / "kept")
    path = rng.choice(sorted(path for path in place.rglob("*") if path.is_file()))
    story = harm(path, rng)
    (folder / "log.txt").unlink()
    process = start(folder)
    if process.wait(300) != 0:
        last = process.errors.strip().splitlines()[-1]
        assert last.startswith("nas-tf: "), f"{story}\n{process.errors}"
        assert path.name in last or path.stem in last, f"{story}\n{process.errors}"
    shutil.rmtree(place)
    shutil.copytree(kept, place)
    process = start(folder)
    assert process.wait(300) == 0, f"{story}\n{process.errors}"
    assert results(folder) == undisturbed, story
