"""Candidates through the stages, on real data and real features."""

import json
import os
import random
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import tensorflow as tf

from nas_tf import spaces
from nas_tf.config.schema import Config
from nas_tf.errors import ConfigError, DataError, WeightsError
from nas_tf.networks.arrays import layouts
from nas_tf.networks.blueprint import Blueprint
from nas_tf.networks.state import State, from_arrays
from nas_tf.runs import TrialRecord, record
from nas_tf.training import gate, two_stage
from nas_tf.training.learner import Learner
from nas_tf.training.shared_data import SharedData
from nas_tf.training.two_stage import TwoStage
from tests.training.evaluated import SIMPLE, evaluate, evaluator, experiment

ONLY_ONE = {"stage_two": None}


class Recording(Learner):
    """A learner that records its initial state, its rates, and all instances."""

    instances: ClassVar[list["Recording"]] = []

    def __init__(self, blueprint: Any, task: Any, recipes: Any, state: State, *rest: Any, **kw):
        super().__init__(blueprint, task, recipes, state, *rest, **kw)
        self.start, self.rates, self.recipe = state, [], recipes["train"]
        self.instances.append(self)

    def step(self, inputs: Any, encoded: Any, rates: Mapping[str, float], *rest: Any, **kw: Any):
        self.rates.append(dict(rates))
        return super().step(inputs, encoded, rates, *rest, **kw)


@dataclass(frozen=True)
class Evaluated:
    """A candidate that ran both stages, all of whose settings differ."""

    config: Config
    result: TrialRecord
    observed: list[tuple[str, int, int, float]]
    learners: list[Recording]
    scored: tuple[Blueprint, State]
    encoder: State


@pytest.fixture(scope="module")
def both() -> Evaluated:
    shared = evaluator(experiment()).shared
    config = experiment(
        stage_one={"decoder": {"learning_rate": 2e-3}, "polyak": 0.8, "auxiliary_weight": 0.2},
        stage_two={
            "encoder": {"kind": "sgd", "learning_rate": 2e-3},
            "decoder": {"learning_rate": 4e-3},
            "polyak": 0.6,
            "auxiliary_weight": 0.3,
        },
    )
    observed: list[tuple[str, int, int, float]] = []
    scored_networks: list[tuple[Blueprint, State]] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(two_stage, "Learner", Recording)
        result = TwoStage(config, shared).evaluate(
            SIMPLE,
            gate.make(config.gate, 1),
            observer=lambda *step: observed.append(step),
            on_scored=lambda *network: scored_networks.append(network),
        )
    blueprint = scored_networks[0][0]
    encoder = from_arrays({"encoder": layouts(blueprint)["encoder"]}, shared.encoder_arrays)
    return Evaluated(config, result, observed, Recording.instances, scored_networks[0], encoder)


def test_both_stages_are_run_and_recorded(both: Evaluated) -> None:
    result, observed = both.result, both.observed
    assert [len(result.stages), result.stopped, result.failed] == [2, None, False]
    assert result.score == result.stages[-1].score
    for number, stage in enumerate(result.stages, 1):
        assert stage.steps == 540 // 32
        activities = {"build", "trace", "input", "steps", "validate", "validate_trace"}
        assert set(stage.seconds) == activities
        assert all(value >= 0 for value in stage.seconds.values())
        assert stage.losses[-1] < stage.losses[0]
        steps = [step for step in observed if step[0] == f"stage {number}"]
        assert [step[1:3] for step in steps] == [(n + 1, stage.steps) for n in range(stage.steps)]
    assert json.loads(record.text(result))["stages"][0]["reward"] == result.stages[0].score


def test_each_stage_trains_as_it_is_configured(both: Evaluated) -> None:
    first, second = both.learners
    stage_one, stage_two = both.config.stage_one, both.config.stage_two
    assert first.recipe.optimisers == {"decoder": stage_one.decoder}
    assert second.recipe.optimisers == {"encoder": stage_two.encoder, "decoder": stage_two.decoder}
    for learner, stage in ((first, stage_one), (second, stage_two)):
        recipe = learner.recipe
        assert recipe.normalising == frozenset(recipe.optimisers)
        assert recipe.polyak == stage.polyak
        assert recipe.auxiliary_weight == stage.auxiliary_weight
        rates = {part: optimiser.learning_rate for part, optimiser in recipe.optimisers.items()}
        assert learner.rates == [rates] * (540 // 32)
        assert learner._step.experimental_get_tracing_count() == 1
    assert (first.recipe.distillation, second.recipe.distillation) == (stage_one.distillation, 0.0)


def test_stage_two_continues_stage_one_and_its_result_is_scored(both: Evaluated) -> None:
    first, second = both.learners
    assert same(second.start, first.state(), "decoder")
    assert same(second.start, both.encoder, "encoder")
    assert same(both.scored[1], second.state(), "decoder", "encoder")
    for part in ("decoder", "encoder"):
        moved = second.state().trainable[part] - second.start.trainable[part]
        assert 0 < np.abs(moved).max() < 1


def same(first: State, second: State, *parts: str) -> bool:
    return all(
        np.array_equal(getattr(first, kind)[part], getattr(second, kind)[part])
        for kind in ("trainable", "statistics")
        for part in parts
    )


@pytest.mark.slow
def test_stage_one_uses_a_share_of_the_images_and_stage_two_all() -> None:
    config = experiment(stage_one={"image_share": 0.25})
    shared = evaluator(config).shared
    assert len(shared.train) == 540 // 4
    assert set(shared.stage_one_images) < set(shared.meta_train)
    assert len(shared.meta_val) == 60
    result = evaluate(SIMPLE, config)
    assert [stage.steps for stage in result.stages] == [540 // 4 // 32, 540 // 32]


@pytest.mark.slow
def test_the_same_seed_gives_the_same_losses_and_another_does_not() -> None:
    config = experiment(**ONLY_ONE)
    first, again = evaluate(SIMPLE, config), evaluate(SIMPLE, config)
    assert first.stages[0].losses == again.stages[0].losses
    assert first.score == again.score
    other = evaluate(SIMPLE, config, seed=2)
    assert other.stages[0].losses != first.stages[0].losses


@pytest.mark.slow
@pytest.mark.parametrize("space", ["template", "dpc"])
def test_the_other_spaces_are_the_same_code(space: str) -> None:
    stage_one = {"epochs": 1, "views": 1, "batch": 64, "crop": [65, 65], "auxiliary_weight": 0.0}
    network = {"width": 8 if space == "template" else 16, "alpha": 0.35, "weights": None}
    stage_two = {"epochs": 1, "batch": 64} if space == "template" else None
    config = experiment(space=space, stage_one=stage_one, network=network, stage_two=stage_two)
    result = evaluate(spaces.get(space).sample(random.Random(3)), config)
    assert not result.failed, result.stopped
    assert len(result.stages) == (2 if stage_two else 1)


@pytest.mark.slow
@pytest.mark.parametrize("target", ["depth", pytest.param("keypoints", marks=pytest.mark.slow)])
def test_the_other_tasks_are_the_same_code(target: str) -> None:
    config = experiment(data={"target": target}, stage_one={"batch": 64}, stage_two={"batch": 64})
    result = evaluate(SIMPLE, config)
    assert not result.failed, result.stopped
    assert all(0 <= stage.score <= 1 for stage in result.stages)


def test_the_gate_stops_the_weak() -> None:
    candidates = evaluator(experiment(gate={"probability": 0.0}))
    strict = gate.make(candidates.config.gate, 1)
    strict.admits(1.0)
    result = candidates.evaluate(SIMPLE, strict)
    assert (result.stopped, result.failed, len(result.stages)) == ("gate", False, 1)
    assert result.score == result.stages[0].score


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        ({"params": 1000}, r"[\d,]+ parameters, the limit is 1,000"),
        ({"madds": 1000}, r"[\d,]+ multiply-adds, the limit is 1,000"),
        ({"memory_gib": 1e-3}, r"[\d.]+ GiB of activations at batch 32, the limit is 0.001 GiB"),
        ({"memory_gib": 0.5}, r"[\d.]+ GiB held while training, the limit is 0.5 GiB"),
        ({"seconds": 0.01}, r"\d+ s, the limit is 0.01 s"),
    ],
)
def test_beyond_a_limit_is_the_floor_with_the_reason(limits: dict, reason: str) -> None:
    result = evaluate(SIMPLE, experiment(limits={**limits, "failure_score": 0.05}))
    assert result.failed
    assert result.score == 0.05
    assert re.fullmatch(reason, result.stopped)


def test_a_candidate_that_diverges_costs_only_itself() -> None:
    config = experiment(stage_one={"decoder": {"learning_rate": 1e30}})
    candidates = evaluator(config)
    opened = gate.make(config.gate, 1)
    result = candidates.evaluate(SIMPLE, opened)
    assert (result.failed, result.score, opened.seen) == (True, 0.0, 0)
    assert result.stopped == "the loss is nan at step 2 of stage 1"


_OUT_OF_MEMORY = """
import resource
from nas_tf import spaces
from tests.training.evaluated import SIMPLE, evaluate, evaluator, experiment

small = experiment(stage_two=None)
before = evaluate(SIMPLE, small)
greedy = experiment(
    space="auxcell",
    stage_two=None,
    network={"width": 1500, "alpha": 0.35, "weights": None},
)
evaluator(greedy)
held = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (held + (3 << 29),) * 2)
result = evaluate(spaces.resolve("arch0"), greedy)
print(result.failed, result.score, result.stopped.split(":")[0])
after = evaluate(SIMPLE, small)
print(after.score == before.score)
"""


@pytest.mark.slow
def test_a_candidate_without_memory_costs_only_itself() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _OUT_OF_MEMORY],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "PYTHONPATH": "."},
    )
    assert done.stdout == "True 0.0 out of memory\nTrue\n", done.stderr[-1500:]


def test_out_of_memory_without_a_word_has_a_reason_too() -> None:
    def full(*_: object) -> None:
        raise MemoryError

    result = evaluate(SIMPLE, experiment(**ONLY_ONE), observer=full)
    assert (result.failed, result.stopped) == (True, "out of memory: MemoryError")


@pytest.mark.slow
def test_only_the_maps_that_cells_read_are_cached_and_targets_keep_their_size(
    tmp_path: Path,
) -> None:
    path = str(teacher(tmp_path / "teacher.keras", 9))
    change = {"space": {"name": "dpc", "branches": 1}, "teacher": path}
    stored = {}
    for name, network in (("cell", {}), ("decoder", {"decoder": "deeplabv3plus"})):
        shared = evaluator(experiment(**ONLY_ONE, **change, network=network)).shared
        stored[name] = shared.train.rows([0])
    both = evaluator(experiment(**ONLY_ONE, teacher=path)).shared.train.rows([0])
    assert stored["cell"]["tap0"].shape == (1, 4, 4, 112)
    assert stored["decoder"]["tap1"].shape == (1, 16, 16, 48)
    for rows in stored.values():
        assert not {"tap2", "tap3"} & set(rows)
        for field in ("target", "teacher"):
            assert rows[field].shape[1:3] == (16, 16)
            np.testing.assert_array_equal(rows[field], both[field])


def teacher(path: Path, classes: int) -> Path:
    tf.keras.utils.set_random_seed(1)
    image = tf.keras.Input((None, None, 3))
    model = tf.keras.Model(image, tf.keras.layers.Conv2D(classes, 3, strides=4)(image))
    model.save(path)
    return path


@pytest.mark.slow
def test_a_teacher_is_part_of_the_loss_and_a_switch_turns_it_off(tmp_path: Path) -> None:
    path = str(teacher(tmp_path / "teacher.keras", 9))
    with_it = evaluate(SIMPLE, experiment(**ONLY_ONE, teacher=path))
    without = evaluate(SIMPLE, experiment(**ONLY_ONE))
    off = evaluate(SIMPLE, experiment(**ONLY_ONE, teacher=path, stage_one={"distillation": 0.0}))
    assert with_it.stages[0].losses[0] > without.stages[0].losses[0]
    assert off.stages[0].losses == without.stages[0].losses


@pytest.mark.slow
def test_a_plain_saved_model_teaches_too(tmp_path: Path) -> None:
    class Teacher(tf.Module):
        def __init__(self) -> None:
            self.kernel = tf.Variable(tf.random.stateless_normal((1, 1, 3, 9), (1, 1)))

        @tf.function(autograph=False)
        def __call__(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
            return {"logits": tf.nn.conv2d(images, self.kernel, 4, "SAME")}

    module = Teacher()
    spec = tf.TensorSpec((None, None, None, 3), name="images")
    tf.saved_model.save(module, str(tmp_path), module.__call__.get_concrete_function(spec))
    config = experiment(**ONLY_ONE, teacher=str(tmp_path))
    result = evaluate(SIMPLE, config)
    assert not result.failed
    stored = evaluator(config).shared.train.rows([0])["teacher"]
    assert stored.shape == (1, 16, 16, 9)
    assert np.abs(stored).max() > 0


def test_bad_teachers_are_refused_before_any_compute(tmp_path: Path) -> None:
    eight = teacher(tmp_path / "eight.keras", 8)
    (tmp_path / "broken.keras").write_text("no model")
    for name, message in (
        (
            "eight.keras",
            f"teacher {eight} has 8 outputs, expected 9 as the segmentation task has",
        ),
        (
            "none.keras",
            f"teacher {tmp_path / 'none.keras'}: no such file, expected a Keras model or "
            "SavedModel; nas-tf train-teacher makes one",
        ),
    ):
        with pytest.raises(WeightsError) as error:
            SharedData(experiment(teacher=str(tmp_path / name)), root=tmp_path / "cache")
        assert str(error.value) == message
    with pytest.raises(WeightsError, match="not a Keras model or SavedModel"):
        SharedData(experiment(teacher=str(tmp_path / "broken.keras")), root=tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


def test_other_mistakes_are_found_before_any_compute(tmp_path: Path) -> None:
    missing = tmp_path / "weights.h5"
    cases = [
        (
            WeightsError,
            {"network": {"width": 8, "alpha": 0.35, "weights": str(missing)}},
            f"weights {missing}: no such file, expected weights of mobilenet_v2 of alpha 0.35 as "
            "Keras saves them",
        ),
        (
            DataError,
            {"stage_one": {"batch": 541}},
            "stage_one.batch is 541 and meta-train of shapes has 540 examples, expected 1 to 540",
        ),
    ]
    for kind, changes, message in cases:
        with pytest.raises(kind) as error:
            SharedData(experiment(**changes), root=tmp_path / "cache")
        assert str(error.value) == message
    assert not (tmp_path / "cache").exists()


def test_a_genotype_of_another_space_is_refused() -> None:
    with pytest.raises(ConfigError) as error:
        evaluate(spaces.resolve("aspp"))
    assert str(error.value) == (
        "the genotype is of space dpc and the configuration of auxcell (blocks=1, branches=1): "
        "give a configuration of dpc, or space=dpc"
    )


WEIGHTS = Path(os.environ.get("NAS_TF_DATA", "")) / "weights"


@pytest.mark.slow
@pytest.mark.skipif(not list(WEIGHTS.glob("*1.0*.h5")), reason="ImageNet weights are not here")
def test_arch0_learns_what_a_decoder_of_zeros_cannot() -> None:
    config = experiment(
        **ONLY_ONE,
        space="auxcell",
        network={"width": 48, "alpha": 1.0, "weights": "imagenet"},
        stage_one={"epochs": 2, "batch": 16, "crop": [128, 128]},
    )
    zeros = "[[[3,3],[3,2],[3,0]],[10,[0,0,10,10],[0,0,10,10],[0,0,10,10]]]"
    learnt = evaluate(spaces.resolve("arch0"), config).score
    assert learnt > 1.5 * evaluate(spaces.resolve(zeros, "auxcell"), config).score
