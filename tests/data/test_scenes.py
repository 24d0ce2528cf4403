"""The embedded dataset: the same bytes each time, with parts that agree."""

import numpy as np

from nas_tf.data import scenes
from nas_tf.data.examples import Examples
from nas_tf.data.registry import dataset_info

SCENES = [scenes.render_scene((0, number)) for number in range(40)]


def test_a_scene_is_a_function_of_its_seed() -> None:
    again, other = scenes.render_scene((0, 3)), scenes.render_scene((1, 3))
    assert all(np.array_equal(SCENES[3][key], again[key]) for key in again)
    assert not np.array_equal(SCENES[3]["image"], other["image"])


def test_every_class_and_every_kind_of_joint_occurs() -> None:
    shares = np.bincount(np.concatenate([s["label"].ravel() for s in SCENES]), minlength=256)
    assert np.flatnonzero(shares).tolist() == [*range(len(scenes.CLASSES)), scenes.IGNORE]
    assert 0.6 < shares[0] / shares.sum() < 0.85
    visibility = np.concatenate([s["keypoints"][..., 2].ravel() for s in SCENES])
    kinds = np.bincount(visibility.astype(int))
    assert (kinds[:3] > 0).all()
    assert kinds[2] > kinds[1] > kinds[0]


def test_visible_joints_lie_on_the_figure_and_hidden_ones_do_not() -> None:
    figure = scenes.CLASSES.index("figure")
    for scene in SCENES:
        for x, y, visibility in scene["keypoints"][0]:
            if visibility:
                label = scene["label"][int(y + 0.5), int(x + 0.5)]
                assert (label in (figure, scenes.IGNORE)) == (visibility == 2)


def test_nearer_objects_hide_farther_ones_and_size_shows_distance() -> None:
    for scene in SCENES:
        depth = scene["depth"]
        assert 0 < (depth == 0).mean() < 0.3
        assert depth.max() < 8.5
        assert depth[depth > 0].min() > 0.8
        assert scene["area"][0] > 100
        assert 5 < scene["head_size"][0] < 20


def test_colour_does_not_show_the_class() -> None:
    """The mean colours of two classes differ by less than colours vary inside one."""
    means = {
        label: [
            s["image"][s["label"] == label].mean(axis=0) for s in SCENES if label in s["label"]
        ]
        for label in range(1, len(scenes.CLASSES))
    }
    spread = np.mean([np.std(values, axis=0) for values in means.values()])
    between = np.std([np.mean(values, axis=0) for values in means.values()], axis=0).mean()
    assert between < spread / 2


def test_the_embedded_dataset_prepares_itself(shapes: Examples) -> None:
    assert len(shapes) == 100
    info = dataset_info("shapes")
    assert info.targets == ("label", "depth", "keypoints")
    assert len(info.colours) == len(info.classes) == 9
    stored, rendered = shapes.get(7), scenes.render_scene((1, 7))
    for key, value in rendered.items():
        np.testing.assert_array_equal(stored[key], value)
    assert stored["id"].numpy() == b"val-0007"


def test_a_part_of_a_texture_is_that_part_of_the_square() -> None:
    box = (slice(5, 40), slice(30, 31))
    for seed in range(40):
        square, part = (
            scenes.texture(np.random.default_rng(seed), 64, *more) for more in ((), (box,))
        )
        np.testing.assert_array_equal(part, square[box])


def test_a_texture_fills_its_mask_and_nothing_else() -> None:
    scene = scenes.Scene(np.random.default_rng(0))
    for mask in (np.zeros((scenes.SIZE, scenes.SIZE), bool) for _ in range(3)):
        mask[3, 5:9] = mask[-1, -1] = True
        scene.image[:] = -1
        scene.paint(mask)
        np.testing.assert_array_equal((scene.image >= 0).all(-1), mask)
    scene.image[:] = -1
    scene.paint(np.zeros_like(mask))
    assert (scene.image == -1).all()
