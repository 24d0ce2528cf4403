"""A search of heads on the pyramid of another run: killed, resumed without that run, reranked."""

import json
import os
import shutil
from pathlib import Path

import pytest

from nas_tf.runs import Run
from nas_tf.runs.reranking import BASELINE
from tests.cli.command import nas_tf
from tests.e2e.processes import trials, wait_for
from tests.e2e.warm import Warm
from tests.prepared import few_scenes
from tests.runs.made import made

SMALL = """\
space: {name: fcos, search: head, ops: portable}
data: {name: shapes_boxes}
network: {width: 32, alpha: 0.35, weights: null}
stage_one: {epochs: 1, views: 1, batch: 100, crop: [64, 64], distillation: 0.0}
stage_two: null
search: {oracle: random, tensorboard: false, trials: 2}
precision: float32
threads: 1
"""
SEARCH = ("search", "small.yaml", "space.fpn=pyramids#2", "--out")


def printed(*arguments: str, cwd: Path) -> str:
    done = nas_tf(*arguments, cwd=cwd)
    assert done.returncode == 0, done.stderr
    return done.stdout


def kill_after_the_first_trial(folder: Path) -> None:
    env = {"NAS_TF_CACHE": os.environ["NAS_TF_CACHE"]}
    search = Warm("command", folder, *SEARCH, "killed", env=env, log=folder / "killed.log")
    found = folder / "killed" / "trials"
    wait_for(lambda: any(found.glob("[!.]*.json")) or search.status is not None, 300)
    assert search.status is None, search.errors
    search.kill()


@pytest.mark.slow
def test_a_search_of_detectors_is_killed_and_resumed_without_its_pyramids(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NAS_TF_CACHE", str(few_scenes("shapes_boxes")))
    (tmp_path / "small.yaml").write_text(SMALL)
    pyramids = made(tmp_path / "pyramids", space="fcos", trials=4, gate=False)
    pyramid = json.loads(pyramids.best(2)[1].genotype)
    printed(*SEARCH, "undisturbed", cwd=tmp_path)
    kill_after_the_first_trial(tmp_path)
    assert len(Run(tmp_path / "killed").trials) == 1
    shutil.move(tmp_path / "pyramids", tmp_path / "elsewhere")
    printed("search", "killed/config.yaml", "--out", "killed", "--resume", cwd=tmp_path)
    found = trials(tmp_path / "killed")
    assert len(found) == 2
    assert found == trials(tmp_path / "undisturbed")
    heads = Run(tmp_path / "killed").completed
    assert [json.loads(trial.genotype)[0] for trial in heads] == [pyramid] * 2

    arguments = ("rerank", "killed", "--top", "1", "--sample", "0", "--epochs-times", "1")
    text = " ".join(printed(*arguments, cwd=tmp_path).split())
    assert "The baseline, which has nothing that was searched here, scores" in text
    longer = {trial.trial: trial for trial in Run(tmp_path / "killed/rerank").completed}
    assert json.loads(longer[BASELINE].genotype) == pyramid
