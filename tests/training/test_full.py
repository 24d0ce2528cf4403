"""Full training: positions and stages; interrupted runs end like undisturbed ones."""

import json
import os
import random
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import tensorflow as tf

from nas_tf import files, networks, spaces
from nas_tf.config.schema import Config, Full
from nas_tf.data.examples import Examples
from nas_tf.data.presets import preset
from nas_tf.errors import ConfigError, DataError, TrainingError
from nas_tf.networks.arrays import layouts
from nas_tf.networks.functional import Functional, Precision
from nas_tf.networks.model_files import read_model
from nas_tf.networks.state import arrays_of_model, from_arrays, initial_arrays
from nas_tf.training.full import FullTraining, Place, StageData
from nas_tf.training.full_run import FullRun
from nas_tf.training.history import History
from nas_tf.training.task_settings import task_of
from tests.e2e.processes import wait_for
from tests.e2e.warm import Warm
from tests.sampling import times
from tests.training.evaluated import SIMPLE, experiment

OTHER = spaces.resolve("[[[1,3]],[2,[0,1,9,9]]]")
CROP = (64, 64)
STAGES = [
    {"epochs": 1, "batch": 64, "schedule": {"kind": "poly"}},
    {"epochs": 2, "batch": 100, "auxiliary_weight": 0.3},
]
FULL = {"stages": STAGES, "freeze_batch_norm": True, "polyak": 0.9}


def training(folder: Path, full: dict | None = None) -> FullTraining:
    settings = msgspec.convert(full or FULL, Full)
    examples = Examples("shapes", "train")
    task = task_of(examples.info)
    blueprint = networks.blueprint_of(
        SIMPLE,
        task.channels,
        input_size=CROP,
        settings=networks.settings.search("auxcell", width=8, alpha=0.35),
    )
    state = from_arrays(layouts(blueprint), initial_arrays(blueprint, seed=1))
    data = StageData(examples, preset("shapes", "full", CROP))
    count = len(settings.stages)
    return FullTraining(
        settings,
        [data] * count,
        task,
        [blueprint] * count,
        state,
        folder,
        precision=Precision(),
        seed=1,
    )


class Killed(BaseException):
    """Simulates the end of the process, which the training must not catch."""


def run_until(full_training: FullTraining, step: int) -> None:
    def stop(done: int, loss: float) -> None:
        if done == step:
            raise Killed

    with pytest.raises(Killed):
        for _ in full_training.epochs(stop):
            pass


def ends(full_training: FullTraining) -> list[tuple[int, int, float]]:
    return [(end.stage, end.epoch, end.loss) for end in full_training.epochs()]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[list, dict]:
    full_training = training(tmp_path_factory.mktemp("undisturbed"))
    return ends(full_training), vectors(full_training)


def vectors(full_training: FullTraining) -> dict[str, np.ndarray]:
    state = full_training.state
    return {
        **{f"weights {part}": vector for part, vector in state.trainable.items()},
        **{f"statistics {part}": vector for part, vector in state.statistics.items()},
    }


def test_steps_lead_to_their_places(tmp_path: Path) -> None:
    full_training = training(tmp_path)
    assert full_training.steps == 600 // 64 + 2 * 6
    assert full_training.place(0) == Place(0, 0, 0)
    assert full_training.place(8) == Place(0, 0, 8)
    assert full_training.place(9) == Place(1, 0, 0)
    assert full_training.place(16) == Place(1, 1, 1)


def test_rates_and_frozen_statistics_follow_the_paper(tmp_path: Path) -> None:
    full_training = training(tmp_path)
    assert not full_training._is_frozen(0, 0, 8)
    assert [full_training._is_frozen(1, *divmod(step, 6)) for step in (0, 5, 6, 11)] == [
        False,
        False,
        True,
        True,
    ]
    assert full_training._rates_at(Place(1, 0, 3)) == {"encoder": 1e-3, "decoder": 3e-3}
    assert full_training._rates_at(Place(1, 1, 1)) == {"encoder": 5e-4, "decoder": 1.5e-3}


@pytest.mark.slow
def test_statistics_stay_once_they_are_frozen(tmp_path: Path) -> None:
    full = {**FULL, "stages": STAGES[1:], "polyak": None}
    full_training, statistics = training(tmp_path, full), []
    for _ in full_training.epochs():
        statistics.append(full_training.state.statistics["encoder"])
    np.testing.assert_array_equal(*statistics)


@pytest.mark.slow
@pytest.mark.sampled(4)
@pytest.mark.parametrize("step", [13, 1, 8, 20])
def test_an_interrupted_run_ends_as_the_undisturbed_one(
    tmp_path: Path, undisturbed: tuple[list, dict], step: int
) -> None:
    first = training(tmp_path)
    run_until(first, step)
    first.save()
    second = training(tmp_path)
    assert second.resume()
    assert second.steps_done == step
    rest = ends(second)
    assert rest == undisturbed[0][-len(rest) :]
    for name, vector in vectors(second).items():
        np.testing.assert_array_equal(vector, undisturbed[1][name])


def test_a_broken_checkpoint_gives_way_to_the_one_before(tmp_path: Path) -> None:
    first = training(tmp_path)
    run_until(first, 3)
    first.save()
    saved_step = first.steps_done
    run_until(first, 5)
    first.save()
    newest = max(tmp_path.rglob("*.data-*"), key=lambda path: path.stat().st_mtime_ns)
    newest.write_bytes(newest.read_bytes()[:1000])
    second = training(tmp_path)
    assert second.resume()
    assert second.steps_done == saved_step
    for path in tmp_path.rglob("*.data-*"):
        path.write_bytes(b"")
    with pytest.raises(DataError) as error:
        training(tmp_path).resume()
    assert str(error.value) == (
        f"no checkpoint in {tmp_path / 'stage1'} can be read or fits this network: "
        "remove the folder to start again"
    )


def configuration(**full: object) -> Config:
    stages = [{"epochs": 2, "batch": 100, "crop": list(CROP)}]
    return experiment(full_training={"stages": stages, **full})


@pytest.mark.slow
def test_a_run_saves_everything_in_its_folder_and_a_model_that_scores_as_reported(
    tmp_path: Path,
) -> None:
    run = FullRun(configuration(), SIMPLE, tmp_path)
    run._final.score = None  # the score of the last epoch is the final one
    steps: list[int] = []
    finished = run.run(lambda done, loss: steps.append(done))
    assert steps == list(range(1, 13))
    assert all(path.exists() for path in finished.files)
    record = json.loads((tmp_path / "result.json").read_text())
    assert record["result"] == dict(finished.result)
    assert [row["step"] for row in run.history.rows] == ["6", "12"]
    assert list((tmp_path / "tensorboard").glob("events*"))
    again = FullRun(configuration(), SIMPLE, tmp_path)
    assert again.resumed
    assert again.run().result == finished.result
    model = tf.keras.models.load_model(tmp_path / "last.keras", compile=False)
    metrics = run.task.metrics()
    for images, target in run._shown.batches(run.task, 20):
        metrics.update(target, {"logits": model(images, training=False)}, run.size)
    assert metrics.result() == pytest.approx(dict(finished.result), abs=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("interrupted", ["_figures", "_record"])
def test_an_epoch_that_was_interrupted_in_its_validation_is_validated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, interrupted: str
) -> None:
    calm = FullRun(configuration(), SIMPLE, tmp_path / "calm")
    calm.run()
    run, process = (
        FullRun(configuration(), SIMPLE, tmp_path / "run"),
        getattr(FullRun, interrupted),
    )

    def stopped(own: FullRun, *arguments: Any) -> Any:
        found = process(own, *arguments)
        if len(own.history.rows) == (interrupted == "_record"):
            raise KeyboardInterrupt
        return found

    with monkeypatch.context() as patch:
        patch.setattr(FullRun, interrupted, stopped)
        with pytest.raises(KeyboardInterrupt):
            run.run()
    run.save()
    again = FullRun(configuration(), SIMPLE, tmp_path / "run")
    steps: list[int] = []
    again.run(lambda done, loss: steps.append(done))
    assert steps == list(range(7, 13))
    own, other = ([{**row, "seconds": ""} for row in x.history.rows] for x in (again, calm))
    assert own == other
    best = [read_model(each.folder / "best.keras").get_weights() for each in (again, calm)]
    assert all(map(np.array_equal, *best))


def test_another_configuration_is_refused_in_the_same_folder(tmp_path: Path) -> None:
    FullRun(configuration(), SIMPLE, tmp_path)
    with pytest.raises(ConfigError) as error:
        FullRun(configuration(polyak=0.9), SIMPLE, tmp_path)
    key = "full_training.polyak"
    assert str(error.value) == (
        f"{tmp_path} was started with {key}=null, now it is 0.9: give {key}=null, or another "
        f"folder ({tmp_path / 'config.yaml'} says what it was)"
    )


@pytest.mark.slow
def test_another_number_of_stages_is_reported_by_its_first_key(tmp_path: Path) -> None:
    first = configuration()
    FullRun(first, SIMPLE, tmp_path)
    stages = (*first.full_training.stages, first.full_training.stages[0])
    more = msgspec.structs.replace(first.full_training, stages=stages)
    with pytest.raises(ConfigError) as error:
        FullRun(msgspec.structs.replace(first, full_training=more), SIMPLE, tmp_path)
    assert str(error.value) == (
        f"{tmp_path} was started without full_training.stages.{len(stages) - 1}.epochs, now it is "
        f"the other way: give {tmp_path / 'config.yaml'}, or another folder"
    )


@pytest.mark.parametrize("name", ["data.json", f"{files.PARTIAL}config.yaml"])
def test_a_folder_of_which_only_the_first_file_exists_is_taken(tmp_path: Path, name: str) -> None:
    """A process that is killed while it writes the first files leaves such a folder."""
    (tmp_path / name).write_text("{}")
    FullRun(configuration(), SIMPLE, tmp_path)
    (other := tmp_path / "other").mkdir()
    (other / "notes.txt").touch()
    with pytest.raises(ConfigError, match=r"holds notes\.txt and no run"):
        FullRun(configuration(), SIMPLE, other)


def test_another_genotype_is_refused_in_the_same_folder(tmp_path: Path) -> None:
    FullRun(configuration(), SIMPLE, tmp_path)
    with pytest.raises(ConfigError) as error:
        FullRun(configuration(), OTHER, tmp_path)
    assert str(error.value) == (
        f"{tmp_path} was started with genotype {SIMPLE}, now it is {OTHER}: give that one, or "
        "another folder"
    )


@pytest.mark.slow
def test_keys_without_effect_on_full_training_may_change(tmp_path: Path) -> None:
    first = configuration()
    FullRun(first, SIMPLE, tmp_path)
    stage_one = msgspec.structs.replace(first.stage_one, epochs=9)
    other = msgspec.structs.replace(first, threads=1, stage_one=stage_one)
    assert FullRun(other, SIMPLE, tmp_path).config == other


@pytest.mark.slow
def test_divergence_leaves_the_best_weights_so_far(tmp_path: Path) -> None:
    stages = [
        {"epochs": 1, "batch": 100, "crop": list(CROP)},
        {"epochs": 1, "batch": 100, "crop": list(CROP), "decoder": {"learning_rate": 1e30}},
    ]
    with pytest.raises(TrainingError) as error:
        FullRun(experiment(full_training={"stages": stages}), SIMPLE, tmp_path).run()
    assert str(error.value) == (
        f"the loss is nan at step 8: the best weights so far are in {tmp_path / 'best.keras'}; "
        "lower the learning rates, or clip gradients"
    )
    assert (tmp_path / "best.keras").exists()


@pytest.mark.slow
def test_several_scales_and_mirror_images_count_in_the_final_score(tmp_path: Path) -> None:
    config = experiment(
        full_training={"stages": [{"epochs": 1, "batch": 100, "crop": list(CROP)}]},
        evaluation={"batch": 20, "scales": [0.75, 1.0], "flip": True},
    )
    run = FullRun(config, SIMPLE, tmp_path)
    state, split = run.training.state, run._shown.spread(5)
    (images, _, outputs), *_ = run._final.predictions(state, split)
    logits, smaller = outputs["logits"], (96, 96)
    single = [images, tf.image.resize(images, smaller)]
    expected = 0
    for size, resized in zip((run.size, smaller), single, strict=True):
        network = Functional(run.blueprint_at(size).deployed(), parts=run.training.parts)

        def predict(x: tf.Tensor, network: Functional = network) -> tf.Tensor:
            return network(x, state.trainable, state.statistics).outputs["logits"]

        both = (predict(resized) + predict(resized[:, :, ::-1])[:, :, ::-1]) / 2
        expected += tf.image.resize(both, logits.shape[1:3]) / 2
    np.testing.assert_allclose(logits, expected, atol=1e-4)


TRAIN = (
    *("train", str(SIMPLE), "--config", "shapes_auxcell", "--out", "run", "threads=1"),
    *("space={name: auxcell, blocks: 1, branches: 1}", "full_training.validate_every=1"),
    *("network.alpha=0.35", "network.width=8", "network.weights=null", "precision=float32"),
    *("full_training.save_minutes=0.0001", "full_training.polyak=0.9"),
    "full_training.stages=[{epochs: 1, batch: 200, crop: [64, 64]}, "
    "{epochs: 1, batch: 100, crop: [64, 64]}]",
)
FIRST_WRITES = range(1, 14)
"""The numbers of the operations by which a folder, a configuration and a genotype appear."""


def started(folder: Path, killed_at: int = 0) -> Warm:
    """Starts the command, which is killed before it touches files the n-th time."""
    folder.mkdir(exist_ok=True)
    env = {"NAS_TF_CACHE": os.environ["NAS_TF_CACHE"]}
    return Warm("killed", folder, killed_at, *TRAIN, env=env, log=folder.with_suffix(".log"))


def kill_while_saving(process: Warm, folder: Path, rng: random.Random) -> None:
    """Kills a process around one of its next checkpoints."""

    def saved() -> list[int]:
        return [path.stat().st_mtime_ns for path in folder.rglob("checkpoint")]

    for _ in range(rng.randint(1, 3)):
        before = saved()
        wait_for(lambda before=before: saved() != before or process.poll() is not None)
    time.sleep(rng.random() * 0.05)
    process.kill()


def left_by(folder: Path) -> dict[str, Any]:
    """Returns what a finished training leaves, without durations."""
    found: dict[str, Any] = {}
    for name in ("best.keras", "last.keras"):
        arrays = arrays_of_model(read_model(folder / name))
        found |= {f"{name} {layer} {role}": array for (layer, role), array in arrays.items()}
    record = json.loads((folder / "result.json").read_text())
    for row in (record, *(rows := History(folder / "history.csv").rows)):
        del row["seconds"]
    names = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
    return found | {"record": record, "rows": rows, "names": names}


def assert_same(found: dict[str, Any], expected: dict[str, Any]) -> None:
    assert found.keys() == expected.keys()
    for name, value in found.items():
        np.testing.assert_equal(value, expected[name], name)


@pytest.mark.slow
def test_killed_at_any_moment_the_same_command_ends_bit_for_bit_as_undisturbed(
    tmp_path: Path,
) -> None:
    """Kills come at the first writes, at checkpoints, and at the writes of epochs and the end."""
    rng, folder, kills = random.Random(4), tmp_path / "killed", 0
    later, wanted = range(FIRST_WRITES.stop, 50), times(12, 3)
    process = started(tmp_path / "whole")
    assert process.wait(300) == 0, process.errors
    expected = left_by(tmp_path / "whole" / "run")
    while kills < wanted:
        process = started(folder, (rng.choice(FIRST_WRITES), 0, rng.choice(later))[kills % 3])
        if kills % 3 == 1:
            kill_while_saving(process, folder, rng)
        if process.wait(300) == 0:  # it ended before
            assert_same(left_by(folder / "run"), expected)
            shutil.rmtree(folder)
        else:
            assert process.status == -signal.SIGKILL, process.errors
            kills += 1
    process = started(folder)
    assert process.wait(300) == 0, process.errors
    assert_same(left_by(folder / "run"), expected)
