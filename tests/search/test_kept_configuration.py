"""The configuration of a run: it has the task that was given, and what is given last."""

from pathlib import Path
from typing import Any

import pytest

from nas_tf import spaces
from nas_tf.config import Config, load
from nas_tf.errors import ConfigError
from nas_tf.runs import Run, filenames
from nas_tf.search import OBJECTIVE, TwoStageTuner
from nas_tf.tasks import Segmentation
from nas_tf.training import from_config
from tests.search.quick import QuickModel
from tuner_oracles import RandomOracle

CLASSES = 9
WEIGHTS = [1.0] * 8 + [5.0]


def searched(folder: Path, trials: int, *overrides: str, task: Any = None) -> Config:
    """The configuration that a search leaves in its folder."""
    model = QuickModel(
        spaces.get("auxcell"), task, config=load("shapes_auxcell", [*overrides, "seed=3"])
    )
    oracle = RandomOracle(OBJECTIVE, trials, seed=1)
    TwoStageTuner(model, oracle, directory=folder.parent, project_name=folder.name).search(
        verbose=0
    )
    return load(folder / filenames.CONFIG)


def test_a_given_task_is_kept_and_another_is_refused(tmp_path: Path) -> None:
    given = Segmentation(CLASSES, class_weights=WEIGHTS, background=2)
    kept = searched(tmp_path / "run", 1, task=given)
    found = from_config.task_for(kept)
    assert (found.left_out, found.class_weights) == ((2,), tuple(WEIGHTS))
    for other in (None, Segmentation(CLASSES, background=2)):
        with pytest.raises(ConfigError, match=r"was started with task\.\w+="):
            searched(tmp_path / "run", 2, task=other)
    searched(tmp_path / "run", 2, task=given)
    assert len(Run(tmp_path / "run").trials) == 2


def test_what_comes_after_a_search_may_change_on_the_way(tmp_path: Path) -> None:
    searched(tmp_path / "run", 1)
    kept = searched(tmp_path / "run", 2, "full_training.stages.0.epochs=7", "evaluation.flip=true")
    assert (kept.full_training.stages[0].epochs, kept.evaluation.flip) == (7, True)
    with pytest.raises(ConfigError, match="started with stage_one"):
        searched(tmp_path / "run", 2, "stage_one.epochs=7")
    assert load(tmp_path / "run" / filenames.CONFIG) == kept
