"""A disk that fills up while a training writes its files."""

from contextlib import suppress
from pathlib import Path

import pytest
import tensorflow as tf

from nas_tf import folders
from nas_tf.errors import EnvironmentFault, TrainingError
from nas_tf.training.checkpoint import Checkpoints
from nas_tf.training.history import History
from nas_tf.training.shards import write_atomically
from tests.e2e.disk import small_files

LARGE = b"x" * 200_000


def test_a_file_is_complete_or_nothing_is_left_of_it(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.bin"
    with folders.atomic_file(path) as partial:
        partial.write_bytes(b"old")
    message = r"a\.bin can't be written: File too large; free some space"
    with (
        small_files(100_000),
        pytest.raises(EnvironmentFault, match=message),
        folders.atomic_file(path) as partial,
    ):
        partial.write_bytes(LARGE)
    with suppress(KeyboardInterrupt), folders.atomic_file(path) as partial:
        partial.write_bytes(LARGE)
        raise KeyboardInterrupt
    assert path.read_bytes() == b"old"
    assert [item.name for item in path.parent.iterdir()] == ["a.bin"]


def test_other_errors_are_left_as_they_are(tmp_path: Path) -> None:
    for error in (TrainingError("no usable end"), tf.errors.OutOfRangeError(None, None, "end")):
        with pytest.raises(type(error)) as raised, folders.reporting_full_disk(tmp_path):
            raise error
        assert raised.value is error


def test_a_keras_model_leaves_nothing_behind(tmp_path: Path) -> None:
    layers = [tf.keras.layers.Input((64,)), tf.keras.layers.Dense(2000)]
    model, path = tf.keras.Sequential(layers), tmp_path / "best.keras"
    with (
        small_files(100_000),
        pytest.raises(EnvironmentFault, match=r"best\.keras can't be written"),
        folders.atomic_file(path) as partial,
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
    with small_files(1000), pytest.raises(OSError, match="File too large"):
        write_atomically(tmp_path / "shard.npy", lambda file: file.write(LARGE))
    assert not list(tmp_path.iterdir())
