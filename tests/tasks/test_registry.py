"""The task of an exported model is found by its metadata, or by its answers without any."""

import numpy as np
import pytest

from nas_tf import tasks
from nas_tf.tasks import Depth, Pose, Segmentation
from tests.tasks.range_task import Range

COLOURS = [[1, 2, 3], [4, 5, 6]]


def test_metadata_of_earlier_versions_name_the_task() -> None:
    segmentation = tasks.of_model(
        {"task": "segmentation", "classes": ["sky", "road"], "palette": COLOURS}
    )
    assert isinstance(segmentation, Segmentation)
    assert segmentation.names == ("sky", "road")
    assert segmentation.coloured(np.array([[1, 0]])).tolist() == [COLOURS[::-1]]
    pose = tasks.of_model({"task": "pose", "joints": ["head", "hand"]})
    assert isinstance(pose, Pose)
    assert pose.names == ("head", "hand")
    assert isinstance(tasks.of_model({"task": "depth"}), Depth)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ({"mask"}, Segmentation),
        ({"mask_png_bytes"}, Segmentation),
        ({"depth_png_bytes"}, Depth),
        ({"keypoints", "heatmaps"}, Pose),
        ({"heatmaps"}, type(None)),
        (set(), type(None)),
    ],
)
def test_without_metadata_the_answer_names_the_task(answer: set[str], kind: type) -> None:
    assert type(tasks.of_model({}, answer)) is kind


@pytest.mark.parametrize("name", ["range", "", None, ["segmentation"]])
def test_a_task_that_nobody_registered_is_unknown(name: object) -> None:
    assert tasks.of_model({"task": name}, {"mask"}) is None


def test_a_program_adds_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(tasks.TASKS, Range.name, Range)
    assert isinstance(tasks.of_model({"task": "range"}), Range)
    assert isinstance(tasks.of_model({}, {"range"}), Range)


def test_every_label_has_a_colour_without_metadata() -> None:
    colours = tasks.of_model({}, {"mask"}).coloured(np.arange(255)[None])[0]
    assert len(np.unique(colours, axis=0)) == 20
    np.testing.assert_array_equal(colours[20:40], colours[:20])
