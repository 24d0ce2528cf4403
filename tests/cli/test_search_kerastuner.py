"""``nas-tf search`` with KerasTuner's oracles, and with several workers, in real processes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from PIL import Image
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer

from nas_tf.runs import Run, filenames
from tests.prepared import shared_cache
from tests.training.evaluated import SMALL

QUICK = SMALL | {
    "space": {"name": "template", "templates": 1, "blocks": 1},
    "stage_one": SMALL["stage_one"] | {"epochs": 3, "batch": 128},
    "stage_two": None,
}


def nas_tf(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "nas_tf", *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=540)


@pytest.fixture(scope="module")
def cache() -> Path:
    return shared_cache()


@pytest.fixture
def place(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the small configuration; features are cached once for all."""
    (tmp_path / "quick.yaml").write_text(yaml.safe_dump(QUICK))
    monkeypatch.setenv("NAS_TF_CACHE", str(cache))
    return tmp_path


@pytest.mark.slow
def test_hyperband_spends_its_budget_and_is_resumed(place: Path) -> None:
    search = ("search", "quick.yaml", "--oracle", "hyperband", "--out", "run")
    first = nas_tf(*search, "--trials", "3", cwd=place)
    assert first.returncode == 0, first.stderr
    assert "3/3 trials" in first.stderr
    assert "Traceback" not in first.stderr
    second = nas_tf(*search, "--trials", "5", "--resume", cwd=place)
    assert second.returncode == 0, second.stderr
    assert "5/5 trials" in second.stderr
    run = Run(place / "run")
    assert [trial.stages[0].steps // 4 for trial in run.trials] == [1, 1, 1, 3, 3]
    assert run.trials[3].parsed in [trial.parsed for trial in run.trials[:3]]
    assert json.loads((place / "run" / filenames.RUN).read_text())["max_trials"] == 5


@pytest.mark.parametrize("oracle", ["bayesian", "hyperband"])
def test_oracles_of_kerastuner_have_no_workers(oracle: str, place: Path) -> None:
    done = nas_tf("search", "quick.yaml", "--oracle", oracle, "--workers", "2", cwd=place)
    assert done.returncode == 2
    assert done.stderr == (
        f"nas-tf: oracle {oracle} is KerasTuner's own and loses trials when a worker dies, "
        "expected one of ppo, predictor, evolution, near-best, random with --workers\n"
    )


@pytest.mark.slow
def test_workers_show_their_trials_apart_and_the_best_of_all(place: Path) -> None:
    search = ("search", "quick.yaml", "stage_one.epochs=1", "--oracle", "random")
    done = nas_tf(*search, "--trials", "4", "--workers", "2", "--out", "run", cwd=place)
    assert done.returncode == 0, done.stderr
    run = Run(place / "run")
    assert len(run.trials) == 4
    board = EventMultiplexer()
    board.AddRunsFromDirectory(str(run.folder / filenames.TENSORBOARD))
    board.Reload()
    tags = {name: item["tensors"] for name, item in board.Runs().items()}
    rewards = {
        worker: len(board.Tensors(worker, "search/reward"))
        for worker in {trial.worker for trial in run.trials}
    }
    assert sum(rewards.values()) == 4
    assert {f"trials/{trial.trial}" for trial in run.trials} <= set(tags)
    best = run.best()[0]
    assert "samples of the best" in tags[best.worker]
    assert Image.open(run.folder / filenames.SAMPLES).width >= 480


@pytest.mark.slow
def test_without_tensorboard_nothing_is_written_for_it(place: Path) -> None:
    search = ("search", "quick.yaml", "search.tensorboard=false", "stage_one.epochs=1")
    done = nas_tf(*search, "--oracle", "bayesian", "--trials", "1", "--out", "run", cwd=place)
    assert done.returncode == 0, done.stderr
    assert not (place / "run" / filenames.TENSORBOARD).exists()
    assert (place / "run" / filenames.SAMPLES).exists()
