"""Examples of several data sets, read as if they were of one."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from nas_tf.data import pipeline
from nas_tf.data.examples import Examples, JoinedExamples
from nas_tf.data.presets import preset
from nas_tf.errors import DataError
from nas_tf.tasks import Segmentation


@pytest.fixture
def members(own: Callable) -> list[Examples]:
    """Scenes with every target, and a user's folder of labels."""
    return [Examples("shapes", "val", cache_bytes=0), Examples(f"folder:{own()}", "train")]


def test_every_index_is_that_of_its_member_with_what_all_have(members: list[Examples]) -> None:
    joined, (first, second) = JoinedExamples(members), members
    assert len(joined) == len(first) + 3
    assert (joined.info, joined.split) == (
        first.info,
        f"val of shapes and train of {second.info.name}",
    )
    get = tf.function(joined.get)
    places = [(first, 0, 0), (first, len(first) - 1, len(first) - 1), (second, 0, len(first))]
    for member, index, place in [*places, (second, 2, len(first) + 2)]:
        example, expected = get(tf.constant(place, tf.int64)), member.get(tf.constant(index))
        assert set(example) == {"id", "image", "label"}
        for key, value in example.items():
            np.testing.assert_array_equal(value, expected[key])


def test_a_training_sees_each_example_once_an_epoch(members: list[Examples]) -> None:
    joined = JoinedExamples([members[1], members[1]])
    task = Segmentation(num_classes=3)
    view = replace(preset("shapes", "full", (64, 64)), mirror=False, scale=(1, 1))
    stream = pipeline.training(joined, task.target, view, batch=2, seed=3, epochs=1)
    sums = [float(tf.reduce_sum(tf.abs(image))) for images, _ in stream for image in images]
    values, counts = np.unique(np.round(sums), return_counts=True)
    assert (len(values), counts.tolist()) == (3, [2, 2, 2])


def test_the_most_boxes_of_all_members_fit(members: list[Examples]) -> None:
    members[1].info = replace(members[1].info, most_boxes=250)
    assert JoinedExamples(members).info.most_boxes == 250


def test_a_damaged_record_names_its_own_data_set(
    members: list[Examples], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Damaged:
        def __len__(self) -> int:
            return 3

        def __getitem__(self, index: int) -> bytes:
            raise RuntimeError("hash mismatch")

    joined, second = JoinedExamples(members), members[1]
    monkeypatch.setattr(second, "_decoded", None)
    monkeypatch.setattr(second, "_records", Damaged())
    stream = tf.data.Dataset.range(len(joined) - 4, len(joined)).map(joined.get)
    read = joined.checked(stream)
    next(read)
    with pytest.raises(DataError) as error:
        next(read)
    assert f"prepared copy of {second.info.name}, split train, is damaged" in str(error.value)
