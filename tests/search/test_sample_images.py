"""The picture of the best: what is on it, and whose it is when several end at once."""

import threading
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from nas_tf.genotype import Genotype
from nas_tf.networks.arrays import layouts
from nas_tf.networks.state import from_arrays, initial_arrays
from nas_tf.runs import TrialRecord, filenames
from nas_tf.runs.trial_store import TrialStore
from nas_tf.search import sample_images
from nas_tf.training import from_config as settled
from nas_tf.training.prediction_sheet import ROWS, examples_picture
from nas_tf.training.scoring import Split
from nas_tf.training.shared_data import SharedData
from tests.runs.recorded import trial
from tests.search.searched import ONE_STAGE, TWO_STAGES, Listed, hypermodel, logits, tuner
from tests.training.evaluated import SIMPLE

ARCH = SIMPLE


@pytest.fixture(scope="module")
def shared() -> SharedData:
    return hypermodel(**ONE_STAGE).evaluator().shared


def scored(shared: SharedData, genotype: Genotype, seed: int) -> sample_images.Scored:
    """A candidate that has learnt nothing, by its seed."""
    blueprint = settled.blueprint_builder(shared.config, genotype, "search")(
        shared.reward_view.crop
    )
    arrays = initial_arrays(blueprint, seed=seed)
    return blueprint, from_arrays(layouts(blueprint), arrays)


def kept(number: int, reward: float) -> TrialRecord:
    return trial(number, (reward,), genotype=str(ARCH))


def on_disk(folder: Path) -> np.ndarray:
    return np.asarray(Image.open(folder / filenames.SAMPLES))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("target", "stages"),
    [
        pytest.param("label", ONE_STAGE, id="segmentation"),
        pytest.param("depth", TWO_STAGES, id="depth", marks=pytest.mark.slow),
        pytest.param("keypoints", TWO_STAGES, id="pose", marks=pytest.mark.slow),
    ],
)
def test_it_shows_what_the_best_model_predicts(target: str, stages: dict, tmp_path: Path) -> None:
    model = hypermodel(**{**stages, "data": {"target": target}})
    item = tuner(tmp_path / "run", Listed([str(ARCH)]), model)
    item.search(verbose=0)
    shared, keras_model = model.evaluator().shared, item.get_best_models(1)[0]
    task = shared.task
    chosen = Split(shared.examples, shared.reward_view, tuple(shared.meta_val)).spread(ROWS)
    [(images, truth)] = chosen.batches(task, ROWS)
    predicted = tf.constant(logits(keras_model, images))
    expected = examples_picture(task, [(images, truth, {"logits": predicted})])
    shown = on_disk(item.folder)
    times = shown.shape[1] // expected.shape[1]
    assert shown.shape == (expected.shape[0] * times, expected.shape[1] * times, 3)
    assert shown.shape[1] >= sample_images.LEAST_WIDTH
    agree = (shown[::times, ::times] == expected).all(-1).mean()
    assert agree > 0.99


@pytest.mark.slow
def test_a_worse_trial_does_not_take_its_place(tmp_path: Path, shared: SharedData) -> None:
    store = TrialStore(tmp_path)
    rewards = {0: 0.5, 1: 0.4, 2: 0.5, 3: 0.6}
    for number, reward in rewards.items():
        store.add(kept(number, reward))
        before = on_disk(tmp_path) if number else None
        picture = sample_images.show(
            tmp_path, store, kept(number, reward), shared, scored(shared, ARCH, number)
        )
        assert (picture is not None) is (number in (0, 3))
        if picture is not None:
            assert np.array_equal(on_disk(tmp_path), picture)
        else:
            assert np.array_equal(on_disk(tmp_path), before)


def test_of_workers_that_end_at_once_the_best_stays(tmp_path: Path, shared: SharedData) -> None:
    rewards = [0.3, 0.7, 0.5, 0.6]
    candidates = [scored(shared, ARCH, seed) for seed in range(len(rewards))]
    ready = threading.Barrier(len(rewards))

    def end(number: int) -> None:
        store, mine = TrialStore(tmp_path), kept(number, rewards[number])
        ready.wait()
        store.add(mine)
        sample_images.show(tmp_path, store, mine, shared, candidates[number])

    workers = [threading.Thread(target=end, args=(n,)) for n in range(len(rewards))]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    expected = sample_images.render(shared, ARCH, candidates[1])
    assert np.array_equal(on_disk(tmp_path), expected)
    assert not list(tmp_path.glob(".part-*"))


@pytest.mark.slow
def test_a_picture_that_cannot_be_drawn_costs_no_trial(tmp_path: Path) -> None:
    item = tuner(tmp_path / "run", Listed([str(ARCH)]), hypermodel(**ONE_STAGE))
    (item.folder / filenames.SAMPLES).mkdir(parents=True)
    with pytest.warns(UserWarning, match="trial 0 can't be shown: "):
        item.search(verbose=0)
    assert item.oracle.trials["0"].status == "COMPLETED"


def test_large_pictures_are_made_smaller() -> None:
    fitted = sample_images._fitted(np.zeros((1200, 2400, 3), np.uint8))
    assert fitted.shape == (480, 960, 3)
