"""The command that copies figures to MLflow and Weights & Biases, in processes of its own."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.runs.recorded import run, trial

STAND_IN = """
import sys, types
from types import SimpleNamespace
wandb = types.ModuleType("wandb")
sent = []
log = lambda values, step: sent.append(step)
wandb.init = lambda **given: SimpleNamespace(
    id="x", log=log, log_artifact=sent.count, finish=lambda: None
)
wandb.Artifact = lambda name, type: SimpleNamespace(add_file=lambda path: None)
sys.modules["wandb"] = wandb
from nas_tf.cli.track import command
command(sys.argv[1:], standalone_mode=False)
print(sent, {"tensorflow", "keras_tuner"} & set(sys.modules))
"""


@pytest.fixture
def search(tmp_path: Path) -> Path:
    run(tmp_path / "camvid", [trial(1, (0.5,)), trial(2, (0.6,))], max_trials=2)
    return tmp_path / "camvid"


def test_it_sends_all_trials_without_tensorflow(search: Path) -> None:
    arguments = [str(search), "--to", "wandb", "--project", "mine", "--follow"]
    done = subprocess.run(
        [sys.executable, "-c", STAND_IN, *arguments], capture_output=True, text=True
    )
    assert done.stdout.splitlines() == [
        f"sent 2 steps of {search} to wandb, project mine",
        "[1, 2] set()",
    ]
    assert done.stderr == "step 1\nstep 2\n"


def test_without_the_package_it_says_how_to_get_it(search: Path) -> None:
    code = "import sys; sys.modules['mlflow'] = None; from nas_tf.cli import main; main()"
    arguments = ["track", str(search), "--to", "mlflow"]
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True)
    assert done.returncode == 4
    assert done.stderr == "nas-tf: mlflow is not installed: pip install 'nas-tf[mlflow]'\n"
