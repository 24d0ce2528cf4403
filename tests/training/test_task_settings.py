"""The ``task`` section: the task that it describes, and the section that describes a task."""

import numpy as np
import pytest
import tensorflow as tf
from msgspec import structs

from nas_tf import spaces
from nas_tf.config import load, schema
from nas_tf.data.registry import dataset_info
from nas_tf.errors import ConfigError
from nas_tf.search import SearchHyperModel
from nas_tf.tasks import Depth, Pose, Segmentation
from nas_tf.training import from_config, preflight, task_settings
from nas_tf.training.task_settings import task_of

SHAPES = dataset_info("shapes")
CLASSES = len(SHAPES.classes)


def task_for(target: str, data: str = "shapes", **settings: object) -> object:
    return task_of(dataset_info(data), target, schema.Task(**settings))


def test_without_settings_a_task_is_the_data_set_s_own() -> None:
    assert task_for("label").left_out == ()
    assert task_for("label").class_weights is None
    assert task_for("keypoints", "mpii_pose").scoring == "pckh"
    assert task_for("keypoints", "coco_keypoints").scoring == "oks"


@pytest.mark.parametrize("background", [0, "background"])
def test_the_background_is_left_out_of_the_reward_alone(background: int | str) -> None:
    labels = np.zeros((1, 8, 8), np.uint8)
    labels[0, 0] = 1
    logits = tf.one_hot(np.where(labels == 1, 2, 0), CLASSES) * 9.0
    plain, without = (
        task_for("label").metrics(),
        task_for("label", background=background).metrics(),
    )
    for metrics in (plain, without):
        metrics.update(tf.constant(labels), {"logits": logits}, (8, 8))
    figures, others = plain.result(), without.result()
    assert figures.pop("reward") > 0.5
    assert others.pop("reward") == 0
    assert figures == others


def test_class_weights_are_factors_in_the_loss() -> None:
    rare = [1.0] * CLASSES
    rare[1] = 3.0
    labels = tf.constant(np.array([[[0, 1]]], np.uint8))
    logits = tf.one_hot([[[0, 0]]], CLASSES) * 2.0
    wrong, right = (
        float(task_for("label").loss(labels[..., n:], {"logits": logits[..., n:, :]}))
        for n in (1, 0)
    )
    outputs = {"logits": logits}
    both = float(task_for("label").loss(labels, outputs))
    weighted = float(task_for("label", class_weights=tuple(rare)).loss(labels, outputs))
    right = 2 * both - wrong
    assert weighted == pytest.approx((3 * wrong + right) / 4, rel=1e-5)


def test_depths_and_keypoints_have_settings_of_their_own() -> None:
    depth = task_for("depth", least=0.5, most=10.0)
    assert (depth.least, depth.most) == (0.5, 10.0)
    sigmas = tuple([0.05] * len(SHAPES.joints))
    oks = task_for("keypoints", score="oks", sigmas=sigmas)
    assert (oks.scoring, oks.sigmas, oks.extras) == ("oks", sigmas, ("area",))
    first, second = SHAPES.joints[:2]
    assert task_for("keypoints", unscored=(second, 0)).unscored == (1, 0)
    assert first == SHAPES.joints[0]


@pytest.mark.parametrize(
    ("overrides", "line"),
    [
        (
            ["task.background=backgroud"],
            f"task.background is backgroud, expected null, 0 to {CLASSES - 1} or a name of "
            f"shapes: {', '.join(SHAPES.classes)}, did you mean background?",
        ),
        (["task.background=30"], "task.background is 30, expected null, 0 to "),
        (
            ["task.class_weights=[1, 2]"],
            f"task.class_weights has 2 entries, expected {CLASSES}, one per class of shapes: ",
        ),
        (
            [f"task.class_weights={[0] * CLASSES}"],
            "class_weights are all 0, expected one above 0",
        ),
        (
            ["data.target=depth"],
            "task.background is background, and target depth of shapes has no such setting, "
            "expected null (it has least, most)",
        ),
        (["task.most=3"], "task.most is 3.0, and target label of shapes has no such setting"),
        (
            ["data.target=keypoints", "task={score: oks, sigmas: [0.1]}"],
            f"task.sigmas has 1 entries, expected {len(SHAPES.joints)}, one per joint of shapes: ",
        ),
        (
            ["data.target=keypoints", "task={sigmas: [0.1]}"],
            "task.sigmas are given, expected null or task.score=oks with them",
        ),
        (
            ["data.target=keypoints", "task={unscored: [heda]}"],
            "task.unscored is heda, expected null, 0 to ",
        ),
        (
            ["data={name: mpii_pose, target: keypoints}", "task={score: oks}"],
            "task.score is oks, and mpii_pose has no area to score by, expected pckh",
        ),
    ],
)
def test_settings_that_do_not_fit_are_refused_before_anything_is_computed(
    overrides: list[str], line: str
) -> None:
    configuration = load("shapes_auxcell", overrides)
    for check in (preflight.before_search, preflight.before_training):
        with pytest.raises(ConfigError) as error:
            check(configuration)
        assert str(error.value).startswith(line)


@pytest.mark.parametrize(
    ("data", "task"),
    [
        ({"name": "shapes"}, Segmentation(CLASSES, background=2, class_weights=[2] * CLASSES)),
        ({"name": "shapes"}, Segmentation(CLASSES)),
        ({"name": "shapes", "target": "depth"}, Depth(least=0.1, most=7)),
        ({"name": "mpii_pose", "target": "keypoints"}, Pose(16, unscored=[3])),
        (
            {"name": "coco_keypoints", "target": "keypoints"},
            Pose(17, score="oks", sigmas=[1] * 17),
        ),
        ({"name": "mpii_pose", "target": "keypoints"}, Pose(16)),
    ],
)
def test_a_task_that_is_given_is_what_the_configuration_then_makes(data, task) -> None:
    """It replaces the configuration's in training and scoring, and a run saves it."""
    own = schema.Config(space="auxcell", data=schema.Data(**data))
    if task.name == "segmentation":
        own = structs.replace(own, task=schema.Task(background="background"))
    config = SearchHyperModel(spaces.get("auxcell"), task, config=own).config()
    found = from_config.task_for(config)
    assert type(found) is type(task)
    assert found.settings() == task.settings()


def test_a_task_that_adds_nothing_leaves_the_configuration_as_it_is() -> None:
    model = SearchHyperModel(spaces.get("auxcell"), Segmentation(11, ignore_label=11))
    assert model.config("camvid").task == schema.Task()


class Focal(Segmentation):
    """A task with a loss of its own."""


@pytest.mark.parametrize(
    ("task", "line"),
    [
        (Segmentation(12), "the task is segmentation with 12 outputs and the data's is "),
        (Depth(), "the task is depth with 1 outputs and the data's is segmentation with 9"),
        (
            Focal(CLASSES),
            "the task is a Focal, which a run's configuration cannot describe, expected a "
            "Segmentation",
        ),
        (
            Segmentation(CLASSES, ignore_label=99),
            "the task ignores label 99 and the data's is ",
        ),
    ],
)
def test_a_task_that_does_not_fit_the_data_is_refused(task, line: str) -> None:
    with pytest.raises(ConfigError) as error:
        SearchHyperModel(spaces.get("auxcell"), task).config("shapes")
    assert str(error.value).startswith(line)


def test_every_key_belongs_to_one_target_and_is_a_setting_of_its_task() -> None:
    keys = {key for accepted in schema.TASK_KEYS.values() for key in accepted}
    assert keys == set(schema.Task.__struct_fields__)
    for target, accepted in schema.TASK_KEYS.items():
        of_others = {"boxes": "shapes_boxes", "clean": "shapes_clean"}
        info = dataset_info(of_others[target]) if target in of_others else SHAPES
        assert set(task_of(info, target).settings()) == set(accepted)
    assert task_settings.own_score(SHAPES) == "pckh"
