"""Streams are a function of seed and position: repeatable, resumable, complete."""

import itertools
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from nas_tf.data.examples import Examples
from nas_tf.data.joined_splits import overlap
from nas_tf.data.meta_split import meta_split, part_of
from nas_tf.data.pipeline import evaluation, steps_per_epoch, training, views
from nas_tf.data.presets import STAGES, preset
from nas_tf.data.registry import DATASETS
from nas_tf.data.store import count, prepare
from nas_tf.data.views import View
from nas_tf.errors import ConfigError, DataError
from nas_tf.tasks.base import TargetSpec

LABEL = TargetSpec("label", fill=255)
DEPTH = TargetSpec("depth")
KEYPOINTS = TargetSpec("keypoints")
VIEW = View((64, 96), scale=(0.5, 2.0), mirror=True, rotate=10, brightness=0.2)
UNCROPPED = View((128, 128), centred=True)


def arrays(stream: Iterable) -> list[tuple[np.ndarray, np.ndarray]]:
    return [(image.numpy(), target.numpy()) for image, target in stream]


def equal(first: list, second: list) -> bool:
    return len(first) == len(second) and all(
        np.array_equal(a, b)
        for pair in zip(first, second, strict=True)
        for a, b in zip(*pair, strict=True)
    )


def test_training_repeats_and_resumes_to_the_byte(shapes: Examples) -> None:
    batches = arrays(training(shapes, LABEL, VIEW, batch=16, seed=3, epochs=2))
    assert len(batches) == 2 * steps_per_epoch(100, 16) == 12
    uncached = Examples("shapes", "val", cache_bytes=0)
    assert shapes.cached
    assert not uncached.cached
    assert equal(batches, arrays(training(uncached, LABEL, VIEW, batch=16, seed=3, epochs=2)))
    rest = arrays(training(shapes, LABEL, VIEW, batch=16, seed=3, epochs=2, start=(1, 2)))
    assert equal(batches[8:], rest)
    assert not equal(batches[:6], batches[6:])
    other = arrays(training(shapes, LABEL, VIEW, batch=16, seed=4, epochs=2))
    assert not equal(batches, other)


def test_joined_splits_have_the_examples_of_both_in_order(shapes: Examples) -> None:
    joined = Examples("shapes", "val+test")
    test = Examples("shapes", "test")
    assert len(joined) == len(shapes) + len(test) == count("shapes", "val+test")
    for index, (part, own) in ((0, (shapes, 0)), (99, (shapes, 99)), (101, (test, 1))):
        first, second = joined.get(tf.constant(index)), part.get(tf.constant(own))
        np.testing.assert_array_equal(first["image"], second["image"])
        assert first["id"] == second["id"]
    assert "/val+test, " in joined.identity
    with pytest.raises(DataError, match=r"^split of shapes is 'vall', expected one of train, va"):
        Examples("shapes", "train+vall")
    with pytest.raises(DataError, match=r"^split of shapes is 'val\+val', expected each part onc"):
        Examples("shapes", "val+val")


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("train", "val", False),
        ("train+val", "val", True),
        ("train+val", "test+train", True),
        ("trainval", "val", True),
        ("trainval", "test", False),
        ("trainaug", "train", False),
    ],
)
def test_splits_overlap_by_their_parts(first: str, second: str, expected: bool) -> None:
    assert overlap(first, second) == overlap(second, first) == expected


def test_an_epoch_shows_every_example_of_the_subset_once(shapes: Examples) -> None:
    subset = [5, 50, 7, 99, 0, 31]
    expected = {shapes.get(tf.constant(i))["image"].numpy().tobytes() for i in subset}
    for epoch in range(3):
        batches = arrays(
            training(
                *(shapes, LABEL, UNCROPPED),
                batch=3,
                seed=1,
                subset=subset,
                start=(epoch, 0),
                epochs=epoch + 1,
            )
        )
        images = np.round((np.concatenate([image for image, _ in batches]) + 1) * 127.5)
        assert {image.astype(np.uint8).tobytes() for image in images} == expected


def test_views_of_one_example_differ_between_epochs(shapes: Examples) -> None:
    stream = training(shapes, LABEL, VIEW, batch=1, seed=1, subset=[4], epochs=3, shuffle=False)
    images = [image.tobytes() for image, _ in arrays(stream)]
    assert len(set(images)) == 3


def test_evaluation_keeps_order_and_the_last_batch(shapes: Examples) -> None:
    batches = arrays(evaluation(shapes, DEPTH, UNCROPPED, batch=32))
    assert [len(image) for image, _ in batches] == [32, 32, 32, 4]
    depth = shapes.get(tf.constant(99))["depth"].numpy()
    np.testing.assert_array_equal(batches[-1][1][-1], depth)


def test_views_for_a_cache_have_a_fixed_order_from_any_row_on(shapes: Examples) -> None:
    options = dict(batch=4, seed=3, count=2, subset=[5, 1, 7])
    batches = arrays(views(shapes, LABEL, VIEW, **options))
    assert [len(image) for image, _ in batches] == [4, 2]
    images = np.concatenate([image for image, _ in batches])
    assert not np.array_equal(images[0], images[3])
    rest = arrays(views(shapes, LABEL, VIEW, first=4, **options))
    assert equal(rest, batches[1:])
    plain = View((128, 128), centred=True)
    still = arrays(views(shapes, LABEL, plain, **options))
    evaluated = arrays(evaluation(shapes, LABEL, plain, batch=3, subset=[5, 1, 7]))
    both = np.concatenate([image for image, _ in still])
    np.testing.assert_array_equal(both, np.concatenate([evaluated[0][0]] * 2))


def test_no_stream_waits_at_its_end_for_a_thread_that_tunes_it(shapes: Examples) -> None:
    """Such a thread sleeps for up to a minute, and the release of a stream waits for it."""
    streams = (
        training(shapes, LABEL, VIEW, batch=4, seed=1),
        evaluation(shapes, LABEL, VIEW, batch=4),
        views(shapes, LABEL, VIEW, batch=4, seed=1),
    )
    assert [stream.options().autotune.enabled for stream in streams] == [False] * 3


def test_keypoints_come_with_what_their_score_needs(shapes: Examples) -> None:
    stream = evaluation(shapes, KEYPOINTS, UNCROPPED, batch=8, extras=("head_size", "area"))
    _, target = next(iter(stream))
    assert target["keypoints"].shape == (8, 1, 14, 3)
    assert target["head_size"].shape == (8, 1)
    assert (target["area"].numpy() > 0).all()


def test_a_batch_larger_than_the_data_is_refused(shapes: Examples) -> None:
    with pytest.raises(DataError) as error:
        training(shapes, LABEL, UNCROPPED, batch=5, seed=1, subset=[1, 2])
    assert str(error.value) == "batch is 5 and there are 2 examples: 1–2 is accepted as batch"


def test_indices_outside_the_split_are_refused(shapes: Examples) -> None:
    with pytest.raises(DataError) as error:
        evaluation(shapes, LABEL, UNCROPPED, batch=5, subset=[100])
    assert str(error.value) == (
        "subset of shapes val is empty or leaves 0–99: indices of its 100 examples are accepted"
    )


def test_a_damaged_record_stops_or_is_skipped(own: Callable[..., Path]) -> None:
    name = f"folder:{own(train=40)}"
    record = next(prepare(name).folder.glob("*train*"))
    content = bytearray(record.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 4] = b"oops"
    record.write_bytes(content)
    examples = Examples(name, "train", cache_bytes=0)
    view = View((24, 32), centred=True)
    with pytest.raises(tf.errors.OpError):
        list(evaluation(examples, LABEL, view, batch=1))
    remaining = list(evaluation(examples, LABEL, view, batch=1, skip_broken=True))
    assert 0 < len(remaining) < 40


@given(count=st.integers(10, 3000), seed=st.integers(0, 2**31))
def test_the_meta_split_is_complete_disjoint_and_stable(count: int, seed: int) -> None:
    train, val = meta_split(count, seed=seed)
    assert len(val) == round(count / 10)
    assert np.array_equal(np.sort(np.concatenate([train, val])), np.arange(count))
    again_train, again_val = meta_split(count, seed=seed)
    assert np.array_equal(train, again_train)
    assert np.array_equal(val, again_val)


def test_a_smaller_part_is_in_every_larger_one() -> None:
    indices = meta_split(367, seed=9314)[0]
    parts = [part_of(indices, share, seed=3) for share in (0.001, 0.25, 0.5, 1.0)]
    assert [len(part) for part in parts] == [1, 82, 165, 330]
    for smaller, larger in itertools.pairwise(parts):
        assert set(smaller) < set(larger)
        assert list(larger) == sorted(larger)
    assert set(part_of(indices, 0.5, seed=4)) != set(parts[2])


def test_the_meta_split_of_camvid_and_of_too_little() -> None:
    train, val = meta_split(367, seed=9314)
    assert (len(train), len(val)) == (330, 37)
    assert val[:5].tolist() == [8, 27, 37, 47, 55]
    with pytest.raises(DataError) as error:
        meta_split(3, seed=1)
    assert str(error.value) == (
        "3 examples cannot be split with a fraction of 0.1 held out: "
        "at least one example is needed on each side, see data.meta_val_share"
    )


@pytest.mark.parametrize("name", DATASETS)
def test_every_dataset_has_the_views_of_all_stages(name: str) -> None:
    views = {stage: preset(name, stage) for stage in STAGES}
    for stage in ("reward", "evaluate"):
        view = views[stage]
        assert view.centred
        assert (view.mirror, view.rotate, view.recolours) == (False, 0, False)
        assert view.scale == (1.0, 1.0)
    assert preset(name, "full", crop=(33, 65)).crop == (33, 65)


def test_a_folder_has_to_say_its_crop(own: Callable[..., Path]) -> None:
    name = f"folder:{own()}"
    assert preset(name, "full", crop=(64, 64)) == View((64, 64), scale=(0.5, 2.0), mirror=True)
    with pytest.raises(ConfigError) as error:
        preset(name, "full")
    assert str(error.value) == f"{name} has no preset crop: give `crop` as height and width"
    with pytest.raises(ConfigError, match=r"^stage 'third' is unknown: stage_one, stage_two"):
        preset(name, "third", crop=(64, 64))
