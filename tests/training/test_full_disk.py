"""A disk that fills up while a training writes its files."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from nas_tf import files
from nas_tf.errors import EnvironmentFault
from nas_tf.training.checkpoint import Checkpoints
from nas_tf.training.history import History
from nas_tf.training.shards import Shard
from tests.e2e.disk import small_files


def test_a_keras_model_leaves_nothing_behind(tmp_path: Path) -> None:
    layers = [tf.keras.layers.Input((64,)), tf.keras.layers.Dense(2000)]
    model, path = tf.keras.Sequential(layers), tmp_path / "best.keras"
    with (
        small_files(100_000),
        pytest.raises(EnvironmentFault, match=r"best\.keras can't be written"),
        files.atomic(path) as partial,
    ):
        model.save(partial)
    assert not list(tmp_path.iterdir())


def test_a_checkpoint_leaves_nothing_behind_and_the_last_one_stays(tmp_path: Path) -> None:
    value = tf.Variable(tf.ones(100_000))
    checkpoints = Checkpoints(tmp_path, {"value": value})
    checkpoints.save(1)
    value.assign(2 * value)
    with small_files(100_000), pytest.raises(EnvironmentFault, match="can't be written"):
        checkpoints.save(2)
    assert not [path for path in tmp_path.iterdir() if "2" in path.name]
    assert Checkpoints(tmp_path, {"value": value}).restore()
    assert float(value[0]) == 1.0


def test_a_history_keeps_what_it_had(tmp_path: Path) -> None:
    path = tmp_path / "history.csv"
    history = History(path)
    history.add({"step": 1})
    with small_files(1000), pytest.raises(EnvironmentFault, match=r"history\.csv can't be"):
        history.add({"step": "2" * 2000})
    assert [row["step"] for row in History(path).rows] == ["1"]
    assert [item.name for item in tmp_path.iterdir()] == ["history.csv"]


def test_a_part_of_a_feature_shard_is_taken_away(tmp_path: Path) -> None:
    parts = [{"tap0": np.zeros(50_000, np.float32)}]
    message = r"shard-00000\.tap0\.npy can't be written: File too large"
    with small_files(1000), pytest.raises(EnvironmentFault, match=message):
        Shard(tmp_path, 0).write(parts)
    assert not list(tmp_path.iterdir())
