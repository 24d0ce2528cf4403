"""Candidates scored with the weights of a super-net."""

import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from msgspec import structs

from nas_tf import spaces
from nas_tf.config.schema import Limits
from nas_tf.errors import ConfigError, DataError
from nas_tf.jobs.search import search
from nas_tf.networks.arrays import layouts
from nas_tf.networks.functional import Functional
from nas_tf.networks.heads import Head
from nas_tf.networks.state import from_arrays, initial_arrays
from nas_tf.networks.supernet import ARCHITECTURE, with_operations
from nas_tf.networks.supernet import supernet as supernet_blueprint
from nas_tf.networks.wide import WideFunctional
from nas_tf.runs import Run
from nas_tf.runs.study import Study
from nas_tf.search import one_shot, study
from nas_tf.search.gradient import GradientSearch
from nas_tf.search.hypermodel import open_gate
from nas_tf.search.one_shot import OneShot, chosen, trained_supernet
from nas_tf.spaces.derivation import best_path, derived_cell, edges_of
from nas_tf.spaces.restoration import RestorationSpace
from tests.prepared import shared_cache
from tests.runs.made import made
from tests.search.quick import QuickEvaluator
from tests.search.test_gradient import config

SPACE = RestorationSpace(layers=1, nodes=1)


@pytest.fixture(scope="module", autouse=True)
def cache() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NAS_TF_CACHE", str(shared_cache()))
        yield


@pytest.fixture(scope="module")
def supernet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "supernet"
    GradientSearch(config(gradient={"epochs": 2, "warmup_epochs": 1}), folder).run()
    return folder


def by_supernet(folder: Path, **search: Any) -> Any:
    return config(search={"oracle": "random", "supernet": str(folder), **search})


@pytest.mark.parametrize("preset", ["public", "slides"])
def test_the_chosen_architecture_is_read_off_as_the_genotype(preset: str) -> None:
    space = RestorationSpace(preset=preset, layers=3, nodes=3)
    rng, beta = random.Random(4), np.random.default_rng(4).normal(size=(6, 3))
    for _ in range(5):
        genotype = space.sample(rng)
        found = chosen(space, genotype, beta)
        cells, levels = genotype.parts[:2]
        edges = len(edges_of(3))
        for number, rows in enumerate(np.split(found.alpha, len(found.alpha) // edges)):
            assert {tuple(pair) for pair in derived_cell(rows.tolist(), 3)} == {
                tuple(pair) for pair in cells[number]
            }
        path, probability = best_path(found.beta.tolist(), 3, space.levels)
        assert (list(path), probability) == (list(levels), pytest.approx(1))


def test_only_the_genotypes_operations_have_an_effect(supernet: Path) -> None:
    """The outputs do not change with the weights of an operation that a candidate lacks."""
    evaluator = OneShot(by_supernet(supernet))
    genotype = SPACE.genotype_of([[(0, 0), (5, 1)]], [0])  # conv3x3 of h(l-2), skip of h(l-1)
    arrays = dict(evaluator._arrays)
    architecture = vars(chosen(SPACE, genotype, evaluator._beta))
    arrays = {key: architecture.get(key[0], value) for key, value in arrays.items()}

    def outputs(changed: str) -> np.ndarray:
        own = {
            key: value * 2 if changed and changed in key[0] and key[1] == "kernel" else value
            for key, value in arrays.items()
        }
        state = from_arrays(evaluator.parts, own)
        net = Functional(
            supernet_blueprint(SPACE, Head("restoration", 1), width=2, input_size=(16, 16))
        )
        images = tf.constant(np.random.default_rng(0).uniform(-1, 1, (1, 16, 16, 3)), tf.float32)
        return net(images, state.trainable, state.statistics).outputs["logits"].numpy()

    names = {key[0] for key in arrays if key[1] == "kernel" and "level0.node1" in key[0]}
    other = next(name for name in sorted(names) if "sep5x5" in name)
    own = next(name for name in sorted(names) if "conv3x3" in name and "source0" in name)
    np.testing.assert_allclose(outputs(other), outputs(""), atol=1e-6)
    assert np.abs(outputs(own) - outputs("")).max() > 1e-4


@pytest.mark.parametrize("preset", ["public", "slides"])
def test_absent_operations_do_not_change_the_outputs(preset: str) -> None:
    space = RestorationSpace(preset=preset, layers=2, nodes=2)
    full = supernet_blueprint(space, Head("restoration", 1), width=2, input_size=(16, 16))
    rng = np.random.default_rng(3)
    tables = chosen(space, space.sample(random.Random(5)), rng.normal(size=(3, 3)))
    arrays = initial_arrays(full, seed=2)
    roles = {name: role for name, role in arrays if name in vars(tables)}
    arrays |= {(name, roles[name]): table for name, table in vars(tables).items()}
    entries = set(map(tuple, np.argwhere(tables.alpha[:, :-1] == tables.alpha.max()).tolist()))
    small = with_operations(full, entries)
    assert len(small.layers) < len(full.layers) / 2
    images = tf.constant(rng.uniform(-1, 1, (2, 16, 16, 3)), tf.float32)
    found = []
    for net in (full, small):
        parts = layouts(net)
        state = from_arrays(parts, arrays)
        training = frozenset(set(parts) - {ARCHITECTURE})
        computed = WideFunctional(net, parts=parts)(
            images, state.trainable, state.statistics, training=training
        )
        found.append(computed.outputs["logits"].numpy())
    np.testing.assert_allclose(found[1], found[0], atol=1e-5)


@pytest.mark.slow
def test_a_search_by_any_oracle_scores_with_the_super_net(supernet: Path, tmp_path: Path) -> None:
    search(by_supernet(supernet, trials=3), tmp_path / "run")
    run = Run(tmp_path / "run")
    assert len(run.completed) == 3
    evaluator = OneShot(by_supernet(supernet))
    for trial in run.completed:
        assert trial.stages[0].steps == 0
        again = evaluator.evaluate(trial.parsed, open_gate())
        assert again.score == pytest.approx(trial.score, abs=1e-6)
        assert (again.params, again.madds) == (trial.params, trial.madds)


def test_limits_refuse_a_candidate_before_it_is_scored(supernet: Path) -> None:
    limited = structs.replace(by_supernet(supernet), limits=Limits(params=10))
    found = OneShot(limited).evaluate(SPACE.sample(random.Random(1)), open_gate())
    assert found.refused is True
    assert "parameters, the limit is 10" in found.stopped


def test_a_run_that_does_not_fit_is_refused(supernet: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="a run by PPOOracle, expected one by gradient"):
        trained_supernet(by_supernet(made(tmp_path / "run", trials=2).folder))
    other = structs.replace(by_supernet(supernet), space={"name": "restoration", "layers": 2})
    with pytest.raises(ConfigError, match="expected restoration \\(layers=2\\), that of this"):
        trained_supernet(other)
    colour = config(search={"supernet": str(supernet)}, task={"channels": 3})
    with pytest.raises(ConfigError, match="restores 1 channels, expected 3"):
        trained_supernet(colour)
    with pytest.raises(DataError, match="is not the folder of a search"):
        trained_supernet(by_supernet(tmp_path / "nothing"))


@pytest.mark.slow
def test_a_study_takes_scores_by_a_supernet_in_the_setting_that_has_it(
    supernet: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        one_shot, "TwoStage", lambda config, shared, latency: QuickEvaluator(config, 0.0)
    )
    monkeypatch.setattr(one_shot, "SharedData", lambda config, progress: None)
    by_it = f"search.supernet={supernet}"

    def configured(changes: Sequence[str]) -> Any:
        return by_supernet(supernet) if by_it in changes else config()

    planned = study.plan(configured, [[by_it]], 3, untrained=False)
    started = study.start(tmp_path / "study", planned)
    study.train(started, planned)
    found = Study(started.folder).results
    evaluator = OneShot(by_supernet(supernet))
    for text in map(str, planned.genotypes):
        scores = {result.setting: result.score for result in found if result.genotype == text}
        alone = evaluator.evaluate(spaces.resolve(text, SPACE), open_gate()).score
        assert scores[by_it] == alone != scores["as configured"]
    with pytest.raises(ConfigError, match="in every setting, expected it in one that is tried"):
        study.plan(lambda changes: by_supernet(supernet), [[by_it]], 4)
