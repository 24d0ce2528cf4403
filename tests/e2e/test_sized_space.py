"""A space of a size of its own from the search, killed and resumed, to the exported network."""

import os
from pathlib import Path

import pytest

from nas_tf import config, spaces
from nas_tf.runs import Run
from serving import lite_metadata
from tests.cli.command import nas_tf
from tests.e2e.processes import wait_for
from tests.e2e.warm import Warm
from tests.prepared import few_scenes

SECTION = {"name": "auxcell", "blocks": 1, "branches": 1}
SPACE = spaces.get(SECTION)
SMALL = """\
space: {name: auxcell, blocks: 1, branches: 1}
data: {name: shapes}
network: {width: 8, alpha: 0.35, weights: null}
stage_one: {epochs: 1, views: 1, batch: 128, crop: [64, 64]}
stage_two: null
search: {oracle: random, tensorboard: false}
full_training: {stages: [{epochs: 1, batch: 100, crop: [64, 64]}]}
"""
SEARCH = ("search", "small.yaml", "--trials", "3", "--out", "run")


def printed(*arguments: str, cwd: Path) -> str:
    done = nas_tf(*arguments, cwd=cwd)
    assert done.returncode == 0, done.stderr
    return done.stdout


def refused(*arguments: str, cwd: Path) -> str:
    done = nas_tf(*arguments, cwd=cwd)
    assert done.returncode == 2
    return done.stderr


def kill_after_the_first_trial(folder: Path) -> None:
    env = {"NAS_TF_CACHE": os.environ["NAS_TF_CACHE"]}
    search = Warm("command", folder, *SEARCH, env=env, log=folder / "killed.log")
    trials = folder / "run" / "trials"
    wait_for(lambda: any(trials.glob("*.json")) or search.status is not None, 300)
    assert search.status is None, search.errors
    search.kill()


@pytest.mark.slow
def test_a_size_survives_every_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAS_TF_CACHE", str(few_scenes()))
    monkeypatch.setenv("COLUMNS", "160")
    (tmp_path / "small.yaml").write_text(SMALL)
    kill_after_the_first_trial(tmp_path)
    line = refused(*SEARCH, "--resume", "space.blocks=2", cwd=tmp_path)
    assert "run was started with space.blocks=1, now it is 2: give space.blocks=1, or" in line
    printed(*SEARCH, "--resume", cwd=tmp_path)

    run = Run(tmp_path / "run")
    assert len(run.trials) == len(run.completed) == 3
    assert run.info.space == config.load(tmp_path / "run" / "config.yaml").space == SECTION
    for trial in run.trials:
        SPACE.validate(trial.parsed)
    best = run.best()[0].genotype
    assert "auxcell (blocks=1, branches=1) on shapes" in printed("status", "run", cwd=tmp_path)
    assert "auxcell (blocks=1, branches=1)" in printed("show", "run", cwd=tmp_path)
    printed("report", "run", cwd=tmp_path)
    assert "auxcell (blocks=1, branches=1) on shapes" in (tmp_path / "run/report.html").read_text()

    printed("rerank", "run", "--top", "1", "--sample", "0", "--epochs-times", "1", cwd=tmp_path)
    assert Run(tmp_path / "run" / "rerank").info.space == SECTION

    train = ("train", best, "--config", "small.yaml", "--out", "trained")
    line = refused(*train, "space.blocks=2", cwd=tmp_path)
    assert "genotype has blocks=1, expected 2 for space auxcell: give another genotype" in line
    printed(*train, cwd=tmp_path)
    assert config.load(tmp_path / "trained" / "config.yaml").space == SECTION
    printed("export", "run", "--to", "tflite", "--check", "0", "--out", "out", cwd=tmp_path)
    for model in (tmp_path / "out").glob("*.tflite"):
        assert lite_metadata.read(model)["config"]["space"] == SECTION
