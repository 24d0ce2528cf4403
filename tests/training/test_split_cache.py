import numpy as np
import pytest
import tensorflow as tf

from nas_tf import networks
from nas_tf.data import DATASETS
from nas_tf.data.examples import Examples
from nas_tf.data.meta_split import meta_split
from nas_tf.data.pipeline import views
from nas_tf.data.presets import preset
from nas_tf.data.views import View
from nas_tf.errors import ConfigError
from nas_tf.tasks import Depth, Detection, Pose, Restoration, Segmentation
from nas_tf.training.split_cache import cache_split, features_dir
from nas_tf.training.task_settings import task_of
from tests.tasks.range_task import Range


@pytest.fixture(scope="module")
def shapes() -> Examples:
    return Examples("shapes", "val")


@pytest.fixture(scope="module")
def encoder() -> tf.keras.Model:
    return networks.encoder(alpha=0.35, input_size=(128, 128))


@pytest.mark.parametrize("target", ["label", "depth", "keypoints"])
def test_features_and_targets_are_those_of_the_views(
    target: str, shapes: Examples, encoder: tf.keras.Model
) -> None:
    task = task_of(shapes.info, target)
    view = preset("shapes", "stage_one")
    meta_train, _ = meta_split(len(shapes), seed=7, fraction=0.7)
    cache = cache_split(
        shapes, task, view, encoder, views=2, subset=meta_train, single_precision=True
    )
    assert (len(cache), cache.views) == (30, 2)
    batches = views(
        shapes, task.target, view, batch=16, seed=1, count=2, subset=meta_train, extras=task.extras
    )
    image, raw = next(iter(batches))
    stored = cache.rows(range(16))
    np.testing.assert_array_equal(
        stored["tap3"], encoder.predict(image, batch_size=16, verbose=0)["tap3"]
    )
    encoded = task.encode(raw, view.crop).numpy()
    assert set(cache.fields) >= {task.target.key, *task.extras} if task.extras else True
    for extra in task.extras:
        np.testing.assert_array_equal(stored[extra], raw[extra])
    expected = encoded if target == "keypoints" else encoded[:, 2::4, 2::4]
    np.testing.assert_allclose(stored["target"], expected, rtol=1e-6, atol=1e-6)
    assert cache.folder.parent == features_dir()


@pytest.mark.slow
def test_another_view_seed_or_subset_is_another_cache(
    shapes: Examples, encoder: tf.keras.Model
) -> None:
    task = task_of(shapes.info)
    view = View((128, 128), mirror=True)
    plain = dict(view=view, subset=range(4), seed=1)
    folders = {
        cache_split(shapes, task, encoder=encoder, **{**plain, **change}).folder
        for change in (
            {},
            {"seed": 2},
            {"subset": range(1, 5)},
            {"view": View((128, 128), mirror=True, hue=0.1)},
        )
    }
    assert len(folders) == 4


@pytest.mark.slow
def test_other_ranges_of_a_detectors_levels_are_another_cache(encoder: tf.keras.Model) -> None:
    boxes, view = Examples("shapes_boxes", "val"), View((128, 128))
    folders = {
        cache_split(boxes, Detection(3, **given), view, encoder, subset=range(1)).folder
        for given in ({}, {"ranges": (16, 32, 64, 128)}, {"score": "ap"})
    }
    assert len(folders) == 2


def test_a_raw_target_is_stored_with_an_encoding_of_its_own(
    shapes: Examples, encoder: tf.keras.Model
) -> None:
    view = View((128, 128))
    cache = cache_split(shapes, Range(), view, encoder, subset=range(3))
    stored = cache.rows(range(3))
    raw = np.stack([shapes.get(n)["depth"] for n in range(3)])
    np.testing.assert_array_equal(stored["depth"], raw)
    np.testing.assert_array_equal(stored["target"], Range().encode(raw, (128, 128)))


def test_every_data_set_has_a_task_for_each_target() -> None:
    kinds = {"label": Segmentation, "depth": Depth, "keypoints": Pose, "boxes": Detection}
    kinds["clean"] = Restoration
    for builder in DATASETS.values():
        info = builder.INFO
        for target in info.targets:
            task = task_of(info, target)
            assert isinstance(task, kinds[target])
            assert task.target.key == target
            if target == "label":
                assert task.target.fill == info.ignore_label
            if target == "keypoints":
                assert set(task.extras) <= set(info.extras)


def test_a_target_that_is_not_there_is_named(shapes: Examples) -> None:
    with pytest.raises(ConfigError, match=r"^target 'flow' is not in shapes, expected label, de"):
        task_of(shapes.info, "flow")
