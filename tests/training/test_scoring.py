"""Scores of tasks whose outputs are no maps, and of those that are scored by their loss."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from msgspec import structs

from nas_tf import config, networks
from nas_tf.config.schema import Config, Evaluation
from nas_tf.errors import ConfigError
from nas_tf.networks.arrays import layouts
from nas_tf.networks.state import from_arrays, initial_arrays
from nas_tf.tasks import Depth
from nas_tf.training import preflight, task_settings
from nas_tf.training.scoring import Scorer, check_evaluation, metrics_of, shipped
from nas_tf.training.shared_data import SharedData
from tests.tasks.range_task import Range

OVERRIDES = ("network.weights=null", "network.width=8", "network.alpha=0.35")


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Config]:
    """Returns a function that loads a configuration, in which depths are a range."""
    monkeypatch.setitem(task_settings.TASK_OF_TARGET, "depth", lambda info, given: Range())
    return lambda *overrides: config.load("shapes_depth", (*OVERRIDES, *overrides))


@pytest.mark.parametrize(
    ("override", "line"),
    [
        ("flip=true", "flip is true, and outputs of range cannot be merged, expected false"),
        (
            "scales=[0.5, 1]",
            "scales is [0.5, 1.0], and outputs of range cannot be merged, expected [1.0]",
        ),
    ],
)
def test_only_maps_and_boxes_are_merged(load, override: str, line: str) -> None:
    configuration = load(f"evaluation.{override}")
    with pytest.raises(ConfigError) as error:
        preflight.before_training(configuration)
    assert str(error.value) == f"evaluation.{line}"
    with pytest.raises(ConfigError):
        Scorer(None, Range(), {}, (64, 64), configuration.evaluation)
    check_evaluation(Depth(), configuration.evaluation)
    check_evaluation(Range(), Evaluation())


def test_only_maps_are_learnt_from_a_teacher(load, tmp_path: Path) -> None:
    configuration = load("stage_one.distillation=0.3")
    configuration = structs.replace(configuration, teacher=str(tmp_path / "teacher.keras"))
    with pytest.raises(ConfigError, match=r"a network of range can learn from none"):
        SharedData(configuration, root=tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


def test_the_loss_is_the_mean_over_examples_of_uneven_batches() -> None:
    task, rng = Range(), np.random.default_rng(0)
    target = rng.uniform(1, 8, (5, 4, 4)).astype(np.float32)
    outputs = {
        name: tf.constant(rng.uniform(1, 8, (5, 1)), tf.float32) for name in ("near", "far")
    }
    metrics = metrics_of(task)
    for part in (slice(0, 1), slice(1, 3), slice(3, 5)):
        metrics.update(target[part], {k: v[part] for k, v in outputs.items()}, (4, 4))
    loss = float(task.loss(task.encode(target, (4, 4)), outputs))
    figures = metrics.result()
    assert figures.keys() == {"near_enough", "loss"}
    assert figures["loss"] == pytest.approx(loss)
    assert task.score(figures) == pytest.approx(math.exp(-loss))
    assert "loss" not in metrics_of(Depth()).result()


def test_restoration_is_scored_without_an_error_of_tensorflow(capfd) -> None:
    tf.config.optimizer.set_experimental_options({"remapping": True})
    settings = networks.settings.search("restoration", width=2)
    blueprint = networks.blueprint_of("hinas-sep3x3", 1, input_size=(32, 32), settings=settings)
    state = from_arrays(layouts(blueprint), initial_arrays(blueprint, seed=1))
    outputs = tf.function(shipped(blueprint, state), autograph=False)(tf.zeros((1, 32, 32, 3)))
    assert np.isfinite(outputs["logits"]).all()
    assert "failed" not in capfd.readouterr().err
